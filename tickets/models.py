"""What the errand side keeps. Each class says what one row means and who writes it."""

from datetime import date, datetime
from enum import StrEnum
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
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from hotline.db import Base, UtcDateTime
from hotline.db import kept as _kept
from tickets import names
from tickets.lifecycle import State
from tickets.suggestion import Suggestion


def _where_set(table: str, column: str) -> Index:
    """An index that costs nothing where the column is empty."""
    is_set = text(f"{column} IS NOT NULL")
    return Index(f"ix_{table}_{column}", column, sqlite_where=is_set, postgresql_where=is_set)


class Role(StrEnum):
    VOLUNTEER = "volunteer"
    LEAD = "lead"  # leads the duty: is asked when volunteer and substitute are not there
    COMMITTEE = "committee"
    ADMIN = "admin"


class Kind(StrEnum):
    ERRAND = "errand"
    RING_BACK = "ring_back"  # somebody rang and left no words: a person owes them a call


class Source(StrEnum):
    MESSAGE = "message"  # spoken after the beep
    TALK = "talk"  # a volunteer took the call
    SHORT_CALL = "short_call"
    DESK = "desk"


class Mode(StrEnum):
    """How an errand is done."""

    HELP = "help"  # 帮办: with them
    FOR_THEM = "for_them"  # 代办: somebody goes for them
    AT_HOME = "at_home"  # 上门办: it is done in their home


class Complexity(StrEnum):
    ROUTINE = "routine"
    COMPLEX = "complex"


class Elsewhere(StrEnum):
    """Who does what the line does not."""

    CITY_LINE = "12345"
    AMBULANCE = "120"
    POLICE = "110"
    OTHER = "other"


class Fetch(StrEnum):
    WANTED = "wanted"
    STORED = "stored"
    FAILED = "failed"
    DELETED = "deleted"  # by the rules of retention


class Duty(StrEnum):
    """What a promise owes."""

    FETCH = "fetch"
    TRANSCRIBE = "transcribe"
    LEVEL = "level"  # the recording is of a prompt
    DELETE = "delete"
    RETURN_CALL = "return_call"
    SETTLE_CALL = "settle_call"
    NIGHT_ROUND = "night_round"
    HAND_OVER = "hand_over"  # what is open at the end of a shift
    TELL_VOLUNTEER = "tell_volunteer"  # ring whoever is to take a request, or begins duty
    BRIDGE = "bridge"  # ring a volunteer at their own press, then the resident
    NOTICE = "notice"  # a word to the volunteers' group, with no person in it


class PromiseState(StrEnum):
    OPEN = "open"
    KEPT = "kept"
    OWED = "owed"  # the machine gave up; a person owes it now
    DROPPED = "dropped"  # overtaken by newer news


class Event(StrEnum):
    """The news a return call brings."""

    ACCEPTED = "accepted"
    VISITED = "visited"
    DONE = "done"
    MATERIALS = "materials"


class Dialect(StrEnum):
    """What a resident hears best; also the name of the folder of prompts recorded in it."""

    MANDARIN = "普通话"
    JINHUA = "金华话"


class Volunteer(Base):
    """One person who signs in: a volunteer, the duty lead, a committee member, an administrator."""

    __tablename__ = "volunteers"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    phone: Mapped[str | None] = mapped_column(String(16), default=None)
    role: Mapped[Role] = mapped_column(_kept(Role), default=Role.VOLUNTEER)
    pin_hash: Mapped[str | None] = mapped_column(String(200), default=None)
    wrong_pins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    question: Mapped[str | None] = mapped_column(String(40), default=None)  # whose answer counted
    ring_me: Mapped[bool | None] = mapped_column(default=None)  # None: as the setting says
    active: Mapped[bool] = mapped_column(default=True)
    totp_secret: Mapped[str | None] = mapped_column(String(64), default=None)  # the second factor
    totp_step: Mapped[int] = mapped_column(default=0)  # the last code used: each is good once
    # the secret part of the address of their own calendar feed
    feed_token: Mapped[str | None] = mapped_column(String(64), default=None, unique=True)


class Resident(Base):
    """One resident. Several may share a number; one may have several.

    Written by `tickets.residents`. One that was merged into another stays as a row, so that what
    points at it still does.
    """

    __tablename__ = "residents"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(String(40))
    building: Mapped[str] = mapped_column(String(10), default="")
    unit: Mapped[str] = mapped_column(String(10), default="")
    room: Mapped[str] = mapped_column(String(10), default="")
    dialect: Mapped[Dialect] = mapped_column(_kept(Dialect), default=Dialect.MANDARIN)
    slow: Mapped[bool] = mapped_column(default=False)  # hears better when spoken to slowly
    active: Mapped[bool] = mapped_column(default=True)  # false: moved away, died, or merged
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"), default=None)
    test: Mapped[bool] = mapped_column(default=False)
    # how the name is found by keys: liguifang, lgf; they follow the name
    pinyin: Mapped[str] = mapped_column(String(160), init=False, index=True)
    initials: Mapped[str] = mapped_column(String(40), init=False, index=True)
    phones: Mapped[list["ResidentPhone"]] = relationship(
        default_factory=list, cascade="all, delete-orphan", order_by="ResidentPhone.id"
    )

    @validates("name")
    def _read_aloud(self, _: str, name: str) -> str:
        self.pinyin, self.initials = names.pinyin(name), names.initials(name)
        return name


class ResidentPhone(Base):
    """That a resident can be reached by a number."""

    __tablename__ = "resident_phones"
    __table_args__ = (UniqueConstraint("phone", "resident_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    phone: Mapped[str] = mapped_column(String(16), index=True)
    resident_id: Mapped[int] = mapped_column(
        ForeignKey("residents.id", ondelete="CASCADE"), init=False, index=True
    )


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
    fetch: Mapped[Fetch] = mapped_column(_kept(Fetch), default=Fetch.WANTED)
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
    # whose press a bridged call is
    volunteer_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    event: Mapped[Event | None] = mapped_column(_kept(Event), default=None)
    notice: Mapped[str | None] = mapped_column(String(20), default=None)  # tickets.notices.Why
    state: Mapped[PromiseState] = mapped_column(_kept(PromiseState), default=PromiseState.OPEN)
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    lease_token: Mapped[str | None] = mapped_column(String(32), default=None)
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


class LedgerLine(Base):
    """One change or access: who, when, what, to which object, from where, why. Never changed.

    `hash` is the SHA-256 of the line and of the hash before it, so that no line can be altered or
    left out unnoticed. `sequence` has no gaps. What a person wrote, `why`, is not hashed itself but
    by its salted digest `words`: it can be erased, and the chain still holds (`ledger.erase_words`).
    """

    __tablename__ = "ledger"
    __table_args__ = (Index("ix_ledger_object", "object_kind", "object_id"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    person: Mapped[str] = mapped_column(String(60))
    act: Mapped[str] = mapped_column(String(40))
    object_kind: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[int | None]
    origin: Mapped[str] = mapped_column(String(20))  # phone, desk, system
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    words: Mapped[str] = mapped_column(String(64), default="")
    previous: Mapped[str] = mapped_column(String(64), default="")
    hash: Mapped[str] = mapped_column(String(64), default="")
    why: Mapped[str] = mapped_column(String(400), default="")
    salt: Mapped[str] = mapped_column(String(32), default="")  # so that no digest can be guessed at
