"""Who is on duty: the one place that is asked."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from tickets.hours import Interval
from tickets.models import Role, Shift, Volunteer

HORIZON = timedelta(days=14)  # how far ahead a deadline in duty time may lie


def on_duty(session: Session, at: datetime) -> Shift | None:
    """The shift at this instant. Where two overlap, the one that began later: it was put over the other."""
    return session.scalar(
        select(Shift)
        .where(Shift.starts_at <= at, Shift.ends_at > at)
        .order_by(Shift.starts_at.desc(), Shift.id.desc())
        .limit(1)
    )


def next_shift(session: Session, at: datetime) -> Shift | None:
    """The first shift that begins after this instant."""
    return session.scalar(
        select(Shift).where(Shift.starts_at > at).order_by(Shift.starts_at, Shift.id).limit(1)
    )


def people_to_ring(session: Session, at: datetime) -> Sequence[Volunteer]:
    """Whom to ring for a caller, in order: on duty, substitute, duty lead; nobody out of hours."""
    shift = on_duty(session, at)
    if shift is None:
        return ()
    leads = session.scalars(select(Volunteer).where(Volunteer.role == Role.LEAD, Volunteer.active))
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
