"""Filling the roster: the volunteers take turns, shift by shift."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tickets import roster
from tickets.hours import Hours, is_rest_day, shift_times
from tickets.models import Role, Shift, Volunteer


class NobodyError(Exception):
    """There is no active volunteer to take a shift."""


def fill(
    session: Session, hours: Hours, first: date, days: int, *, rest_days: bool = True
) -> list[Shift]:
    """Add the shifts that are missing, the substitute being the next in turn.

    A time in which any shift stands already is left alone. The turn goes on after whoever had the
    shift before. Raises NobodyError.
    """
    people = turn_takers(session)
    if not people:
        raise NobodyError
    added = []
    calendar = roster.calendar(session)
    for starts_at, ends_at in shift_times(hours, first, days):
        if not rest_days and is_rest_day(starts_at.date(), calendar):
            continue
        taken = select(Shift.id).where(Shift.starts_at < ends_at, Shift.ends_at > starts_at)
        if session.scalar(taken.limit(1)) is not None:
            continue
        turn = _turn_after(session, people, starts_at)
        shift = Shift(
            starts_at=starts_at,
            ends_at=ends_at,
            volunteer_id=people[turn].id,
            substitute_id=people[(turn + 1) % len(people)].id if len(people) > 1 else None,
        )
        session.add(shift)
        session.flush()
        added.append(shift)
    return added


def turn_takers(session: Session) -> Sequence[Volunteer]:
    """Those who take turns: active volunteers; in a house without any, whoever leads the duty."""
    for role in (Role.VOLUNTEER, Role.LEAD):
        people = session.scalars(
            select(Volunteer).where(Volunteer.role == role, Volunteer.active).order_by(Volunteer.id)
        ).all()
        if people:
            return people
    return ()


def _turn_after(session: Session, people: Sequence[Volunteer], before: datetime) -> int:
    last = session.scalar(
        select(Shift.volunteer_id)
        .where(Shift.starts_at < before)
        .order_by(Shift.starts_at.desc(), Shift.id.desc())
        .limit(1)
    )
    order = [person.id for person in people]
    return (order.index(last) + 1) % len(order) if last in order else 0
