"""The ledger: one line for every change and every access, each sealed by the hash before it."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, event, insert, select, text, update
from sqlalchemy.orm import ORMExecuteState, Session

from hotline import clock
from hotline.db import DONE_LAST
from tickets.models import LedgerLine

# Any fixed number: it names the ledger's pen among PostgreSQL's advisory locks. SQLite's
# writers pass one by one anyway.
PEN = 522_1123
ERASE_WORDS = "erase_words"
PENDING = "ledger"  # in Session.info: the lines of this transaction so far

LEDGER = cast(Table, LedgerLine.__table__)
# Built once: every act runs through them.
TAKE_PEN = text(f"SELECT pg_advisory_xact_lock({PEN})")
LAST = select(LEDGER.c.sequence, LEDGER.c.hash).order_by(LEDGER.c.sequence.desc()).limit(1)
ADD = insert(LEDGER)


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts, and from where: label such as `volunteer:3` or `system`, origin phone, desk or system."""

    label: str
    origin: str
    volunteer_id: int | None = None


SYSTEM = Person("system", "system")
CALLER = Person("caller", "phone")


def volunteer(volunteer_id: int, origin: str = "desk") -> Person:
    return Person(f"volunteer:{volunteer_id}", origin, volunteer_id)


def write(
    session: Session,
    *,
    at: datetime,
    person: Person,
    act: str,
    object_kind: str,
    object_id: int | None,
    why: str = "",
    **facts: Any,
) -> None:
    """Add one line. Facts must be plain values and hold no telephone number.

    It takes its place in the ledger when the transaction commits: whoever held the pen while
    still waiting for another row would stop everybody who holds that row and wants the pen.
    """
    why, salt = why[:400], secrets.token_hex(16) if why else ""
    line = {
        "at": clock.utc(at).replace(microsecond=0), "person": person.label, "act": str(act),
        "object_kind": object_kind, "object_id": object_id, "origin": person.origin,
        "facts": json.loads(json.dumps(facts)), "words": digest(salt, why), "why": why, "salt": salt,
    }  # fmt: skip
    if session.in_nested_transaction():  # it may be rolled back alone
        _enter(session, [line])
    elif PENDING in session.info:
        session.info[PENDING].append(line)
    else:
        session.info[PENDING] = [line]
        session.info.setdefault(DONE_LAST, []).append(enter_pending)


def seal(line: Sequence[str | None]) -> str:
    """The hash of a line, from the text of the columns before it in their order."""
    return hashlib.sha256(json.dumps(line, ensure_ascii=False).encode()).hexdigest()


def digest(salt: str, why: str) -> str:
    """What stands for a person's words in the hash; nothing where there are none."""
    return hashlib.sha256((salt + why).encode()).hexdigest() if why else ""


def erase_words(
    session: Session, which: ColumnElement[bool], rule: str, at: datetime, by: Person
) -> int:
    """Take what people wrote from these lines; everything else of them stays. Returns how many.

    A line of its own says which: words that are gone without one are missed by `audit.verify`.
    """
    erased = session.execute(
        update(LEDGER).where(which, LEDGER.c.salt != "").values(why="", salt="")
        .returning(LEDGER.c.sequence)
    ).scalars().all()  # fmt: skip
    if erased:
        write(
            session, at=at, person=by, act=ERASE_WORDS, object_kind="ledger", object_id=None,
            why=rule, lines=sorted(erased),
        )  # fmt: skip
    return len(erased)


@event.listens_for(Session, "before_commit")
def enter_pending(session: Session) -> None:
    """Write what this transaction owes the ledger, after everything else it writes."""
    if not session.in_nested_transaction() and session.info.get(PENDING):
        session.flush()
        lines = session.info[PENDING]
        session.info[PENDING] = []
        _enter(session, lines)


@event.listens_for(Session, "do_orm_execute")
def _read(state: ORMExecuteState) -> None:
    """Who reads the ledger finds what this transaction has written so far."""
    if state.session.info.get(PENDING) and any(
        mapper.class_ is LedgerLine for mapper in state.all_mappers
    ):
        enter_pending(state.session)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(PENDING, None)


def _enter(session: Session, lines: Sequence[dict[str, Any]]) -> None:
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(TAKE_PEN)
    last = connection.execute(LAST).first()
    sequence, previous = (last.sequence, last.hash) if last else (0, "")
    for line in lines:
        sequence += 1
        line |= {"sequence": sequence, "previous": previous}
        line["hash"] = previous = seal(_texts(line))
    connection.execute(ADD, lines)


def _texts(line: dict[str, Any]) -> list[str | None]:
    number = line["object_id"]
    return [
        str(line["sequence"]), f"{line['at']:%Y-%m-%d %H:%M:%S.%f}", line["person"], line["act"],
        line["object_kind"], None if number is None else str(number), line["origin"],
        json.dumps(line["facts"]), line["words"], line["previous"],
    ]  # fmt: skip
