"""What the roster's keeper writes down beside the shifts: special days, days off, swaps, hand-overs."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base, UtcDateTime, kept
from tickets.models import Shift, Volunteer


class DayOverride(Base):
    """A day that is a rest day, or is not, whatever the published calendar says."""

    __tablename__ = "day_overrides"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    rest: Mapped[bool]
    name: Mapped[str] = mapped_column(String(40), default="")


class RainyDay(Base):
    """A day of rain or snow, marked by hand: going out on it counts as heavier."""

    __tablename__ = "rainy_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)


class DayOff(Base):
    """A day on which a volunteer cannot have duty."""

    __tablename__ = "days_off"
    __table_args__ = (UniqueConstraint("volunteer_id", "day"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    volunteer_id: Mapped[int] = mapped_column(ForeignKey("volunteers.id"))
    day: Mapped[date] = mapped_column(Date, index=True)
    why: Mapped[str] = mapped_column(String(80), default="")


class SwapState(StrEnum):
    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    OVERTAKEN = "overtaken"  # the roster changed before the answer came


class Swap(Base):
    """One volunteer asks another to take a shift, in return for one of theirs or for nothing."""

    __tablename__ = "swaps"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    shift_id: Mapped[int] = mapped_column(ForeignKey("shifts.id", ondelete="CASCADE"), index=True)
    from_id: Mapped[int] = mapped_column(ForeignKey("volunteers.id"))
    to_id: Mapped[int] = mapped_column(ForeignKey("volunteers.id"), index=True)
    proposed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    return_shift_id: Mapped[int | None] = mapped_column(
        ForeignKey("shifts.id", ondelete="CASCADE"), default=None
    )
    state: Mapped[SwapState] = mapped_column(kept(SwapState), default=SwapState.PROPOSED)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    shift: Mapped[Shift] = relationship(init=False, foreign_keys=[shift_id])
    return_shift: Mapped[Shift | None] = relationship(init=False, foreign_keys=[return_shift_id])
    asker: Mapped[Volunteer] = relationship(init=False, foreign_keys=[from_id])
    asked: Mapped[Volunteer] = relationship(init=False, foreign_keys=[to_id])


class NoticeKind(StrEnum):
    GAP = "gap"  # hours of duty that nobody has
    OVERLAP = "overlap"  # two shifts at once
    CALENDAR = "calendar"  # the published calendar of holidays ends


class RosterNotice(Base):
    """A hole, an overlap or the calendar's end, announced once. It names no resident."""

    __tablename__ = "roster_notices"
    __table_args__ = (UniqueConstraint("kind", "starts_at", "ends_at"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    kind: Mapped[NoticeKind] = mapped_column(kept(NoticeKind))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    announced_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    words: Mapped[str] = mapped_column(String(200))


class HandOver(Base):
    """What the one going off duty leaves to the next: a note in their own words, and what is open.

    The note may be written during the shift; the rest is written at its end by the worker.
    """

    __tablename__ = "hand_overs"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    shift_id: Mapped[int] = mapped_column(ForeignKey("shifts.id", ondelete="CASCADE"), unique=True)
    note: Mapped[str] = mapped_column(Text, default="")
    to_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    heard_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    # ids of tickets: passed to the next, and kept by whoever took them first
    passed: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)
    still_held: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)
    shift: Mapped[Shift] = relationship(init=False, foreign_keys=[shift_id])
    to: Mapped[Volunteer | None] = relationship(init=False, foreign_keys=[to_id])
