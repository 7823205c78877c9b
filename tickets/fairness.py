"""Who carried how much of the duty."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tickets import roster
from tickets.generator import is_night
from tickets.hours import Calendar, is_workday
from tickets.models import Shift, Volunteer
from tickets.rota import RainyDay


@dataclass(frozen=True, slots=True)
class Share:
    """One person's part of a stretch of the roster."""

    volunteer_id: int
    name: str
    shifts: int
    hours: float
    nights: int
    rest_days: int  # on weekends and holidays; a worked weekend (调休) is none
    rainy: int
    stands_in: int  # is substitute


def shares(session: Session, since: datetime, until: datetime) -> list[Share]:
    """Everybody who takes turns or had a shift that begins in `[since, until)`, by name."""
    rows = [s for s in roster.shifts(session, since, until) if s.starts_at >= since]
    rainy = frozenset(session.scalars(select(RainyDay.day)))
    on_it = {person_id for row in rows for person_id in (row.volunteer_id, row.substitute_id)}
    people = session.scalars(
        select(Volunteer).where(Volunteer.active | Volunteer.id.in_(on_it - {None}))
    )
    return share(people, rows, roster.calendar(session), rainy)


def share(
    people: Iterable[Volunteer],
    rows: Sequence[Shift],
    calendar: Calendar,
    rainy: Collection[date],
) -> list[Share]:
    """The same of given shifts. Each shift counts once in every column it belongs to."""
    found = []
    for person in sorted(people, key=lambda each: each.name):
        theirs = [row for row in rows if row.volunteer_id == person.id]
        days = [row.starts_at.date() for row in theirs]
        found.append(
            Share(
                person.id,
                person.name,
                len(theirs),
                sum((row.ends_at - row.starts_at).total_seconds() for row in theirs) / 3600,
                sum(is_night((row.starts_at, row.ends_at)) for row in theirs),
                sum(not is_workday(day, calendar) for day in days),
                sum(day in rainy for day in days),
                sum(row.substitute_id == person.id for row in rows),
            )
        )
    return found
