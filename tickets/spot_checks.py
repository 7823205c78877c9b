"""Which requests of a month the committee looks at again: drawn by a seed, so that anybody can draw
the same again, and every one about which there is doubt."""

import random
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from hotline.clock import local
from tickets import ledger
from tickets.books import Finding, SpotCheck, Suspicion
from tickets.counting import Period
from tickets.figures import BY_KEY, behind, trips
from tickets.ledger import Person
from tickets.lifecycle import State
from tickets.models import Kind, Ticket
from tickets.real import is_real

NOT_GOOD = 3


def draw(session: Session, month: Period, seed: int, by: Person, now: datetime) -> list[SpotCheck]:
    """Draw the month's checks; what was drawn before stays, with what was found."""
    name = month.name
    there = session.scalars(select(SpotCheck).where(SpotCheck.month == name))
    drawn = {check.ticket_id: check for check in there}
    for ticket_id, why in sorted(suspects(session, month, seed, now).items()):
        if ticket_id not in drawn:
            check = SpotCheck(
                month=name, ticket_id=ticket_id, why=[*why], seed=seed, drawn_at=now
            )  # fmt: skip
            session.add(check)
            drawn[ticket_id] = check
    ledger.write(
        session, at=now, person=by, act="draw_spot_checks", object_kind="month", object_id=None,
        month=name, seed=seed, checks=len(drawn),
    )  # fmt: skip
    session.flush()
    return [drawn[ticket_id] for ticket_id in sorted(drawn)]


def suspects(
    session: Session, month: Period, seed: int, now: datetime
) -> dict[int, list[Suspicion]]:
    """The requests to look at and why: one in twenty by the seed, all 没办好, all overdue, all with
    a second trip."""
    of_month = and_(
        Ticket.opened_at >= month.start, Ticket.opened_at < month.end,
        Ticket.kind == Kind.ERRAND, is_real(Ticket),
        Ticket.state.not_in((State.VOID, State.MERGED)),
    )  # fmt: skip
    everything = sorted(session.scalars(select(Ticket.id).where(of_month)))
    few = random.Random(f"{month.name} {seed}").sample(  # noqa: S311  to be drawn again
        everything, -(-len(everything) * 5 // 100)
    )
    overdue = behind(BY_KEY["overdue"], month.start, month.end, now, counted=True)
    found: dict[Suspicion, Iterable[int]] = {
        Suspicion.RANDOM: few,
        Suspicion.DISSATISFIED: session.scalars(
            select(Ticket.id).where(of_month, Ticket.satisfaction == NOT_GOOD)
        ),
        Suspicion.OVERDUE: session.scalars(overdue),
        Suspicion.SECOND_TRIP: session.scalars(select(Ticket.id).where(of_month, trips > 1)),
    }
    why: dict[int, list[Suspicion]] = {}
    for suspicion, ticket_ids in found.items():
        for ticket_id in ticket_ids:
            why.setdefault(ticket_id, []).append(suspicion)
    return why


def find(
    session: Session, check: SpotCheck, finding: Finding, by: Person, now: datetime, note: str = ""
) -> None:
    """What whoever looked found: in order, or sent back to be done properly."""
    check.finding, check.found_at, check.found_by = finding, local(now), by.volunteer_id
    check.note = note.strip()[:400]
    ledger.write(
        session, at=now, person=by, act="spot_check", object_kind="ticket",
        object_id=check.ticket_id, why=check.note, finding=finding, month=check.month,
    )  # fmt: skip
