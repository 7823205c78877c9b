"""The devices of the room: where volunteers may sign in. Enrolled once, with a code that lives some minutes."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from hotline.db import Base, UtcDateTime
from tickets import ledger
from tickets.ledger import Person

CODE_DIGITS = 8
CODE_LIVES = timedelta(minutes=10)


class Device(Base):
    """One computer or telephone, from the offer of a code until it is ended.

    Written by whoever offers the code, then by the device that brings it. Only hashes are kept.
    """

    __tablename__ = "devices"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    offered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    code_hash: Mapped[str] = mapped_column(String(64), index=True)
    code_until: Mapped[datetime] = mapped_column(UtcDateTime)
    offered_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    name: Mapped[str] = mapped_column(String(40), default="")
    token_hash: Mapped[str | None] = mapped_column(String(64), default=None, unique=True)
    enrolled_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


def offer(session: Session, by: Person, now: datetime) -> str:
    """A code for one more device, to be typed there within ten minutes."""
    code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
    device = Device(
        offered_at=now, offered_by=by.volunteer_id, code_hash=_hash(code), code_until=now + CODE_LIVES
    )  # fmt: skip
    session.add(device)
    session.flush()
    _note(session, device, "offer_device", by, now)
    return code


def enrol(session: Session, code: str, name: str, now: datetime) -> str | None:
    """The token this device keeps from now on, or None for a code that is not good."""
    device = session.scalar(
        select(Device)
        .where(
            Device.code_hash == _hash(code), Device.code_until > now,
            Device.enrolled_at.is_(None), Device.ended_at.is_(None),
        )
        .with_for_update()
        .limit(1)
    )  # fmt: skip
    if device is None:
        return None
    token = secrets.token_urlsafe(32)
    device.name, device.enrolled_at, device.token_hash = name[:40], now, _hash(token)
    _note(session, device, "enrol_device", ledger.SYSTEM, now)
    return token


def is_enrolled(session: Session, token: str) -> bool:
    return bool(token) and session.scalar(
        select(Device.id).where(Device.token_hash == _hash(token), Device.ended_at.is_(None))
    ) is not None  # fmt: skip


def enrolled(session: Session) -> Sequence[Device]:
    """The devices in use, the newest first."""
    asked = select(Device).where(Device.enrolled_at.is_not(None), Device.ended_at.is_(None))
    return session.scalars(asked.order_by(Device.enrolled_at.desc(), Device.id.desc())).all()


def end(session: Session, device: Device, by: Person, now: datetime) -> None:
    """From now on volunteers cannot sign in there, and who is signed in is out."""
    if device.ended_at is None:
        device.ended_at = now
        _note(session, device, "end_device", by, now)


def _note(session: Session, device: Device, act: str, by: Person, now: datetime) -> None:
    ledger.write(
        session, at=now, person=by, act=act, object_kind="device", object_id=device.id,
        name=device.name,
    )  # fmt: skip


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
