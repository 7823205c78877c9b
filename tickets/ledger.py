"""The ledger: one line for every change and every access, each sealed by the hash before it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from hotline import clock
from tickets.models import LedgerLine

# Any fixed number: it names the ledger's pen among PostgreSQL's advisory locks. SQLite's
# writers pass one by one anyway.
PEN = 522_1123


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
    """Add one line. Facts must be plain values and hold no telephone number."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:pen)"), {"pen": PEN})
    session.flush()
    last = session.scalar(
        select(LedgerLine).where(
            LedgerLine.sequence == select(func.max(LedgerLine.sequence)).scalar_subquery()
        )
    )
    line = LedgerLine(
        sequence=last.sequence + 1 if last else 1,
        at=clock.local(at).replace(microsecond=0),
        person=person.label,
        act=act,
        object_kind=object_kind,
        object_id=object_id,
        origin=person.origin,
        why=why[:400],
        facts=facts,
        previous=last.hash if last else "",
    )
    line.hash = _hash(line)
    session.add(line)
    session.flush()


def broken(session: Session) -> Iterator[int]:
    """The sequences whose line was altered, or whose predecessor is missing."""
    previous, expected = "", 1
    for line in session.scalars(
        select(LedgerLine).order_by(LedgerLine.sequence).execution_options(yield_per=500)
    ):
        if line.sequence != expected or line.previous != previous or line.hash != _hash(line):
            yield line.sequence
        previous, expected = line.hash, line.sequence + 1


def _hash(line: LedgerLine) -> str:
    written = [
        line.sequence, clock.utc(line.at).isoformat(), line.person, line.act, line.object_kind,
        line.object_id, line.origin, line.why, line.facts, line.previous,
    ]  # fmt: skip
    return hashlib.sha256(
        json.dumps(written, ensure_ascii=False, sort_keys=True).encode()
    ).hexdigest()
