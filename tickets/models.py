"""What the errand side keeps. Each class says what one row means and who writes it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base, UtcDateTime
from hotline.db import kept as _kept
from tickets.kinds import Complexity as Complexity
from tickets.kinds import Duty as Duty
from tickets.kinds import Elsewhere as Elsewhere
from tickets.kinds import Event as Event
from tickets.kinds import Fetch as Fetch
from tickets.kinds import Kind as Kind
from tickets.kinds import Mode as Mode
from tickets.kinds import PromiseState as PromiseState
from tickets.kinds import Source as Source
from tickets.ledger_line import LedgerLine as LedgerLine
from tickets.lifecycle import State
from tickets.people import Dialect as Dialect
from tickets.people import Resident as Resident
from tickets.people import ResidentPhone as ResidentPhone
from tickets.people import Role as Role
from tickets.people import Volunteer as Volunteer
from tickets.suggestion import Suggestion


def _where_set(table: str, column: str) -> Index:
    """An index that costs nothing where the column is empty."""
    is_set = text(f"{column} IS NOT NULL")
    return Index(f"ix_{table}_{column}", column, sqlite_where=is_set, postgresql_where=is_set)


class Shift(Base):
    """Who is on duty in `[starts_at, ends_at)`. Written by the roster's keeper."""

    __tablename__ = "shifts"
    __table_args__ = (CheckConstraint("starts_at < ends_at", name="forward"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    volunteer_id: Mapped[int] = mapped_column(ForeignKey("volunteers.id"))
    substitute_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    volunteer: Mapped[Volunteer] = relationship(
        init=False, foreign_keys=[volunteer_id], lazy="joined"
    )
    substitute: Mapped[Volunteer | None] = relationship(
        init=False, foreign_keys=[substitute_id], lazy="joined"
    )


def number(day: date, sequence: int) -> str:
    """Month, day and the day's sequence: short enough to say, such as 1123-07."""
    return f"{day:%m%d}-{sequence:02d}"


class Ticket(Base):
    """One request of one resident. Its state is changed by `tickets.service.act` only."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("day", "sequence"),
        Index("ix_tickets_open_by_phone", "phone", "state"),
        Index("ix_tickets_assignee_state", "assignee_id", "state"),
        Index("ix_tickets_state_opened_at", "state", "opened_at"),
        _where_set("tickets", "merged_into_id"),
        # one call makes at most one request, however often and by whomever it is reported
        UniqueConstraint("call_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    day: Mapped[date] = mapped_column(Date)
    sequence: Mapped[int]
    kind: Mapped[Kind] = mapped_column(_kept(Kind))
    source: Mapped[Source] = mapped_column(_kept(Source))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    contact_by: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    accept_by: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[State] = mapped_column(_kept(State), default=State.NEW)
    round: Mapped[int] = mapped_column(default=1)
    urgent: Mapped[bool] = mapped_column(default=False)
    phone: Mapped[str | None] = mapped_column(String(16), default=None)
    resident_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"), default=None)
    call_id: Mapped[int | None] = mapped_column(
        ForeignKey("calls.id", use_alter=True), default=None
    )
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    first_taker_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    matter: Mapped[str | None] = mapped_column(String(40), default=None)
    note: Mapped[str] = mapped_column(Text, default="")
    missing: Mapped[str] = mapped_column(String(200), default="")
    satisfaction: Mapped[int | None] = mapped_column(default=None)
    contacted_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None, index=True)
    assigned_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)  # the last time
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)  # this round
    done_by: Mapped[datetime | None] = mapped_column(
        UtcDateTime, default=None, index=True
    )  # a deadline
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    # who accepted it last: theirs until another accepts, also while it is being passed on
    holder_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    mode: Mapped[Mode | None] = mapped_column(_kept(Mode), default=None)
    complexity: Mapped[Complexity] = mapped_column(_kept(Complexity), default=Complexity.ROUTINE)
    in_person: Mapped[bool] = mapped_column(default=False)  # they came to the desk themselves
    resident_trips: Mapped[int | None] = mapped_column(default=None)  # by their own count
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), default=None)
    referred_to: Mapped[Elsewhere | None] = mapped_column(_kept(Elsewhere), default=None)
    void_reason: Mapped[str] = mapped_column(String(200), default="")
    hold: Mapped[str] = mapped_column(String(200), default="")  # why nothing of it is deleted
    nameless_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    version: Mapped[int] = mapped_column(default=0)  # one more with every act and every undoing
    test: Mapped[bool] = mapped_column(default=False)

    resident: Mapped[Resident | None] = relationship(init=False, foreign_keys=[resident_id])
    assignee: Mapped[Volunteer | None] = relationship(init=False, foreign_keys=[assignee_id])
    recordings: Mapped[list["Recording"]] = relationship(
        init=False, back_populates="ticket", order_by="Recording.id"
    )
    promises: Mapped[list["Promise"]] = relationship(
        init=False, back_populates="ticket", order_by="Promise.id"
    )

    @property
    def number(self) -> str:
        return number(self.day, self.sequence)


class TicketDay(Base):
    """The last sequence given out on a day; its row is what two simultaneous requests queue for."""

    __tablename__ = "ticket_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    last: Mapped[int]


class Recording(Base):
    """One message as the carrier holds it, and, once fetched, as we keep it.

    Written by the webhook that first hears of it (`ivr.recordings`), then by the hands.
    """

    __tablename__ = "recordings"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    carrier_id: Mapped[str] = mapped_column(String(200), unique=True)
    url: Mapped[str] = mapped_column(String(500))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    call_id: Mapped[int | None] = mapped_column(ForeignKey("calls.id"), default=None, index=True)
    ticket_id: Mapped[int | None] = mapped_column(
        ForeignKey("tickets.id"), default=None, index=True
    )
    turn: Mapped[int | None] = mapped_column(default=None)  # the question it answers
    superseded: Mapped[bool] = mapped_column(default=False)  # the caller said it again
    reply: Mapped[bool] = mapped_column(default=False)  # spoken in a return call
    claimed_seconds: Mapped[float | None] = mapped_column(default=None)  # by the carrier's word
    cut_short: Mapped[bool] = mapped_column(default=False)  # its end is lost, the carrier says
    fetch: Mapped[Fetch] = mapped_column(_kept(Fetch), default=Fetch.WANTED, index=True)
    key: Mapped[str | None] = mapped_column(String(200), default=None)  # name in the store
    media_type: Mapped[str] = mapped_column(String(40), default="")
    sha256: Mapped[str | None] = mapped_column(String(64), default=None)
    size_bytes: Mapped[int | None] = mapped_column(default=None)
    ticket: Mapped[Ticket | None] = relationship(init=False, back_populates="recordings")
    transcript: Mapped["Transcript | None"] = relationship(init=False, back_populates="recording")
    suggestion: Mapped[Suggestion | None] = relationship(init=False)


class Transcript(Base):
    """What the machine heard in a recording, and what a person made of it. Both are kept."""

    __tablename__ = "transcripts"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    recording_id: Mapped[int] = mapped_column(ForeignKey("recordings.id"), unique=True)
    outcome: Mapped[str] = mapped_column(String(20))  # asr.transcript.Outcome
    text: Mapped[str] = mapped_column(Text)
    trusted: Mapped[bool]
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confidence: Mapped[float] = mapped_column(default=0.0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    speech_seconds: Mapped[float] = mapped_column(default=0.0)
    model: Mapped[str] = mapped_column(String(100), default="")
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    corrected_text: Mapped[str | None] = mapped_column(Text, default=None)
    corrected_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    corrected_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    recording: Mapped[Recording] = relationship(init=False, back_populates="transcript")


class Promise(Base):
    """Something the house owes, written in the transaction that caused it.

    A worker that takes it holds a lease with a token; whoever comes back with an old token has
    lost it and changes nothing.
    """

    __tablename__ = "promises"
    __table_args__ = (
        Index("ix_promises_due", "state", "due_at"),
        UniqueConstraint("duty", "call_id"),
        UniqueConstraint("duty", "shift_id"),
        # Most promises are about neither: each call makes one to settle it.
        _where_set("promises", "recording_id"),
        _where_set("promises", "ticket_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    duty: Mapped[Duty] = mapped_column(_kept(Duty))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recording_id: Mapped[int | None] = mapped_column(ForeignKey("recordings.id"), default=None)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), default=None)
    call_id: Mapped[int | None] = mapped_column(
        ForeignKey("calls.id", use_alter=True), default=None
    )
    # a shift that was taken off the roster leaves its promises without one
    shift_id: Mapped[int | None] = mapped_column(
        ForeignKey("shifts.id", ondelete="SET NULL"), default=None
    )
    reminder_id: Mapped[int | None] = mapped_column(ForeignKey("reminders.id"), default=None)
    # whose press a bridged call or a seal is
    volunteer_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    event: Mapped[Event | None] = mapped_column(_kept(Event), default=None)
    notice: Mapped[str | None] = mapped_column(String(20), default=None)  # tickets.notices.Why
    month: Mapped[str | None] = mapped_column(String(7), default=None)  # 2026-11, to be sealed
    state: Mapped[PromiseState] = mapped_column(_kept(PromiseState), default=PromiseState.OPEN)
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    lease_token: Mapped[str | None] = mapped_column(String(64), default=None)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    result: Mapped[str] = mapped_column(String(200), default="")
    ticket: Mapped[Ticket | None] = relationship(init=False, back_populates="promises")
    tries: Mapped[list["ReturnTry"]] = relationship(
        init=False, secondary="try_promises", order_by="ReturnTry.id", viewonly=True
    )


# Which promises a try is to settle: one call brings all the news of a person.
TRY_PROMISES = Table(
    "try_promises",
    Base.metadata,
    Column("try_id", ForeignKey("return_tries.id"), primary_key=True),
    Column("promise_id", ForeignKey("promises.id"), primary_key=True, index=True),
)


class ReturnTry(Base):
    """One attempt to ring a resident with news, or a volunteer. Written before the carrier is
    asked to dial (`tickets.dialling`).

    Its token stands in the call's Url, so that a call whose creation we never heard of is
    still known by the first webhook it sends. `promise_id` is the promise that was due.
    """

    __tablename__ = "return_tries"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    promise_id: Mapped[int] = mapped_column(ForeignKey("promises.id"), index=True)
    token: Mapped[str] = mapped_column(String(32), unique=True)
    phone: Mapped[str] = mapped_column(String(16), index=True)
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    carrier_sid: Mapped[str | None] = mapped_column(String(200), default=None)
    outcome: Mapped[str | None] = mapped_column(String(20), default=None)  # tickets.returns.Outcome
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None, index=True)
    satisfaction: Mapped[int | None] = mapped_column(default=None)  # said in this call
    volunteer_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    test: Mapped[bool] = mapped_column(default=False)  # on the telephone in the browser
    reached: Mapped[str | None] = mapped_column(String(20), default=None)  # tickets.bridges.Reached
    promise: Mapped[Promise] = relationship(init=False)
