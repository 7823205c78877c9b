"""Whether the ledger is whole: read as the database holds it, byte for byte, and sealed anew."""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Text, cast, func, select, update
from sqlalchemy.orm import Session

from tickets import ledger, promises
from tickets.books import LedgerMark, Verification
from tickets.ledger import ERASE_WORDS, LEDGER, Person, digest, seal
from tickets.models import Duty

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Mark:
    """What a line's hash was once, by the word of a sealed bundle or of the nightly round."""

    sequence: int
    hash: str
    by: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """The first line that is not as it was written, and what is wrong, for the committee."""

    sequence: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many lines there are, the last one's number and hash, the first fault if any, and from
    how many lines the words were erased by rule."""

    lines: int
    sequence: int
    hash: str
    fault: Fault | None
    erased: int = 0


def verify(session: Session, beside: list[Mark] | None = None) -> Verdict:
    """Read every line; `beside` are marks from outside, such as a bundle's manifest."""
    marks = [*_marks(session), *(beside or ())]
    wanted = {mark.sequence: mark for mark in marks}
    ends = {mark.sequence: mark.hash for mark in marks if mark.cut}
    announced, erased = _erased_by_rule(session), 0
    lines, sequence, previous = 0, 0, ""
    with closing(written(session)) as found:
        for line in found:
            number = int(line[0]) if line[0] and line[0].isdigit() else -1
            if not lines and ends.get(number - 1) == line[9]:  # those before were deleted by rule
                sequence, previous = number - 1, line[9] or ""
            if fault := _fault(line, number, sequence, previous, wanted.get(number)):
                return Verdict(lines, sequence, previous, fault, erased)
            if fault := _words_fault(line, number, number in announced):
                return Verdict(lines, sequence, previous, fault, erased)
            erased += bool(line[8]) and not line[11]
            lines, sequence, previous = lines + 1, number, line[10] or ""
    last = max(marks, key=lambda mark: mark.sequence, default=None)
    fault = None
    if last and last.sequence > sequence:
        fault = Fault(
            sequence + 1,
            f"第 {sequence + 1} 行起不见了：{last.by}记下有 {last.sequence} 行，现在只到第 {sequence} 行。",
        )
    return Verdict(lines, sequence, previous, fault, erased)


def ask(session: Session, by: Person, now: datetime) -> int | None:
    """Have the hands read every line; answers the promise to ring for, None if they are at it."""
    newest = newest_look(session)
    if newest and newest.found_at is None:
        return None
    session.add(Verification(asked_at=now, asked_by=by.volunteer_id))
    ledger.write(session, at=now, person=by, act="verify", object_kind="ledger", object_id=None)
    return promises.make(session, Duty.VERIFY, now).id


def answer(session: Session, verdict: Verdict, now: datetime) -> None:
    """What was found, for everybody who asked."""
    asked = update(Verification).where(Verification.found_at.is_(None))
    fault = verdict.fault.sentence[:300] if verdict.fault else None
    session.execute(asked.values(found_at=now, lines=verdict.lines, fault=fault))


def newest_look(session: Session) -> Verification | None:
    """The last time that somebody had the ledger read."""
    return session.scalar(select(Verification).order_by(Verification.id.desc()).limit(1))


def head(session: Session, at: datetime, *, cut: bool = False) -> LedgerMark | None:
    """Mark what the last line is now; None where nothing was ever written."""
    last = session.execute(
        select(LEDGER.c.sequence, LEDGER.c.hash).order_by(LEDGER.c.sequence.desc()).limit(1)
    ).first()
    if last is None:
        return None
    mark = LedgerMark(at=at, sequence=last.sequence, hash=last.hash, cut=cut)
    session.add(mark)
    return mark


def written(session: Session, *where: ColumnElement[bool]) -> Generator[list[str | None]]:
    """The lines as text, column by column, exactly as they are stored."""
    columns: list[ColumnElement[Any]]
    if session.get_bind().dialect.name == "postgresql":
        columns = [
            func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24:MI:SS.US")
            if column is LEDGER.c.at
            else cast(column, Text)
            for column in LEDGER.c
        ]
    else:  # as bytes: what was damaged need not be text any more
        columns = [cast(column, LargeBinary) for column in LEDGER.c]
    asked = select(*columns).where(*where).order_by(LEDGER.c.sequence)
    with session.connection().execute(asked, execution_options={"yield_per": BATCH}) as rows:
        for row in rows:
            yield [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                for value in row
            ]


def _fault(
    line: list[str | None], number: int, sequence: int, previous: str, mark: Mark | None
) -> Fault | None:
    if number > sequence + 1:
        return Fault(sequence + 1, f"第 {sequence + 1} 行不见了：前一行之后直接是第 {number} 行。")
    if number != sequence + 1 or seal(line[:10]) != line[10]:
        return Fault(
            sequence + 1,
            f"第 {sequence + 1} 行被改过（写着 {line[1]} {line[2]} {line[3]}）：内容和封印对不上。",
        )
    if line[9] != previous:
        return Fault(number, f"第 {number} 行和前一行接不上：前面有一行被换过。")
    if mark and mark.hash != line[10]:
        return Fault(number, f"第 {number} 行和{mark.by}记下的不一样：到这一行为止被重写过。")
    return None


def _words_fault(line: list[str | None], number: int, announced: bool) -> Fault | None:
    """Whether a line's words are as they were written, or were erased by rule."""
    words, why, salt = line[8] or "", line[11] or "", line[12] or ""
    if digest(salt, why) == words and bool(salt) == bool(why):
        return None
    if why or salt:
        return Fault(
            number,
            f"第 {number} 行被改过（写着 {line[1]} {line[2]} {line[3]}）：写的话和封印对不上。",
        )
    if not announced:
        return Fault(number, f"第 {number} 行写的话不见了，没有记下是按什么规矩去掉的。")
    return None


def _erased_by_rule(session: Session) -> set[int]:
    """The lines whose words are gone by the word of later lines."""
    erased: set[int] = set()
    with closing(written(session, LEDGER.c.act == ERASE_WORDS)) as found:
        for line in found:
            try:
                erased.update(json.loads(line[7] or "")["lines"])
            except (ValueError, KeyError, TypeError):  # damaged: it is named when its turn comes
                continue
    return erased


def _marks(session: Session) -> list[Mark]:
    return [
        Mark(mark.sequence, mark.hash, f"{mark.at:%Y-%m-%d %H:%M} ", mark.cut)
        for mark in session.scalars(select(LedgerMark).order_by(LedgerMark.id))
    ]
