"""What the telephone side keeps: a row a call, a row a turn."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime


class CallStatus(StrEnum):
    """What the carrier says of a call. The last five are final."""

    UNDER_WAY = "under_way"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"


class Call(Base):
    """One telephone call, in or out. Written at its first webhook; ended by status or by poll."""

    __tablename__ = "calls"
    __table_args__ = (Index("ix_calls_phone_started", "phone", "started_at"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    carrier_sid: Mapped[str] = mapped_column(String(200), unique=True)
    flow: Mapped[str] = mapped_column(String(10))  # inbound, return
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    caller_kind: Mapped[str] = mapped_column(String(10))  # hotline.phone.CallerKind
    answered_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, default=None
    )  # our first word
    phone: Mapped[str | None] = mapped_column(String(16), default=None)
    try_id: Mapped[int | None] = mapped_column(
        ForeignKey("return_tries.id", use_alter=True), default=None
    )
    about_ticket_id: Mapped[int | None] = mapped_column(
        ForeignKey("tickets.id"), default=None, index=True
    )
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    status: Mapped[str] = mapped_column(String(20), default=CallStatus.UNDER_WAY)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    seconds: Mapped[int | None] = mapped_column(default=None)
    test: Mapped[bool] = mapped_column(default=False)


class Turn(Base):
    """One question the line asked: the number it carries, its step, its words, and the answer
    that led to it. The newest turn of a call is where the call stands."""

    __tablename__ = "turns"
    __table_args__ = ({"sqlite_with_rowid": False},)  # found by its key only: one tree, not two

    call_id: Mapped[int] = mapped_column(ForeignKey("calls.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[str] = mapped_column(String(30))
    says: Mapped[list[Any]] = mapped_column(JSON)
    memory: Mapped[dict[str, Any]] = mapped_column(JSON)
    heard: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
