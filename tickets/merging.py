"""Two requests that are one: which are likely to be, and what hangs together once they are merged.

Nothing is moved. A merged request points at the one it was merged into, and may be followed there;
so undoing it is taking the pointer back.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from tickets.lifecycle import OPEN
from tickets.models import Kind, Recording, Ticket
from tickets.outings import Journey, JourneyTicket


class Hindrance(StrEnum):
    """Why two requests are not made one."""

    SAME = "same"  # they are already, or it is one and the same
    ENDED = "ended"  # nobody works on the other one any more
    OUTINGS = "outings"  # somebody has been out for this one: the other should be merged into it


class NotMergedError(Exception):
    """They stay two; carries why."""

    def __init__(self, why: Hindrance) -> None:
        super().__init__(why)
        self.why = why


def likely_same(session: Session, ticket: Ticket, *, within: timedelta) -> Sequence[Ticket]:
    """Earlier open requests of the same person that this one may repeat, the newest first.

    A suggestion for a person to look at. Another matter, once both are known, is another request.
    """
    same_person = [
        column == value
        for column, value in (
            (Ticket.phone, ticket.phone),
            (Ticket.resident_id, ticket.resident_id),
        )
        if value is not None
    ]
    if not same_person or ticket.state not in OPEN:
        return ()
    same_matter = [] if ticket.matter is None else [
        or_(Ticket.matter.is_(None), Ticket.matter == ticket.matter)
    ]  # fmt: skip
    return session.scalars(
        select(Ticket)
        .where(
            or_(*same_person), *same_matter,
            Ticket.id < ticket.id, Ticket.state.in_(OPEN), Ticket.kind == Kind.ERRAND,
            Ticket.opened_at > ticket.opened_at - within,
        )
        .order_by(Ticket.id.desc())
    ).all()  # fmt: skip


def root(session: Session, ticket: Ticket) -> Ticket:
    """The request that this one lives on in: itself, unless it was merged."""
    while ticket.merged_into_id is not None:
        ticket = session.get_one(Ticket, ticket.merged_into_id, with_for_update=True)
    return ticket


def family(session: Session, ticket: Ticket) -> list[int]:
    """Its id and those of all requests merged into it, however far down."""
    ids, newest = [ticket.id], [ticket.id]
    while newest:
        newest = list(session.scalars(select(Ticket.id).where(Ticket.merged_into_id.in_(newest))))
        ids += newest
    return ids


def recordings(session: Session, ticket: Ticket) -> Sequence[Recording]:
    """All that was said about it, also in the requests merged into it, the oldest first."""
    ids = family(session, ticket)
    return session.scalars(
        select(Recording).where(Recording.ticket_id.in_(ids)).order_by(Recording.id)
    ).all()


def survivor(session: Session, ticket: Ticket, into: Ticket) -> Ticket:
    """What `ticket` would live on in; raises NotMergedError. Locks what it looks at."""
    target = root(session, into)
    if target.id == ticket.id:
        raise NotMergedError(Hindrance.SAME)
    if target.state not in OPEN:
        raise NotMergedError(Hindrance.ENDED)
    been_out = (
        select(Journey.id)
        .join(JourneyTicket, JourneyTicket.journey_id == Journey.id)
        .where(JourneyTicket.ticket_id == ticket.id, Journey.withdrawn_at.is_(None))
        .limit(1)
    )
    if session.scalar(been_out) is not None:
        raise NotMergedError(Hindrance.OUTINGS)
    return target
