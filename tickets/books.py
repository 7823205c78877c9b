"""What the committee keeps about its own keeping: marks in the ledger, sealed months, spot checks,
receipts of what was deleted."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime, kept


class LedgerMark(Base):
    """What the ledger's last line was at a moment: with it a lost tail is seen.

    Written by the nightly round, with each seal, and before old lines are deleted.
    """

    __tablename__ = "ledger_marks"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    sequence: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
    cut: Mapped[bool] = mapped_column(default=False)  # lines up to this one were deleted by rule


class Seal(Base):
    """One month's sealed bundle, as it lies in the store. Written once, never changed."""

    __tablename__ = "seals"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)  # 2026-10
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    key: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int]


class Verification(Base):
    """That somebody had the whole ledger read, and what was found. Asked for at the desk, answered by
    the hands: a million lines take longer than a page may."""

    __tablename__ = "verifications"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"))
    found_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    lines: Mapped[int | None] = mapped_column(default=None)
    fault: Mapped[str | None] = mapped_column(String(300), default=None)  # for the committee


class Suspicion(StrEnum):
    """Why a request is looked at again."""

    RANDOM = "random"
    DISSATISFIED = "dissatisfied"
    OVERDUE = "overdue"
    SECOND_TRIP = "second_trip"


class Finding(StrEnum):
    PASSED = "passed"
    RETURNED = "returned"


class SpotCheck(Base):
    """That the committee looks at one request of a month. Drawn by `tickets.spot_checks`; what they
    found is written by whoever looked."""

    __tablename__ = "spot_checks"
    __table_args__ = (UniqueConstraint("month", "ticket_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    month: Mapped[str] = mapped_column(String(7))
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)
    why: Mapped[list[str]] = mapped_column(JSON)  # each a Suspicion
    seed: Mapped[int]
    drawn_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finding: Mapped[Finding | None] = mapped_column(kept(Finding), default=None)
    found_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    found_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    note: Mapped[str] = mapped_column(String(400), default="")


class Receipt(Base):
    """What was deleted or made nameless, when, by which rule, and how much of it. Kept for good."""

    __tablename__ = "receipts"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    kind: Mapped[str] = mapped_column(String(20))  # audio, text, person, access_log
    rule: Mapped[str] = mapped_column(String(200))  # in plain words
    count: Mapped[int]
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
