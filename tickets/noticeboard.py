"""The roster as it hangs on the notice board: names and hours, no number of anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI
from hotline.config import Settings
from tickets import coverage, roster
from tickets.hours import is_workday, span


@dataclass(frozen=True, slots=True)
class BoardShift:
    """One line of a day; a gap has nobody."""

    hours: str  # 08:30–11:30
    volunteer: str
    substitute: str = ""


@dataclass(frozen=True, slots=True)
class BoardDay:
    day: date
    workday: bool
    shifts: Sequence[BoardShift]


def board(session: Session, settings: Settings, first: date, days: int) -> list[BoardDay]:
    """Every day with the shifts that begin on it and the hours that still need somebody."""
    needed = roster.duty_hours(session, settings)
    begins = datetime.combine(first, time.min, SHANGHAI)
    rows = roster.shifts(session, begins - timedelta(days=1), begins + timedelta(days=days + 1))
    found = []
    for number in range(days):
        day = first + timedelta(days=number)
        lines = [
            (row.starts_at, row.ends_at, row.volunteer.name, row.substitute.name if row.substitute else "")
            for row in rows
            if row.starts_at.date() == day
        ] + [(*gap, "", "") for gap in coverage.gaps(needed.of(day), rows)]  # fmt: skip
        shifts = [
            BoardShift(span(start, end), name, substitute)
            for start, end, name, substitute in sorted(lines)
        ]
        found.append(BoardDay(day, is_workday(day, needed.calendar), shifts))
    return found
