"""Storage: SQLite by default, PostgreSQL by address; one way to read and one way to write."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, cast

from sqlalchemy import (
    Connection,
    DateTime,
    Dialect,
    Engine,
    Enum,
    MetaData,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, Session
from sqlalchemy.types import TypeDecorator

from hotline import clock

BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 10
DONE_LAST = "done last"  # in Session.info: functions of the session, called before its commit


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: UTC in the table, Asia/Shanghai in Python, refused without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else clock.utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:  # SQLite keeps no zone; what we wrote was UTC
            value = value.replace(tzinfo=UTC)
        return value.astimezone(clock.SHANGHAI)


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True, repr=False):
    """The mother of all tables. No repr, so that no log prints what a row holds."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def kept(kind: type[StrEnum]) -> Enum:
    """An enum kept by its value, as plain text."""
    return Enum(kind, native_enum=False, length=20, values_callable=lambda k: [e.value for e in k])


class Database:
    """One engine. `reading` and `writing` are the only ways in; `writing` commits at its end."""

    def __init__(self, url: str, *, synchronous: str = "FULL") -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._gate: WriterGate | None = None
        if self.is_sqlite:
            file = Path(self.url.database or "")
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._gate = WriterGate(file.with_name(file.name + ".gate"))
            self.engine = _sqlite_engine(url, synchronous)
            # The same connections by an engine without events: a twentieth less for each webhook.
            self._plain = create_engine(url, pool=self.engine.pool)
        else:
            self.engine = self._plain = create_engine(url, pool_size=POOL_SIZE, pool_pre_ping=True)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the data and keeps nothing it changes."""
        with self._plain.connect() as connection, Session(connection) as session:
            self._begin(connection, "DEFERRED")
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits at the end of the block, or keeps nothing if it raises.

        Never hold it over a network call: on SQLite it holds the only pen.
        """
        with self._gate or nullcontext(), self._plain.connect() as connection:
            self._begin(connection, "IMMEDIATE")
            with connection.begin(), Session(connection, expire_on_commit=False) as session:
                yield session
                session.flush()
                for do in session.info.pop(DONE_LAST, ()):
                    do(session)

    @contextmanager
    def trying(self) -> Iterator[Session]:
        """A session in which anything can be tried out; nothing of it is kept."""
        with self._gate or nullcontext(), self._plain.connect() as connection:
            self._begin(connection, "IMMEDIATE")
            with Session(connection) as session:
                yield session
                session.rollback()

    def _begin(self, connection: Connection, mode: str) -> None:
        """A deferred transaction that reads and then writes fails at once when another wrote in
        between, whatever the time-out; writers therefore say so when they begin."""
        if self.is_sqlite:
            _driver(connection).execute(f"BEGIN {mode}")

    def close(self) -> None:
        self.engine.dispose()
        if self._gate is not None:
            self._gate.close()


class WriterGate:
    """Lets the writers of all threads and processes pass one by one, in turn.

    SQLite's own busy handler polls unfairly: 99 of 100 writers waited up to 481 ms with it,
    and 51 ms behind a gate (measured at 250 writes a second).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._holder: int | None = None  # the thread that has passed
        self._file: IO[bytes] | None = None
        self._pid = os.getpid()

    def __enter__(self) -> None:
        if self._holder == threading.get_ident():  # it would wait for itself, and the house for it
            raise RuntimeError("a writing session was opened inside another")
        self._lock.acquire()
        self._holder = threading.get_ident()
        try:
            if self._file is None or self._pid != os.getpid():  # a fork shares the lock it inherits
                self._file, self._pid = self._path.open("ab"), os.getpid()
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except BaseException:
            self._let_go()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._holder = None
        self._lock.release()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def connection_of(session: Session) -> Connection:
    """The connection beneath a session of ours, for prebuilt statements that know no ORM.

    They see what was flushed, and cost a third of what they cost through the session.
    """
    return cast(Connection, session.bind)


def _sqlite_engine(url: str, synchronous: str) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        pool_use_lifo=True,  # the connection that wrote last still has its pages
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would always be deferred
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        _driver(connection).execute("BEGIN")  # not by way of events again

    return engine


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
