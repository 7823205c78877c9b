"""Three years of a very busy neighbourhood: 300,000 requests, 1,000,000 calls; figures, lists, export."""

import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.schema import CreateIndex

from hotline.clock import SHANGHAI
from hotline.config import Settings
from hotline.db import Database
from hotline.schema import metadata
from hotline.web import board
from hotline.web.auth import Visitor
from tickets import audit, counting, export, listings, triggers
from tickets.counting import Period
from tickets.figure_days import StaleDay
from tickets.ledger import seal
from tickets.models import Role, Ticket

TICKETS = int(os.environ.get("BENCH_TICKETS", "300000"))
CALLS = TICKETS * 10 // 3
FIRST, DAYS = date(2023, 11, 1), 1109
NOW = datetime(2026, 11, 13, 10, 0, tzinfo=SHANGHAI)
MONTH, YEAR = Period.month(2026, 10), Period.year(2025)
REPEATS = 15
OPEN = 400  # of the newest requests
PEOPLE = 16

Table = tuple[str, tuple[str, ...], Iterator[tuple[Any, ...]]]


def run() -> Iterator[tuple[str, str]]:
    """Rows of (name, figure)."""
    with TemporaryDirectory() as folder:
        yield from _measure(f"sqlite:///{folder}/hotline.db", "SQLite")
        import postgres

        with postgres.server() as url:
            yield from _measure(url, "PostgreSQL")


def _measure(url: str, name: str) -> Iterator[tuple[str, str]]:
    db = Database(url, synchronous="NORMAL")
    began = time.perf_counter()
    build(db)
    yield f"{name}: {TICKETS} requests and {CALLS} calls built", f"{_since(began):.0f} s"
    began = time.perf_counter()
    with db.writing() as session:
        session.add(StaleDay(day=FIRST))
        session.flush()
        days = counting.count_past_days(session, NOW, DAYS)
    yield f"{name}: {days} past days counted for the first time, a day", f"{_since(began) / days * 1000:.1f} ms"  # fmt: skip
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    with db.reading() as session:
        yield f"{name}: figures of a month (wanted: 50 ms)", _times(lambda: counting.report(session, MONTH, NOW))  # fmt: skip
        yield f"{name}: figures of this month, today by scan", _times(lambda: counting.report(session, Period.month(2026, 11), NOW))  # fmt: skip
        yield f"{name}: figures of a year (wanted: 50 ms)", _times(lambda: counting.report(session, YEAR, NOW))  # fmt: skip
        yield f"{name}: a month by scan, without the roll-up", _times(lambda: counting.scan(session, MONTH.start, MONTH.end, NOW), 3)  # fmt: skip
        for who, role in (("a volunteer", Role.VOLUNTEER), ("the committee", Role.COMMITTEE)):
            me = board.standing(session, Visitor(3, "x", role, ""), NOW)
            lists: dict[str, Callable[[], Any]] = {
                "what is open": lambda: board.to_do(session, settings, me, NOW),  # noqa: B023
                "what was finished": lambda: board.finished(session, settings, me, NOW),  # noqa: B023
                "how many were finished": lambda: board.finished_count(session, me, NOW),  # noqa: B023
                "everything": lambda: board.everything(session, settings, NOW),
            }
            for title, ask in lists.items():
                yield f"{name}: list of {who}, {title} (wanted: 10 ms)", _times(ask, session=session)  # fmt: skip
        ticket = session.get_one(Ticket, TICKETS // 2)
        began = time.perf_counter()
        lines = audit.verify(session).lines
        yield f"{name}: the whole ledger verified", f"{lines} lines, {_since(began):.0f} s"
        yield f"{name}: the life of one request", _times(lambda: board.life(session, ticket, {}))
        yield f"{name}: behind a figure of a month, 50 rows", _times(lambda: session.execute(_behind()).all())  # fmt: skip
    db.close()
    for sheet, kind in (("tickets", "csv"), ("tickets", "xlsx"), ("calls", "csv")):
        child = subprocess.run(
            [sys.executable, "-c", f"from tests.bench.neighbourhood import exported; exported({url!r}, {sheet!r}, {kind!r})"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        yield f"{name}: export of all {sheet} to {kind}, more memory (wanted: 64 MB)", child.stdout.strip()  # fmt: skip


def exported(url: str, sheet: str, kind: str) -> None:
    """In a process of its own: write a sheet and say what memory it took."""
    db = Database(url)
    whole = (NOW - timedelta(days=2 * DAYS), NOW + timedelta(days=DAYS))
    one_day = (NOW - timedelta(days=1), NOW)
    chosen, write = listings.BY_KEY[sheet], export.write_csv if kind == "csv" else export.write_xlsx
    with db.reading() as session, TemporaryDirectory() as folder:
        path = Path(folder) / f"sheet.{kind}"
        for span in (one_day, whole):
            before, began = _peak_megabytes(), time.perf_counter()
            with path.open("wb") if kind == "xlsx" else path.open("w", newline="") as file:
                rows = write(session, chosen, *span, file)  # type: ignore[operator]
        print(f"{_peak_megabytes() - before:.0f} MB, {rows} rows, {_since(began):.0f} s")
    db.close()


def build(db: Database) -> None:
    """All rows at once; the triggers and the indexes are put up afterwards, and what points is looked at."""
    metadata.create_all(db.engine)
    with db.engine.begin() as connection:
        triggers.lift(connection)
    (_fill_sqlite if db.is_sqlite else _fill_postgresql)(db)
    with db.engine.begin() as connection:
        triggers.post(connection)


def _fill_sqlite(db: Database) -> None:
    """Beside the engine: nothing of this build is worth a journal, everything of it worth a check."""
    db.engine.dispose()
    indexes = [index for table in metadata.sorted_tables for index in table.indexes]
    with closing(sqlite3.connect(str(db.url.database), isolation_level=None)) as file:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-200000", "locking_mode=EXCLUSIVE"):  # fmt: skip
            file.execute(f"PRAGMA {pragma}")
        file.execute("BEGIN")
        for index in indexes:
            file.execute(f"DROP INDEX {index.name}")
        for table, columns, rows in _tables():
            marks = ",".join("?" * len(columns))
            file.executemany(f"INSERT INTO {table} ({','.join(map(_quoted, columns))}) VALUES ({marks})", rows)  # fmt: skip
        for index in indexes:
            file.execute(str(CreateIndex(index).compile(dialect=db.engine.dialect)))
        file.execute("COMMIT")
        assert not file.execute("PRAGMA foreign_key_check").fetchone()
        file.execute("PRAGMA journal_mode=WAL")


def _fill_postgresql(db: Database) -> None:
    with db.engine.begin() as connection:
        cursor = connection.connection.cursor()
        for table, columns, rows in _tables():
            with cursor.copy(f"COPY {table} ({','.join(map(_quoted, columns))}) FROM STDIN") as copy:  # fmt: skip
                for row in rows:
                    copy.write_row(row)
            if "id" in columns:
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
                )
    with db.engine.connect() as connection:  # it does so by itself in time
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _tables() -> Iterator[Table]:
    yield "volunteers", ("id", "name", "role", "wrong_pins", "active", "totp_step"), (
        (n, f"志愿者{n}", "volunteer", 0, "1", 0) for n in range(1, PEOPLE + 1)
    )  # fmt: skip
    yield "shifts", ("starts_at", "ends_at", "volunteer_id"), (
        (_text(_noon(day) + timedelta(hours=b)), _text(_noon(day) + timedelta(hours=e)), day % PEOPLE + 1)
        for day in range(DAYS + 14) for b, e in ((-3.5, -0.5), (2, 5))
    )  # fmt: skip
    yield "calls", ("id", "carrier_sid", "flow", "started_at", "answered_at", "ended_at", "caller_kind", "phone", "taken_by", "status", "seconds", "test"), (
        (n, f"CA{n}", "inbound" if n % 5 else "return", _text(at := _call_at(n)), _text(at + timedelta(seconds=1)),
         _text(at + timedelta(minutes=1)), "known", _phone(n), n % PEOPLE + 1 if n % 6 == 0 else None, "completed", 60, "0")
        for n in range(1, CALLS + 1)
    )  # fmt: skip
    yield "tickets", (
        "id", "day", "sequence", "kind", "source", "opened_at", "contact_by", "accept_by", "state", "round", "urgent", "phone",
        "call_id", "assignee_id", "note", "missing", "satisfaction", "contacted_at", "accepted_at", "done_by", "done_at",
        "complexity", "in_person", "resident_trips", "void_reason", "hold", "version", "test",
    ), map(_ticket, range(1, TICKETS + 1))  # fmt: skip
    done = range(1, TICKETS - OPEN)
    yield "ticket_rounds", ("ticket_id", "number", "began_at", "why", "done_at"), (
        (n, 1, _text(_opened(n)), "", _text(_opened(n) + timedelta(hours=20)) if n < TICKETS - OPEN else None)
        for n in range(1, TICKETS + 1)
    )  # fmt: skip
    yield "ticket_rounds", ("ticket_id", "number", "began_at", "why"), (
        (n, 2, _text(_opened(n) + timedelta(days=3)), "") for n in done if n % 40 == 0
    )  # fmt: skip
    yield "recordings", ("carrier_id", "url", "made_at", "call_id", "ticket_id", "superseded", "cut_short", "reply", "fetch", "media_type"), (
        (f"RE{n}", "https://x.test", _text(_opened(n)), _call(n), n, "0", "0", "0", "stored", "audio/wav")
        for n in range(1, TICKETS + 1) if n % 5
    )  # fmt: skip
    yield "journeys", ("id", "at", "went", "place", "settled", "written_by", "written_at", "reason", "reason_note"), (
        (n, _text(at := _opened(_served(n)) + timedelta(hours=n % 2 + 1)), "volunteer" if n % 3 else "resident", "窗口",
         "1", "volunteer:1", _text(at), ("materials", "closed", None)[n % 3], "")
        for n in range(1, TICKETS * 2 // 3)
    )  # fmt: skip
    yield "journey_tickets", ("journey_id", "ticket_id"), ((n, _served(n)) for n in range(1, TICKETS * 2 // 3))  # fmt: skip
    yield "promises", ("id", "duty", "made_at", "due_at", "ticket_id", "event", "state", "attempts", "result"), (
        (n, "return_call", _text(at := _opened(n) + timedelta(hours=20)), _text(at), n, "done", "kept", 1, "已听完并按1")
        for n in done
    )  # fmt: skip
    yield "return_tries", ("promise_id", "token", "phone", "placed_at", "outcome", "ended_at", "satisfaction", "test"), (
        (n, f"t{n}", _phone(_call(n)), _text(at := _opened(n) + timedelta(hours=21)),
         ("heard", "heard", "no_answer")[n % 3], _text(at), 1 if n % 4 else 3, False)
        for n in done
    )  # fmt: skip
    yield "ledger", ("sequence", "at", "person", "act", "object_kind", "object_id", "origin", "facts", "words", "previous", "hash", "why", "salt"), _ledger()  # fmt: skip


def _ledger() -> Iterator[tuple[Any, ...]]:
    previous = ""
    for number in range(2 * TICKETS):
        ticket = number // 2 + 1
        at, act = _opened(ticket), ("open", "assign")[number % 2]
        line = [str(number + 1), _text(at), "system", act, "ticket", str(ticket), "system", "{}", "", previous]  # fmt: skip
        previous = seal(line)
        yield (number + 1, line[1], *line[2:5], ticket, *line[6:], previous, "", "")


def _ticket(n: int) -> tuple[Any, ...]:
    opened, ended = _opened(n), n < TICKETS - OPEN
    kind = "ring_back" if n % 9 == 0 else "errand"
    state = "withdrawn" if n % 23 == 0 else "closed" if ended else ("assigned", "in_hand")[n % 2]
    contacted = _text(opened + timedelta(minutes=n % 300)) if ended or n % 2 else None
    return (
        n, f"{(opened + timedelta(hours=8)).date()}", n, kind, "message", _text(opened), _text(opened + timedelta(hours=2)),
        _text(opened + timedelta(minutes=30)), state, 1, "0", _phone(_call(n)), _call(n), n % PEOPLE + 1, "", "", 1 if n % 4 else 3,
        contacted, contacted, _text(opened + timedelta(hours=48)), _text(opened + timedelta(hours=20 + n % 40)) if ended else None,
        "routine", "0", n % 3, "", "", 4, "0",
    )  # fmt: skip


def _call(ticket: int) -> int:
    return ticket * 10 // 3 - 2


def _served(journey: int) -> int:
    return journey * 3 // 2  # some requests none, some two


def _opened(ticket: int) -> datetime:
    return _call_at(_call(ticket))


def _call_at(call: int) -> datetime:
    after = call * (DAYS * 86400 - 50_000) // CALLS
    return datetime(2023, 11, 1, tzinfo=UTC) + timedelta(seconds=after)


def _noon(day: int) -> datetime:
    return datetime(2023, 11, 1, 4, tzinfo=UTC) + timedelta(days=day)


def _phone(number: int | None) -> str:
    return f"+86138{number * 7919 % 3000:08d}" if number else ""


def _text(at: datetime) -> str:
    return f"{str(at)[:19]}.000000"  # a third of what formatting takes


def _quoted(name: str) -> str:
    return f'"{name}"'


def _behind() -> Any:
    from tickets.figures import BY_KEY, behind

    return behind(BY_KEY["once"], MONTH.start, MONTH.end, NOW, counted=True).limit(50)


def _times(ask: Callable[[], Any], repeats: int = REPEATS, session: Any = None) -> str:
    seconds, worked = [], []
    for _ in range(repeats + 1):
        if session is not None:
            session.expunge_all()  # as at a page of its own
        began, cpu = time.perf_counter(), time.process_time()
        ask()
        seconds.append(_since(began) * 1000)
        worked.append((time.process_time() - cpu) * 1000)
    return f"{statistics.median(seconds[1:]):.1f} ms, at worst {max(seconds[1:]):.1f}; processor {statistics.median(worked[1:]):.1f} ms"


def _since(began: float) -> float:
    return time.perf_counter() - began


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
