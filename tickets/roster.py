"""Who is on duty: the one place that is asked."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from hotline.config import Settings, read_hours
from hotline.db import connection_of
from tickets.coverage import DutyHours
from tickets.hours import Calendar, Interval
from tickets.models import Role, Shift, Volunteer
from tickets.rota import DayOverride

HORIZON = timedelta(days=14)  # how far ahead a deadline in duty time may lie


# Built once: they are asked at every ring.
ON_DUTY = (
    select(Shift)
    .where(Shift.starts_at <= bindparam("at"), Shift.ends_at > bindparam("at"))
    .order_by(Shift.starts_at.desc(), Shift.id.desc())
    .limit(1)
)
IS_ON_DUTY = (
    select(Shift.id)
    .where(Shift.starts_at <= bindparam("at"), Shift.ends_at > bindparam("at"))
    .limit(1)
)
NEXT_SHIFT = (
    select(Shift)
    .where(Shift.starts_at > bindparam("at"))
    .order_by(Shift.starts_at, Shift.id)
    .limit(1)
)
NEXT_START = (
    select(Shift.starts_at)
    .where(Shift.starts_at > bindparam("at"))
    .order_by(Shift.starts_at)
    .limit(1)
)
LEADS = (
    select(Volunteer).where(Volunteer.role == Role.LEAD, Volunteer.active).order_by(Volunteer.id)
)


def on_duty(session: Session, at: datetime) -> Shift | None:
    """The shift at this instant. Where two overlap, the one that began later: it was put over the other."""
    return session.scalar(ON_DUTY, {"at": at})


def is_on_duty(session: Session, at: datetime) -> bool:
    """Whether anybody is; asked at every ring, so it loads nobody."""
    return connection_of(session).execute(IS_ON_DUTY, {"at": at}).first() is not None


def next_shift(session: Session, at: datetime) -> Shift | None:
    """The first shift that begins after this instant."""
    return session.scalar(NEXT_SHIFT, {"at": at})


def next_start(session: Session, at: datetime) -> datetime | None:
    """When the first shift after this instant begins; asked at every ring after hours."""
    start: datetime | None = connection_of(session).execute(NEXT_START, {"at": at}).scalar()
    return start


def people_to_ring(session: Session, at: datetime) -> Sequence[Volunteer]:
    """Whom to ring for a caller, in order: on duty, substitute, duty lead; nobody out of hours."""
    shift = on_duty(session, at)
    if shift is None:
        return ()
    leads = session.scalars(LEADS)
    asked = {person.id: person for person in (shift.volunteer, shift.substitute, *leads) if person}
    return [person for person in asked.values() if person.phone and person.active]


def duty_times(session: Session, since: datetime) -> list[Interval]:
    """The shifts from now to the horizon, as intervals."""
    rows = session.execute(
        select(Shift.starts_at, Shift.ends_at)
        .where(Shift.ends_at > since, Shift.starts_at < since + HORIZON)
        .order_by(Shift.starts_at)
    )
    return [(starts_at, ends_at) for starts_at, ends_at in rows]


def shifts(session: Session, since: datetime, until: datetime) -> Sequence[Shift]:
    """Every shift that has time in `[since, until)`, in the order they begin."""
    return session.scalars(
        select(Shift)
        .where(Shift.ends_at > since, Shift.starts_at < until)
        .order_by(Shift.starts_at, Shift.id)
    ).all()


def hold(session: Session, *held: Shift | None) -> None:
    """Read these shifts anew and keep them until the transaction ends: of two people who change
    one at once, the second sees what the first has done."""
    ids = sorted(shift.id for shift in held if shift is not None)
    session.scalars(
        select(Shift)
        .where(Shift.id.in_(ids))
        .order_by(Shift.id)
        .with_for_update(of=Shift)
        .execution_options(populate_existing=True)
    ).all()


def calendar(session: Session) -> Calendar:
    """The days that the house has declared rest days or working days itself."""
    return {day: rest for day, rest in session.execute(select(DayOverride.day, DayOverride.rest))}  # noqa: C416


def duty_hours(session: Session, settings: Settings) -> DutyHours:
    """When somebody should be on duty, by the settings and the house's own calendar."""
    return DutyHours(
        working=[read_hours(hours) for hours in settings.shift_hours],
        rest=[read_hours(hours) for hours in settings.shift_hours_rest],
        calendar=calendar(session),
    )
