"""The door: one's own name and a PIN; five wrong ones close it for a while."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Blueprint, Flask, flash, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug import Response

from hotline.clock import Clock
from hotline.config import Settings
from hotline.db import Database
from hotline.runtime import Runtime
from hotline.web.guard import open_to_all
from hotline.web.letters import inside
from tickets import ledger
from tickets.models import Role, Volunteer

WRONG_PINS = 5
LOCKED_FOR = timedelta(minutes=10)
PIN_DIGITS = 6
LONGEST_PIN = 64  # nobody types more; argon2 need not chew on it

hasher = PasswordHasher()


class WeakPinError(ValueError):
    """A PIN that the first thief would try."""


@dataclass(frozen=True)
class Visitor(UserMixin):  # type: ignore[misc]  # flask-login has no types
    """Who is signed in. `seal` changes with the PIN, so that a new PIN ends old sessions."""

    id: int
    name: str
    role: Role
    seal: str

    def get_id(self) -> str:
        return f"{self.id}:{self.seal}"

    @property
    def person(self) -> ledger.Person:
        return ledger.volunteer(self.id)


class Answer(StrEnum):
    """What the door says."""

    WELCOME = "welcome"
    NO_NAME = "no_name"
    NO_PIN = "no_pin"
    WRONG = "wrong"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Knock:
    """What came of one try at the door."""

    answer: Answer
    visitor: Visitor | None = None
    tries_left: int = 0
    minutes: int = 0


def set_pin(volunteer: Volunteer, pin: str, *, demo: bool = False) -> None:
    """Give a person a PIN; raises WeakPinError."""
    if not (pin.isascii() and pin.isdigit() and PIN_DIGITS <= len(pin) <= LONGEST_PIN):
        raise WeakPinError(f"a PIN is at least {PIN_DIGITS} digits")
    if not demo and _is_easy(pin):
        raise WeakPinError("a PIN of equal or consecutive digits is guessed first")
    volunteer.pin_hash = hasher.hash(pin)
    volunteer.wrong_pins, volunteer.locked_until = 0, None


def knock(db: Database, clock: Clock, volunteer_id: int | None, pin: str) -> Knock:
    """One try. It is counted before the PIN is looked at, so that many at once gain nothing.

    An unknown name costs the same time as a known one.
    """
    if volunteer_id is None:
        return Knock(Answer.NO_NAME)
    if not pin:
        return Knock(Answer.NO_PIN)
    now = clock()
    with db.writing() as session:
        person = _active(session, volunteer_id, lock=True)
        if person and person.locked_until and person.locked_until > now:
            return Knock(Answer.LOCKED, minutes=_minutes(person.locked_until - now))
        kept = person.pin_hash if person else None
        if person:
            if person.locked_until:  # the wait is over: count anew
                person.wrong_pins, person.locked_until = 0, None
            person.wrong_pins += 1
            tries_left = WRONG_PINS - person.wrong_pins
            if tries_left <= 0:
                person.locked_until = now + LOCKED_FOR
    # Not inside the transaction: it takes a twentieth of a second, and others are writing.
    right = _fits(kept, pin) and person is not None
    with db.writing() as session:
        person = _active(session, volunteer_id, lock=True)
        if right and person:
            person.wrong_pins, person.locked_until = 0, None
            _note(session, person, "sign_in", now)
            return Knock(Answer.WELCOME, _visitor(person))
        if person:
            _note(session, person, "wrong_pin" if tries_left > 0 else "locked_out", now)
            if tries_left <= 0:
                return Knock(Answer.LOCKED, minutes=_minutes(LOCKED_FOR))
            return Knock(Answer.WRONG, tries_left=tries_left)
    return Knock(Answer.WRONG, tries_left=WRONG_PINS - 1)


def install(app: Flask, runtime: Runtime) -> None:
    """Sessions, cookies and the door for this application."""
    app.secret_key = secret_key(runtime.settings)
    app.session_interface = HouseSessions(runtime.settings)
    app.config.update(
        SESSION_COOKIE_NAME="hotline",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,  # so many hours from signing in, not for ever
        PERMANENT_SESSION_LIFETIME=timedelta(hours=runtime.settings.session_hours),
        WTF_CSRF_TIME_LIMIT=None,  # a form may stay open as long as the session
        WTF_CSRF_SSL_STRICT=False,  # it asks for a referrer, and our pages send none
    )
    logins = LoginManager(app)
    logins.session_protection = None  # a telephone changes its address all day

    @logins.user_loader  # type: ignore[untyped-decorator]
    def who(kept: str) -> Visitor | None:
        number, _, seal = kept.partition(":")
        if not number.isdigit():
            return None
        with runtime.db.reading() as session:
            person = _active(session, int(number))
            visitor = _visitor(person) if person else None
        return visitor if visitor and secrets.compare_digest(visitor.seal, seal) else None

    app.register_blueprint(make_blueprint(runtime))


def make_blueprint(runtime: Runtime) -> Blueprint:
    door = Blueprint("door", __name__)

    def show(said: Knock | None, chosen: int | None, status: int = 200) -> tuple[str, int]:
        with runtime.db.reading() as session:
            people = session.execute(
                select(Volunteer.id, Volunteer.name)
                .where(Volunteer.active, Volunteer.pin_hash.is_not(None))
                .order_by(Volunteer.name)
            ).all()
        page = render_template(
            "door.html",
            people=people,
            said=said,
            chosen=chosen,
            next=inside(request.values.get("next", "")),
        )
        return page, status

    @door.get("/door")
    @open_to_all("one has to come in somewhere")
    def open_door() -> Any:
        if current_user.is_authenticated:
            return redirect(url_for("desk.today"))
        return show(None, _number(request.cookies.get("hotline_name", "")))

    @door.post("/door")
    @open_to_all("one has to come in somewhere")
    def try_door() -> Any:
        chosen = _number(request.form.get("who", ""))
        pin = request.form.get("pin", "").strip()[:LONGEST_PIN]
        said = knock(runtime.db, runtime.clock, chosen, pin)
        if said.visitor is None:
            return show(said, chosen, 401)
        session.clear()
        login_user(said.visitor)
        session.permanent = True
        response: Response = redirect(inside(request.form.get("next", "")) or url_for("desk.today"))
        # whose device it is, so that the name need not be looked for every morning
        response.set_cookie(
            "hotline_name", str(said.visitor.id), max_age=31_536_000, httponly=True,
            samesite="Lax", secure=_is_secure(runtime.settings),
        )  # fmt: skip
        return response

    @door.post("/leave")
    @open_to_all("leaving is always allowed")
    def leave() -> Any:
        if current_user.is_authenticated:
            with runtime.db.writing() as db_session:
                person = _active(db_session, current_user.id)
                if person:
                    _note(db_session, person, "sign_out", runtime.clock())
            logout_user()
        session.clear()
        flash("您已经退出了。")
        return redirect(url_for("door.open_door"))

    return door


class HouseSessions(SecureCookieSessionInterface):
    """Cookies that are Secure where the browser came by https, and work by http on the room's own net."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get_cookie_secure(self, app: Flask) -> bool:
        return _is_secure(self._settings)


def secret_key(settings: Settings) -> str:
    """The setting, or a key made once and kept in the data folder for all processes."""
    if settings.secret_key:
        return settings.secret_key
    file = settings.data_folder / "secret.key"
    if not file.exists():
        settings.data_folder.mkdir(parents=True, exist_ok=True)
        mine = file.with_name(f"secret.key.{secrets.token_hex(8)}")
        with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_hex(32))
        _first_wins(mine, file)
    return file.read_text().strip()


def _first_wins(mine: Path, file: Path) -> None:
    """Give the finished file its name unless another process was first."""
    try:
        file.hardlink_to(mine)
    except FileExistsError:
        pass
    finally:
        mine.unlink()


def _is_secure(settings: Settings) -> bool:
    behind_proxy = settings.public_url == f"https://{request.host}"
    return request.is_secure or behind_proxy


def _active(session: Session, volunteer_id: int, *, lock: bool = False) -> Volunteer | None:
    asked = select(Volunteer).where(Volunteer.id == volunteer_id, Volunteer.active)
    return session.scalar(asked.with_for_update() if lock else asked)


def _visitor(person: Volunteer) -> Visitor:
    seal = hashlib.sha256((person.pin_hash or "").encode()).hexdigest()[:16]
    return Visitor(person.id, person.name, person.role, seal)


def _note(session: Session, person: Volunteer, act: str, now: datetime) -> None:
    ledger.write(
        session, at=now, person=ledger.volunteer(person.id), act=act,
        object_kind="volunteer", object_id=person.id,
    )  # fmt: skip


def _fits(kept: str | None, pin: str) -> bool:
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


def _number(written: str) -> int | None:
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else None


def _minutes(wait: timedelta) -> int:
    return max(1, -(-int(wait.total_seconds()) // 60))
