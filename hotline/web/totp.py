"""The second factor: six digits that a telephone makes anew every half minute (RFC 6238)."""

from datetime import datetime

import pyotp
import segno

STEP_SECONDS = 30
DRIFT = (-1, 0, 1)  # steps: telephones' clocks are a little off


def new_secret() -> str:
    return pyotp.random_base32()


def step(secret: str, code: str, now: datetime) -> int | None:
    """The half minute that this code belongs to, if it is one of now."""
    digits = "".join(code.split())
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    maker, at = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS
    return next(
        (at + d for d in DRIFT if pyotp.utils.strings_equal(maker.generate_otp(at + d), digits)),
        None,
    )


def picture(secret: str, name: str, house: str) -> str:
    """What a telephone's camera reads to keep the secret, as SVG."""
    address = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=house)
    drawn: str = segno.make(address, error="m").svg_inline(omitsize=True, svgclass="qr", lineclass=None, title="二维码")  # fmt: skip
    return drawn
