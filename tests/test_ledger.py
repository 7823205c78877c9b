"""The ledger cannot be forked, changed unnoticed or cut, on both databases."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from conftest import ON_BOTH
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI
from hotline.db import Database
from hotline.schema import metadata
from tickets import audit, ledger
from tickets.audit import Mark
from tickets.ledger import LEDGER
from tickets.models import LedgerLine, Volunteer

NOW = datetime(2026, 11, 23, 9, 10, tzinfo=SHANGHAI)
LINES = 6
FORK = get_context("fork")


@pytest.fixture
def db(database_url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(database_url or f"sqlite:///{tmp_path / 'hotline.db'}")
    metadata.create_all(database.engine)
    yield database
    database.close()


def write(session: Session, act: str = "listen", at: datetime = NOW, **facts: Any) -> None:
    ledger.write(
        session, at=at, person=ledger.volunteer(3), act=act, object_kind="ticket", object_id=7,
        why="听一听", **facts,
    )  # fmt: skip


@pytest.fixture
def lines(db: Database) -> Database:
    """A ledger of six lines."""
    for number in range(LINES):
        with db.writing() as session:
            write(session, at=NOW + timedelta(minutes=number), matter="水费", number=number)
    return db


@contextmanager
def unguarded(db: Database) -> Iterator[Any]:
    """A connection of somebody who owns the machine."""
    with db.engine.begin() as connection:
        if db.is_sqlite:
            for trigger in ("ledger_keeps", "ledger_keeps_young", "ledger_grows"):
                connection.execute(text(f"DROP TRIGGER {trigger}"))
        else:
            connection.execute(text("ALTER TABLE ledger DISABLE TRIGGER USER"))
        yield connection


def verdict(db: Database, *beside: Mark) -> audit.Verdict:
    with db.reading() as session:
        return audit.verify(session, list(beside))


@ON_BOTH
def test_what_was_written_is_whole(lines: Database) -> None:
    found = verdict(lines)
    assert (found.lines, found.sequence, found.fault) == (LINES, LINES, None)
    with lines.reading() as session:
        line = session.get_one(LedgerLine, 3)
        assert (line.at, line.facts) == (
            NOW + timedelta(minutes=2),
            {"matter": "水费", "number": 2},
        )
        assert line.hash != line.previous


@ON_BOTH
def test_a_line_of_a_transaction_that_failed_was_never_written(lines: Database) -> None:
    def stumble(session: Session) -> None:
        write(session, "undone")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), lines.writing() as session:
        stumble(session)
    with lines.writing() as session:
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            stumble(session)
        write(session, "kept")
    with lines.reading() as session:
        assert session.get_one(LedgerLine, LINES + 1).act == "kept"
    assert verdict(lines) == audit.Verdict(LINES + 1, LINES + 1, verdict(lines).hash, None)


@ON_BOTH
def test_a_transaction_reads_what_it_has_written(lines: Database) -> None:
    with lines.writing() as session:
        write(session, "first")
        assert session.scalar(select(func.max(LedgerLine.sequence))) == LINES + 1
        write(session, "second")
        acts = select(LedgerLine.act).order_by(LedgerLine.sequence.desc()).limit(2)
        assert session.scalars(acts).all() == ["second", "first"]
    assert verdict(lines).lines == LINES + 2


@ON_BOTH
def test_one_flipped_bit_in_any_column_is_found(lines: Database) -> None:
    """The database files of somebody who owns the machine are no harder to edit than this."""
    with unguarded(lines) as connection:
        for column in (each.name for each in LEDGER.c):
            found = [fault_of(connection, column, value) for value in turned(connection, column)]
            found = [fault for fault in found if fault != REFUSED_BY_DATABASE]
            assert found, column
            for fault in found:
                assert isinstance(fault, audit.Fault), column
                assert fault.sequence == 4
                assert "第 4 行" in fault.sentence


REFUSED_BY_DATABASE = "no such json, no such number"


def turned(connection: Connection, column: str) -> list[object]:
    """The value in line 4 with one bit turned, wherever the database would hold it."""
    sqlite = connection.dialect.name == "sqlite"
    shown = column if sqlite or column != "facts" else "facts::text"
    value = connection.execute(text(f"SELECT {shown} FROM ledger WHERE sequence = 4")).scalar()
    if isinstance(value, int):
        return [value ^ 1, value ^ 64]
    if isinstance(value, datetime):
        return [value + timedelta(seconds=1), value + timedelta(microseconds=1)]
    raw = str(value).encode()
    damaged = [
        bytes([*raw[:i], raw[i] ^ 1 << bit, *raw[i + 1 :]])
        for i in range(len(raw))
        for bit in (0, 5, 7)
    ]
    return [d if sqlite else d.decode("utf-8", "replace").replace("\0", "?") for d in damaged]


def fault_of(connection: Connection, column: str, value: object) -> audit.Fault | str | None:
    """What verify says while line 4 holds the value."""
    set_to = ":value" if not isinstance(value, str | bytes) else "CAST(:value AS TEXT)"
    if column == "facts" and isinstance(value, str):
        set_to = "CAST(:value AS json)"
    attempt = connection.begin_nested()
    try:
        connection.execute(
            text(f"UPDATE ledger SET {column} = {set_to} WHERE sequence = 4"), {"value": value}
        )
        with Session(connection) as session:
            return audit.verify(session).fault
    except DBAPIError:
        return REFUSED_BY_DATABASE
    finally:
        attempt.rollback()


@ON_BOTH
def test_a_line_taken_out_is_missed(lines: Database) -> None:
    with unguarded(lines) as connection:
        connection.execute(text("DELETE FROM ledger WHERE sequence = 3"))
    fault = verdict(lines).fault
    assert fault == audit.Fault(3, "第 3 行不见了：前一行之后直接是第 4 行。")


@ON_BOTH
def test_a_tail_cut_off_is_missed_when_its_end_was_marked(lines: Database) -> None:
    with lines.writing() as session:
        audit.head(session, NOW)
    noted = verdict(lines)
    with unguarded(lines) as connection:
        connection.execute(text("DELETE FROM ledger WHERE sequence > 4"))
    fault = verdict(lines).fault
    assert fault is not None
    assert (fault.sequence, "记下有 6 行，现在只到第 4 行" in fault.sentence) == (5, True)
    with lines.engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger_marks"))
    assert verdict(lines).fault is None  # nothing in this database knows better
    outside = verdict(lines, Mark(noted.sequence, noted.hash, "封存的 2026-10 ")).fault
    assert outside is not None
    assert "封存的 2026-10 记下有 6 行" in outside.sentence


@ON_BOTH
def test_a_ledger_written_anew_does_not_match_its_mark(lines: Database) -> None:
    noted = verdict(lines)
    with unguarded(lines) as connection, Session(connection) as session:
        texts = list(audit.written(session))
        previous = ""
        for number, line in enumerate(texts, 1):
            line[3], line[9] = ("nothing" if number == 2 else line[3]), previous
            previous = ledger.seal(line[:10])
            connection.execute(
                update(LEDGER).where(LEDGER.c.sequence == number)
                .values(act=line[3], previous=line[9], hash=previous)
            )  # fmt: skip
    assert verdict(lines).fault is None
    fault = verdict(lines, Mark(noted.sequence, noted.hash, "封存的 2026-10 ")).fault
    assert fault is not None
    assert "被重写过" in fault.sentence


@ON_BOTH
def test_a_line_replaced_by_another_whole_one_does_not_fit_the_next(lines: Database) -> None:
    with unguarded(lines) as connection, Session(connection) as session:
        line = list(audit.written(session))[3]
        line[3] = "nothing"
        connection.execute(
            update(LEDGER).where(LEDGER.c.sequence == 4)
            .values(act=line[3], hash=ledger.seal(line[:10]))
        )  # fmt: skip
    fault = verdict(lines).fault
    assert fault == audit.Fault(5, "第 5 行和前一行接不上：前面有一行被换过。")


@ON_BOTH
def test_words_are_erased_by_rule_and_the_chain_holds(lines: Database) -> None:
    with lines.writing() as session:
        ledger.erase_words(session, LEDGER.c.sequence.in_([2, 3]), "本人要求", NOW, ledger.SYSTEM)
    found = verdict(lines)
    assert (found.lines, found.fault, found.erased) == (LINES + 1, None, 2)
    with lines.reading() as session:
        assert [session.get_one(LedgerLine, n).why for n in (1, 2, 3, 4)] == ["听一听", "", "", "听一听"]  # fmt: skip
        assert session.get_one(LedgerLine, LINES + 1).facts == {"lines": [2, 3]}


@ON_BOTH
def test_words_erased_without_a_rule_are_missed(lines: Database) -> None:
    with lines.engine.begin() as connection:  # what the database itself cannot know
        connection.execute(text("UPDATE ledger SET why = '', salt = '' WHERE sequence = 5"))
    assert verdict(lines).fault == audit.Fault(
        5, "第 5 行写的话不见了，没有记下是按什么规矩去掉的。"
    )


REFUSED = [
    "UPDATE ledger SET why = '' WHERE sequence = 2",
    "UPDATE ledger SET why = '', salt = '', act = 'x' WHERE sequence = 2",
    "UPDATE ledger SET why = 'nothing' WHERE sequence = 2",
    "DELETE FROM ledger WHERE sequence = 2",
    "DELETE FROM ledger",
]


@ON_BOTH
@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_itself_refuses_to_change_a_line(lines: Database, statement: str) -> None:
    with (
        pytest.raises(DBAPIError, match="append-only"),
        lines.engine.begin() as connection,
    ):
        connection.execute(text(statement))
    assert verdict(lines).fault is None


def test_sqlite_refuses_to_write_over_a_line(lines: Database) -> None:
    over = "INSERT OR REPLACE INTO ledger SELECT * FROM ledger WHERE sequence = 2"
    with pytest.raises(DBAPIError, match="append-only"), lines.engine.begin() as connection:
        connection.execute(text(over))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_refuses_to_empty_the_ledger(lines: Database) -> None:
    with pytest.raises(DBAPIError, match="append-only"), lines.engine.begin() as connection:
        connection.execute(text("TRUNCATE ledger"))


@ON_BOTH
def test_only_lines_older_than_the_law_asks_may_be_deleted(db: Database) -> None:
    real_now = datetime.now(SHANGHAI)  # the guard asks the database's own clock
    with db.writing() as session:
        for days in (200, 181, 179, 0):
            write(session, at=real_now - timedelta(days=days))
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger WHERE sequence <= 2"))
    with pytest.raises(DBAPIError, match="append-only"), db.engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger WHERE sequence = 3"))


WRITERS, THREADS, EACH = 4, 4, 12


@ON_BOTH
def test_many_writers_make_one_chain(db: Database) -> None:
    db.close()  # each process opens its own
    writers = [FORK.Process(target=write_many, args=(db.url.render_as_string(False), number)) for number in range(WRITERS)]  # fmt: skip
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    found = verdict(db)
    assert (found.fault, found.lines) == (None, WRITERS * THREADS * EACH)


def write_many(url: str, process: int) -> None:
    mine = Database(url)

    def act(thread: int) -> None:
        for number in range(EACH):
            with mine.writing() as session:
                write(session, process=process, thread=thread, number=number)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(act, range(THREADS)))
    mine.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_pen_never_waits_for_a_row_that_waits_for_the_pen(db: Database) -> None:
    with db.writing() as session:
        session.add(Volunteer(name="王秀兰"))
    written = threading.Event()
    rename = update(Volunteer).values(name="王秀")

    def writes_first_then_wants_the_row() -> None:
        with db.writing() as session:
            write(session, "second")
            written.set()
            session.execute(rename)

    other = threading.Thread(target=writes_first_then_wants_the_row)
    with db.writing() as session:
        session.execute(rename)
        other.start()
        assert written.wait(30)
        write(session, "first")
    other.join(30)
    with db.reading() as session:
        assert [session.get_one(LedgerLine, n).act for n in (1, 2)] == ["first", "second"]
