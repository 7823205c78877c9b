"""What outlives a process: calls, recordings, and the reports still owed to the application."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import JSON, Index, create_engine, delete, event, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    mapped_column,
    sessionmaker,
)

from hotline.clock import utc

T = TypeVar("T")


class NotKeptError(OSError):
    """The disk is full or broken: what was to be written is not."""


class CallStatus(StrEnum):
    """The carrier protocol's words."""

    QUEUED = "queued"
    INITIATED = "initiated"  # an event only; never a call's state
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"


FINAL = frozenset(
    {
        CallStatus.COMPLETED,
        CallStatus.BUSY,
        CallStatus.FAILED,
        CallStatus.NO_ANSWER,
        CallStatus.CANCELED,
    }
)


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND_API = "outbound-api"
    OUTBOUND_DIAL = "outbound-dial"


class Base(DeclarativeBase):
    pass


# Instants are ISO text in UTC with their zone: SQLite has no type that keeps one.


class CallRow(MappedAsDataclass, Base, kw_only=True, repr=False):
    """A call, living or dead."""

    __tablename__ = "calls"
    __table_args__ = (Index("ix_calls_to_created", "to_number", "created_at"),)

    sid: Mapped[str] = mapped_column(primary_key=True)
    direction: Mapped[str]
    from_number: Mapped[str] = mapped_column(index=True)
    to_number: Mapped[str]
    status: Mapped[str]
    created_at: Mapped[str] = mapped_column(index=True)
    answered_at: Mapped[str | None] = mapped_column(default=None)
    ended_at: Mapped[str | None] = mapped_column(default=None)
    parent_sid: Mapped[str] = mapped_column(default="")
    sip_code: Mapped[int] = mapped_column(default=0)
    status_callback: Mapped[str] = mapped_column(default="")
    status_method: Mapped[str] = mapped_column(default="POST")
    status_events: Mapped[list[str]] = mapped_column(JSON, default_factory=list)
    sequence: Mapped[int] = mapped_column(default=0)

    @property
    def duration_seconds(self) -> int:
        if not (self.answered_at and self.ended_at):
            return 0
        lasted = datetime.fromisoformat(self.ended_at) - datetime.fromisoformat(self.answered_at)
        return round(lasted.total_seconds())


class RecordingRow(MappedAsDataclass, Base, kw_only=True, repr=False):
    """A recording; its wav is the file of the same name."""

    __tablename__ = "recordings"

    sid: Mapped[str] = mapped_column(primary_key=True)
    call_sid: Mapped[str] = mapped_column(index=True)
    started_at: Mapped[str]
    status: Mapped[str] = mapped_column(default="in-progress")
    seconds: Mapped[float] = mapped_column(default=0.0)
    callback: Mapped[str] = mapped_column(default="")
    callback_method: Mapped[str] = mapped_column(default="POST")


class ReportRow(MappedAsDataclass, Base, kw_only=True, repr=False):
    """Something the application must be told, until it has heard it."""

    __tablename__ = "reports"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    url: Mapped[str]
    method: Mapped[str]
    form: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[str]
    due_at: Mapped[str] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(default=0)


class Store:
    """One SQLite file, used by one thread, so that the event loop never waits for the disk."""

    def __init__(self, folder: Path) -> None:
        self.recordings_folder = folder / "recordings"
        self.recordings_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._engine = create_engine(
            f"sqlite:///{folder / 'exchange.db'}", connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", _prepare)
        Base.metadata.create_all(self._engine)
        self._session = sessionmaker(self._engine, expire_on_commit=False)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._waiting: deque[tuple[Callable[[Session], Any], asyncio.Future[Any]]] = deque()

    async def do(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction, and again in one of its own if another's fails there."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        self._thread.submit(self._work_off)
        return await done

    def _work_off(self) -> None:
        """All that waits, together: twenty calls that end at once wait for the disk once."""
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        results: list[Any] = []
        if len(batch) > 1:
            with suppress(Exception):  # whose fault it is, is found below
                results = self._at_once(lambda session: [work(session) for work, _ in batch])
        for work, _ in batch[len(results) :]:
            try:
                results.append(self._at_once(work))
            except BaseException as error:  # noqa: BLE001  # raised where it is waited for
                results.append(error)
        for (_, done), result in zip(batch, results, strict=True):
            _settle(done, result)

    def _at_once(self, work: Callable[[Session], T]) -> T:
        try:
            with self._session.begin() as session:
                return work(session)
        except OperationalError as error:
            raise NotKeptError(str(error.orig)) from error

    async def save(self, row: Base) -> None:
        """Insert or update a copy: the row itself stays with the caller."""
        values = {c.key: getattr(row, c.key) for c in row.__mapper__.column_attrs}
        if isinstance(row, ReportRow):
            values.pop("id", None)
        kind = type(row)

        def work(session: Session) -> None:
            key = values.get("sid")
            known = session.get(kind, key) if key else None
            if known is None:
                session.add(kind(**values))
            else:
                for name, value in values.items():
                    setattr(known, name, value)

        await self.do(work)

    def wav(self, recording_sid: str) -> Path:
        return self.recordings_folder / f"{recording_sid}.wav"

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._engine.dispose()


def find_call(session: Session, sid: str) -> CallRow | None:
    return session.get(CallRow, sid)


def find_recording(session: Session, sid: str) -> RecordingRow | None:
    return session.get(RecordingRow, sid)


def list_calls(
    session: Session, *, to: str = "", from_: str = "", status: str = "", limit: int = 50
) -> list[CallRow]:
    """Newest first."""
    query = select(CallRow).order_by(CallRow.created_at.desc(), CallRow.sid).limit(limit)
    if to:
        query = query.where(CallRow.to_number == to)
    if from_:
        query = query.where(CallRow.from_number == from_)
    if status:
        query = query.where(CallRow.status == status)
    return list(session.scalars(query))


def placed_since(session: Session, since: datetime, number: str = "") -> int:
    """How many calls we placed since an instant, to `number` or to anybody."""
    query = (
        select(func.count())
        .select_from(CallRow)
        .where(CallRow.direction != Direction.INBOUND.value, CallRow.created_at >= stamp(since))
    )
    if number:
        query = query.where(CallRow.to_number == number)
    return session.scalar(query) or 0


def rang_us(session: Session, endings: list[str], since: datetime) -> bool:
    """Whether somebody rang from a number that is written in one of these ways."""
    query = select(CallRow.sid).where(
        CallRow.direction == Direction.INBOUND.value,
        CallRow.from_number.in_(endings),
        CallRow.created_at >= stamp(since),
    )
    return session.scalar(query.limit(1)) is not None


def unfinished_calls(session: Session) -> list[CallRow]:
    living = [status.value for status in CallStatus if status not in FINAL]
    return list(session.scalars(select(CallRow).where(CallRow.status.in_(living))))


def unfinished_recordings(session: Session) -> list[RecordingRow]:
    return list(session.scalars(select(RecordingRow).where(RecordingRow.status == "in-progress")))


def due_reports(session: Session, now: datetime, limit: int = 20) -> list[ReportRow]:
    query = select(ReportRow).where(ReportRow.due_at <= stamp(now))
    return list(session.scalars(query.order_by(ReportRow.due_at).limit(limit)))


def forget_old(session: Session, before: datetime) -> None:
    """Drop finished calls and hopeless reports. Recordings stay until they are fetched."""
    final = [status.value for status in FINAL]
    session.execute(
        delete(CallRow).where(CallRow.created_at < stamp(before), CallRow.status.in_(final))
    )
    session.execute(delete(ReportRow).where(ReportRow.created_at < stamp(before)))


def stamp(instant: datetime) -> str:
    """Sortable text of an aware instant."""
    return utc(instant).isoformat(timespec="microseconds")


def _settle(done: asyncio.Future[Any], result: object) -> None:
    """From the store's thread."""

    def tell() -> None:
        if done.done():  # nobody waits any more
            return
        if isinstance(result, BaseException):
            done.set_exception(result)
        else:
            done.set_result(result)

    done.get_loop().call_soon_threadsafe(tell)


def _prepare(connection: Any, _: object) -> None:
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;"
        "PRAGMA cache_size=-256;"  # KB; the usual 2 MB fill slowly and look like a leak
    )
