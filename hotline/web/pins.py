"""PINs: given, drawn by lot, and compared."""

import secrets
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tickets.models import Volunteer

PIN_DIGITS = 6
LONGEST_PIN = 64  # nobody types more; argon2 need not chew on it

hasher = PasswordHasher()


class WeakPinError(ValueError):
    """A PIN that the first thief would try."""


def set_pin(volunteer: Volunteer, pin: str, *, demo: bool = False) -> None:
    """Give a person a PIN; raises WeakPinError."""
    if not (pin.isascii() and pin.isdigit() and PIN_DIGITS <= len(pin) <= LONGEST_PIN):
        raise WeakPinError(f"a PIN is at least {PIN_DIGITS} digits")
    if not demo and _is_easy(pin):
        raise WeakPinError("a PIN of equal or consecutive digits is guessed first")
    volunteer.pin_hash = hasher.hash(pin)
    volunteer.wrong_pins, volunteer.locked_until = 0, None


def draw_pin() -> str:
    """A PIN by lot that `set_pin` takes."""
    while _is_easy(pin := "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS))):
        pass
    return pin


@dataclass(frozen=True, slots=True)
class DrawnPin:
    """A PIN by lot and its hash. Drawn before a transaction is open: hashing is slow on purpose."""

    digits: str
    hash: str


def drawn_pin() -> DrawnPin:
    pin = draw_pin()
    return DrawnPin(pin, hasher.hash(pin))


def give_pin(person: Volunteer, pin: DrawnPin) -> None:
    """From now on this is how they sign in; whoever was signed in as them is out."""
    person.pin_hash, person.wrong_pins, person.locked_until = pin.hash, 0, None


def fits(kept: str | None, pin: str) -> bool:
    """Whether it is the PIN; takes as long where there is none."""
    try:
        return hasher.verify(kept or _nobodys_pin(), pin) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_pin() -> str:
    return hasher.hash(secrets.token_hex(16))


def _is_easy(pin: str) -> bool:
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    return len(steps) == 1 and steps <= {0, 1, 9}
