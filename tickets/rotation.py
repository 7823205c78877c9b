"""Making a roster: the hours that need somebody, the people, their days off; then the fair shares."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI
from tickets import roster
from tickets.coverage import DutyHours
from tickets.generator import Plan, Slot, Trouble, Turn, Why, generate
from tickets.hours import is_workday
from tickets.models import Role, Shift, Volunteer
from tickets.rota import DayOff

LOOKS_BACK = timedelta(days=60)  # whose turn it is between equals


class NobodyError(Exception):
    """There is no active volunteer to take a shift."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A roster thought out but not written, with the names that its sentences need."""

    plan: Plan
    names: Mapping[int, str]

    @property
    def sentences(self) -> list[str]:
        """What could not be done as it should, in plain Chinese."""
        return [explain(trouble, self.names) for trouble in self.plan.troubles]


def propose(session: Session, needed: DutyHours, first: date, days: int) -> Proposal:
    """Fair shares of the shifts that are missing in these days. Raises NobodyError.

    A time in which any shift stands already is left alone; what stands counts.
    """
    people = turn_takers(session)
    if not people:
        raise NobodyError
    begins = datetime.combine(first, time.min, SHANGHAI)
    ends = begins + timedelta(days=days)
    standing = roster.shifts(session, begins - timedelta(days=1), ends + timedelta(days=1))
    slots = [
        _slot(starts_at, ends_at, needed)
        for starts_at, ends_at in needed.between(first, days)
        if not any(s.starts_at < ends_at and starts_at < s.ends_at for s in standing)
    ]
    earlier = roster.shifts(session, begins - LOOKS_BACK, begins)
    last = max(earlier, key=lambda shift: (shift.starts_at, shift.id), default=None)
    plan = generate(
        slots,
        _next_in_turn([person.id for person in people], last.volunteer_id if last else None),
        off={(row.volunteer_id, row.day) for row in days_off(session, first - timedelta(days=1))},
        standing=[
            Turn(_slot(s.starts_at, s.ends_at, needed), s.volunteer_id, s.substitute_id)
            for s in standing
        ],
        before=Counter(shift.volunteer_id for shift in earlier),
    )
    return Proposal(plan, {person.id: person.name for person in people})


def write(session: Session, proposal: Proposal) -> list[Shift]:
    """Put a proposal on the roster. Who asked for it writes the ledger line."""
    added = [
        Shift(
            starts_at=turn.slot.starts_at, ends_at=turn.slot.ends_at,
            volunteer_id=turn.person, substitute_id=turn.substitute,
        )
        for turn in proposal.plan.turns
    ]  # fmt: skip
    session.add_all(added)
    session.flush()
    return added


def fill(session: Session, needed: DutyHours, first: date, days: int) -> list[Shift]:
    """Add the shifts that are missing; raises NobodyError."""
    return write(session, propose(session, needed, first, days))


def turn_takers(session: Session) -> Sequence[Volunteer]:
    """Those who take turns: active volunteers; in a house without any, whoever leads the duty."""
    for role in (Role.VOLUNTEER, Role.LEAD):
        people = session.scalars(
            select(Volunteer).where(Volunteer.role == role, Volunteer.active).order_by(Volunteer.id)
        ).all()
        if people:
            return people
    return ()


def days_off(session: Session, first: date) -> Sequence[DayOff]:
    """Who cannot have duty on which day, from `first` on."""
    return session.scalars(
        select(DayOff).where(DayOff.day >= first).order_by(DayOff.day, DayOff.volunteer_id)
    ).all()


def explain(trouble: Trouble, names: Mapping[int, str]) -> str:
    """One sentence for the roster's keeper."""
    slot = trouble.slot
    when = f"{slot.starts_at.month}月{slot.starts_at.day}日{slot.starts_at:%H:%M}–{slot.ends_at:%H:%M}"  # fmt: skip
    off = "、".join(names.get(person, "一位志愿者") for person in trouble.off)
    why = f"（{off}那天来不了）" if off else "（人太少）"
    who = names.get(trouble.person or 0, "一位志愿者")
    match trouble.why:
        case Why.NOBODY:
            return f"{when}排不出人{why}。"
        case Why.TWICE:
            return f"{when}只好再排{who}，这一天排了两班{why}。"
        case Why.NO_SUBSTITUTE:
            return f"{when}没有替补{why}。"


def _slot(starts_at: datetime, ends_at: datetime, needed: DutyHours) -> Slot:
    return Slot(starts_at, ends_at, not is_workday(starts_at.date(), needed.calendar))


def _next_in_turn(people: list[int], last: int | None) -> list[int]:
    """The same people, beginning with whoever comes after the last who had duty."""
    turn = people.index(last) + 1 if last in people else 0
    return people[turn:] + people[:turn]
