"""The door: one's own name and a PIN; five wrong ones close it for a while."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline import secret
from hotline.clock import Clock
from hotline.config import Settings
from hotline.db import Database
from hotline.runtime import Runtime
from hotline.web import pins, totp
from hotline.web.guard import MACHINES
from tickets import devices, ledger
from tickets.models import Role, Volunteer

WRONG_PINS = 5
LOCKED_FOR = timedelta(minutes=10)
DEVICE_COOKIE = "hotline_device"


@dataclass(frozen=True)
class Visitor(UserMixin):  # type: ignore[misc]  # flask-login has no types
    """Who is signed in. `seal` changes with the PIN, so that a new PIN ends old sessions."""

    id: int
    name: str
    role: Role
    seal: str
    second: bool = False  # has a second factor

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
    CODE = "code"  # the PIN is right; the second factor is asked for next
    STRANGE_DEVICE = "strange_device"


@dataclass(frozen=True, slots=True)
class Knock:
    """What came of one try at the door."""

    answer: Answer
    visitor: Visitor | None = None  # who is in
    half: Visitor | None = None  # whose PIN was right, and whose code is asked for next
    tries_left: int = 0
    minutes: int = 0


def knock(
    db: Database,
    clock: Clock,
    volunteer_id: int | None,
    pin: str,
    *,
    origin: str = "desk",
    question: str | None = None,
) -> Knock:
    """One try. It is counted before the PIN is looked at, so that many at once gain nothing.

    An unknown name costs the same time as a known one. The answer to one `question` of a call is
    one try, also where the carrier reports it twice at once.
    """
    if volunteer_id is None:
        return Knock(Answer.NO_NAME)
    if not pin:
        return Knock(Answer.NO_PIN)
    now = clock()
    with db.writing() as session:
        person = active(session, volunteer_id, lock=True)
        answered = bool(person and question and person.question == question)
        if not answered and (said := _count(person, now)):
            return said
        if person and question:
            person.question = question
        kept = person.pin_hash if person else None
    # Not inside the transaction: it takes a twentieth of a second, and others are writing.
    right = pins.fits(kept, pin) and person is not None
    with db.writing() as session:
        person = active(session, volunteer_id, lock=True)
        if person is None:
            return Knock(Answer.WRONG, tries_left=WRONG_PINS - 1)
        if not right and answered:
            return _refusal(person)
        if not right:
            return _wrong(session, person, "wrong_pin", now, origin)
        if answered and not person.totp_secret:
            return Knock(Answer.WELCOME, visitor_of(person))
        if person.totp_secret:
            # not forgiven yet: a right PIN must not buy five more codes
            if not answered:
                person.wrong_pins, person.locked_until = person.wrong_pins - 1, None
            return Knock(Answer.CODE, half=visitor_of(person))
        return _welcome(session, person, now, origin)


def knock_again(db: Database, clock: Clock, half: Visitor, code: str) -> Knock:
    """The second step: six digits of the person's own device, each good once."""
    now = clock()
    with db.writing() as session:
        person = active(session, half.id, lock=True)
        if person is None or person.totp_secret is None or visitor_of(person).seal != half.seal:
            return Knock(Answer.NO_NAME)
        if said := _count(person, now):
            return said
        step = totp.step(person.totp_secret, code, now)
        if step is None or step <= person.totp_step:
            return _wrong(session, person, "wrong_code", now)
        person.totp_step = step
        return _welcome(session, person, now)


def _count(person: Volunteer | None, now: datetime) -> Knock | None:
    """Count a try; the answer if there are none left."""
    if person is None:
        return None
    if person.locked_until and person.locked_until > now:
        return Knock(Answer.LOCKED, minutes=_minutes(person.locked_until - now))
    if person.locked_until:  # the wait is over: count anew
        person.wrong_pins, person.locked_until = 0, None
    person.wrong_pins += 1
    if person.wrong_pins >= WRONG_PINS:
        person.locked_until = now + LOCKED_FOR
    return None


def _welcome(session: Session, person: Volunteer, now: datetime, origin: str = "desk") -> Knock:
    person.wrong_pins, person.locked_until = 0, None
    note(session, person, "sign_in", now, origin)
    return Knock(Answer.WELCOME, visitor_of(person))


def _wrong(
    session: Session, person: Volunteer, act: str, now: datetime, origin: str = "desk"
) -> Knock:
    refused = _refusal(person)
    note(session, person, "locked_out" if refused.answer is Answer.LOCKED else act, now, origin)
    return refused


def _refusal(person: Volunteer) -> Knock:
    tries_left = WRONG_PINS - person.wrong_pins
    if tries_left <= 0:
        return Knock(Answer.LOCKED, minutes=_minutes(LOCKED_FOR))
    return Knock(Answer.WRONG, tries_left=tries_left)


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
            person = active(session, int(number))
            visitor = visitor_of(person) if person else None
            if visitor and not may_be_here(runtime, session, visitor):
                return None  # the device was ended meanwhile
        return visitor if visitor and secrets.compare_digest(visitor.seal, seal) else None


def may_be_here(runtime: Runtime, session: Session, visitor: Visitor) -> bool:
    """Volunteers sign in on a device of the room; elsewhere only who has a second factor."""
    return visitor.second or on_own_device(runtime, session)


def on_own_device(runtime: Runtime, session: Session) -> bool:
    """Whether this browser was enrolled; a demonstration has no doors."""
    return runtime.settings.demo or devices.is_enrolled(
        session, request.cookies.get(DEVICE_COOKIE, "")
    )


class HouseSessions(SecureCookieSessionInterface):
    """Cookies that are Secure where the browser came by https, and work by http on the room's own net."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith(MACHINES):
            return self.make_null_session(app)  # a carrier has no cookie, and gets none
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        return is_secure(self._settings)


def secret_key(settings: Settings) -> str:
    """The setting, or a key made once and kept in the data folder for all processes."""
    return settings.secret_key or secret.kept(settings.data_folder, "secret.key")


def is_secure(settings: Settings) -> bool:
    behind_proxy = settings.public_url == f"https://{request.host}"
    return request.is_secure or behind_proxy


def active(session: Session, volunteer_id: int, *, lock: bool = False) -> Volunteer | None:
    asked = select(Volunteer).where(Volunteer.id == volunteer_id, Volunteer.active)
    return session.scalar(asked.with_for_update() if lock else asked)


def visitor_of(person: Volunteer) -> Visitor:
    kept = f"{person.pin_hash}{person.totp_secret or ''}"
    seal = hashlib.sha256(kept.encode()).hexdigest()[:16]
    return Visitor(person.id, person.name, person.role, seal, person.totp_secret is not None)


def note(
    session: Session, person: Volunteer, act: str, now: datetime, origin: str = "desk",
    by: ledger.Person | None = None,
) -> None:  # fmt: skip
    ledger.write(
        session, at=now, person=by or ledger.volunteer(person.id, origin), act=act,
        object_kind="volunteer", object_id=person.id,
    )  # fmt: skip


def number(written: str) -> int | None:
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else None


def _minutes(wait: timedelta) -> int:
    return max(1, -(-int(wait.total_seconds()) // 60))
