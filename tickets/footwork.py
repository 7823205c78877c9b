"""What is done on foot, written down: outings, visits to a home, things taken along and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import checklist, deeds, ledger, merging, trips, undo
from tickets.ledger import Person
from tickets.lifecycle import IncompleteError
from tickets.models import Ticket
from tickets.outings import Carried, Journey, JourneyTicket, Reason, Visit, VisitKind, Went
from tickets.trips import Count, Outing

LONGEST_PLACE, LONGEST_NOTE, LONGEST_THING = 40, 200, 80


class OutingChangedError(Exception):
    """Another outing was written or taken back since the page was read; how many there are now."""

    def __init__(self, outings: int, last: Journey | None) -> None:
        super().__init__(f"{outings} outings now")
        self.outings, self.last = outings, last


class FutureError(ValueError):
    """It is said to have happened later than now."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is to be known before somebody sets out for a request."""

    number: int  # the outing this would be
    asks_reason: bool  # nobody has said yet why another outing is needed
    reason: Reason | None  # why, as far as the last one says
    list: Sequence[checklist.Item]

    @property
    def again(self) -> bool:
        """Ring first and ask what to bring: it is more than the one outing of the goal."""
        return self.number > trips.GOAL


def outings(session: Session, ticket: Ticket) -> Sequence[Journey]:
    """The outings that count for a request, in the order they were made."""
    return session.scalars(
        select(Journey)
        .join(JourneyTicket, JourneyTicket.journey_id == Journey.id)
        .where(JourneyTicket.ticket_id == ticket.id, Journey.withdrawn_at.is_(None))
        .order_by(Journey.at, Journey.id)
    ).all()


def count(session: Session, ticket: Ticket) -> Count:
    """Its trips, the resident's and the volunteers'."""
    return trips.count(_plain(outings(session, ticket)))


def own_count_differs(session: Session, ticket: Ticket) -> bool:
    """Whether the resident counts their own outings otherwise than we wrote them down."""
    return trips.differs(count(session, ticket), ticket.resident_trips)


def ahead(session: Session, ticket: Ticket) -> Ahead:
    """The number of the next outing, whether it has to say why, and the list to read first."""
    made = outings(session, ticket)
    return Ahead(
        number=len(made) + 1,
        asks_reason=trips.needs_reason(_plain(made), settled=True),
        reason=made[-1].reason if made else None,
        list=checklist.items(session, ticket),
    )


def log_outing(
    session: Session,
    tickets: Sequence[Ticket],
    by: Person,
    now: datetime,
    *,
    went: Went,
    place: str,
    settled: bool,
    at: datetime | None = None,
    reason: Reason | None = None,
    note: str = "",
    volunteer_id: int | None = None,
    seen: int | None = None,
) -> tuple[Journey, dict[int, int]]:
    """Write down one outing for one or several requests; returns it and its number for each.

    A merged request hands it on to the one it lives on in. `seen` is how many outings of the first
    request the page showed. An outing that settled nothing says why, and so does another one that
    nothing explains; it is never refused for being one too many. Raises IncompleteError,
    FutureError, OutingChangedError.
    """
    at, place = at or now, place.strip()[:LONGEST_PLACE]
    volunteer_id = volunteer_id or by.volunteer_id if went is Went.VOLUNTEER else None
    if at > now:
        raise FutureError
    for lacks, there in (("tickets", tickets), ("place", place), ("volunteer", volunteer_id or went is Went.RESIDENT)):  # fmt: skip
        if not there:
            raise IncompleteError(lacks)
    served = {row.id: row for row in (merging.root(session, ticket) for ticket in tickets)}
    for ticket in sorted(served.values(), key=lambda row: row.id):
        deeds.lock(session, ticket, None)
    before = {ticket.id: outings(session, ticket) for ticket in served.values()}
    first = before[next(iter(served))]
    if seen is not None and seen != len(first):
        raise OutingChangedError(len(first), first[-1] if first else None)
    unexplained = any(trips.needs_reason(_plain(made), settled=settled) for made in before.values())
    if unexplained and reason is None:
        raise IncompleteError("reason")
    journey = Journey(
        at=at, went=went, place=place, settled=settled, reason=reason, reason_note=note.strip()[:LONGEST_NOTE],
        volunteer_id=volunteer_id, written_by=by.label, written_at=now,
    )  # fmt: skip
    session.add(journey)
    session.flush()
    numbers = {ticket_id: len(made) + 1 for ticket_id, made in before.items()}
    for ticket_id, number in numbers.items():
        session.add(JourneyTicket(journey_id=journey.id, ticket_id=ticket_id))
        ledger.write(
            session, at=now, person=by, act="outing", object_kind="ticket", object_id=ticket_id,
            journey=journey.id, number=number, went=went, settled=settled, reason=reason,
        )  # fmt: skip
    return journey, numbers


def explain(session: Session, journey: Journey, reason: Reason, by: Person, now: datetime) -> None:
    """Why it did not do, said a moment later; for all its requests."""
    journey.reason = reason
    for ticket_id in _served(session, journey):
        _note(session, ticket_id, "explain_outing", by, now, journey=journey.id, reason=reason)


def withdraw_outing(
    session: Session, settings: Settings, journey: Journey, by: Person, now: datetime
) -> None:
    """Take back an outing written a moment ago, for all its requests. Raises TooLateError."""
    session.flush()
    session.refresh(journey, ["withdrawn_at"], with_for_update=True)
    if journey.withdrawn_at is not None:
        return
    undo.must_be_fresh(settings, journey.written_by, journey.written_at, by, now)
    journey.withdrawn_at = now
    for ticket_id in _served(session, journey):
        _note(session, ticket_id, "withdraw_outing", by, now, journey=journey.id)


def visits(session: Session, ticket: Ticket) -> Sequence[Visit]:
    """The visits to the home, in order; they are no trips."""
    return session.scalars(
        select(Visit)
        .where(Visit.ticket_id == ticket.id, Visit.withdrawn_at.is_(None))
        .order_by(Visit.at, Visit.id)
    ).all()


def log_visit(
    session: Session,
    ticket: Ticket,
    kind: VisitKind,
    by: Person,
    now: datetime,
    *,
    at: datetime | None = None,
    volunteer_id: int | None = None,
) -> Visit:
    """Somebody went to the home to fetch or to deliver. Raises IncompleteError, FutureError."""
    visitor, ticket = volunteer_id or by.volunteer_id, merging.root(session, ticket)
    if visitor is None:
        raise IncompleteError("volunteer")
    if at is not None and at > now:
        raise FutureError
    visit = Visit(
        ticket_id=ticket.id, kind=kind, at=at or now, volunteer_id=visitor, written_by=by.label, written_at=now
    )  # fmt: skip
    session.add(visit)
    session.flush()
    _note(session, ticket.id, "visit", by, now, kind=kind, visit=visit.id)
    return visit


def withdraw_visit(
    session: Session, settings: Settings, visit: Visit, by: Person, now: datetime
) -> None:
    """Take back a visit written a moment ago. Raises TooLateError."""
    session.flush()
    session.refresh(visit, ["withdrawn_at"], with_for_update=True)
    if visit.withdrawn_at is None:
        undo.must_be_fresh(settings, visit.written_by, visit.written_at, by, now)
        visit.withdrawn_at = now
        _note(session, visit.ticket_id, "withdraw_visit", by, now, visit=visit.id)


def take_along(session: Session, ticket: Ticket, what: str, by: Person, now: datetime) -> Carried:
    """A thing of the resident's goes with the volunteer. Raises IncompleteError."""
    what, ticket = what.strip()[:LONGEST_THING], merging.root(session, ticket)
    if not what or by.volunteer_id is None:
        raise IncompleteError("what" if not what else "by")
    thing = Carried(ticket_id=ticket.id, what=what, taken_at=now, taken_by=by.volunteer_id)
    session.add(thing)
    session.flush()
    _note(session, ticket.id, "take_along", by, now, thing=thing.id)
    return thing


def give_back(session: Session, thing: Carried, by: Person, now: datetime) -> None:
    """The volunteer says that it is back; said twice, the first counts."""
    if thing.returned_at is None:
        thing.returned_at, thing.returned_by = now, by.volunteer_id
        _note(session, thing.ticket_id, "give_back", by, now, thing=thing.id)


def confirm_back(session: Session, ticket: Ticket, by: Person, now: datetime) -> Sequence[Carried]:
    """The resident says that all is back that the volunteers say they brought; returns which."""
    confirmed = [thing for thing in carried_open(session, ticket) if thing.returned_at]
    for thing in confirmed:
        thing.confirmed_at = now
        _note(session, ticket.id, "confirm_back", by, now, thing=thing.id)
    return confirmed


def carried_open(session: Session, ticket: Ticket) -> Sequence[Carried]:
    """What was taken along and is not confirmed as returned yet; `returned_at` tells whether the
    volunteer says so."""
    return session.scalars(
        select(Carried)
        .where(Carried.ticket_id == ticket.id, Carried.confirmed_at.is_(None))
        .order_by(Carried.id)
    ).all()


def _served(session: Session, journey: Journey) -> Sequence[int]:
    served = select(JourneyTicket.ticket_id).where(JourneyTicket.journey_id == journey.id)
    return session.scalars(served.order_by(JourneyTicket.ticket_id)).all()


def _plain(made: Sequence[Journey]) -> list[Outing]:
    return [Outing(journey.went, journey.settled, journey.reason) for journey in made]


def _note(
    session: Session, ticket_id: int, act: str, by: Person, now: datetime, **facts: Any
) -> None:
    ledger.write(
        session, at=now, person=by, act=act, object_kind="ticket", object_id=ticket_id, **facts
    )
