"""A house with a roster and a clock: `house.people("王秀兰", "陈国庆")`, `house.shift("11-24 08:30", …)`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import openpyxl
from conftest import HandClock
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI
from hotline.runtime import Runtime
from tickets.models import LedgerLine, Role, Shift, Volunteer
from worker.jobs import Hands
from worker.sweep import sweep


def at(text: str) -> datetime:
    """`11-24 08:30` of this year, in Shanghai."""
    year = "" if text.startswith("20") else "2026-"
    return datetime.fromisoformat(year + text).replace(tzinfo=SHANGHAI)


def xlsx(rows: list[list[object]], **more: object) -> bytes:
    """A file as a committee would make it: the rows, some cells merged."""
    import io

    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    for area in more.get("merged", ()):  # type: ignore[attr-defined]
        sheet.merge_cells(area)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@dataclass
class DutyHouse:
    """One house, and shorthand for what its tests do."""

    runtime: Runtime
    clock: HandClock

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self.runtime.db.writing() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self.runtime.db.reading() as session:
            yield session

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def people(self, *names: str, role: Role = Role.VOLUNTEER) -> list[int]:
        with self.writing() as session:
            rows = [Volunteer(name=name, role=role, phone=None) for name in names]
            session.add_all(rows)
            session.flush()
            return [row.id for row in rows]

    def shift(self, begins: str, ends: str, volunteer: int, substitute: int | None = None) -> int:
        with self.writing() as session:
            row = Shift(starts_at=at(begins), ends_at=at(ends), volunteer_id=volunteer, substitute_id=substitute)  # fmt: skip
            session.add(row)
            session.flush()
            return row.id

    def works(self) -> None:
        """The worker and the sweep do all that is due now."""
        hands = Hands(self.runtime)
        while sweep(hands, None):
            pass

    def acts(self, kind: str) -> list[str]:
        """What the ledger says was done to things of a kind, the oldest first."""
        with self.reading() as session:
            asked = select(LedgerLine.act).where(LedgerLine.object_kind == kind)
            return list(session.scalars(asked.order_by(LedgerLine.sequence)))
