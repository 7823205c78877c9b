"""What the telephone and the desk ask of the errand side. The door's transaction, the door's clock."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings
from tickets import ledger, notices, promises
from tickets.hours import after_duty_time
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import OPEN, Act, State, after
from tickets.models import (
    Duty,
    Event,
    Kind,
    Promise,
    PromiseState,
    Resident,
    ResidentPhone,
    Source,
    Ticket,
    TicketDay,
    Volunteer,
)
from tickets.notices import Why
from tickets.roster import duty_times, next_shift, on_duty

NEWS_OF = {Act.FINISH: Event.DONE, Act.ASK_MATERIALS: Event.MATERIALS}
URGENT_SHORT_CALLS = 3  # of one number within half an hour


# Built once: it is asked at every ring.
OPEN_REQUESTS = (
    select(Ticket)
    .where(Ticket.phone == bindparam("phone"), Ticket.state.in_(OPEN), Ticket.kind == Kind.ERRAND)
    .order_by(Ticket.opened_at.desc(), Ticket.id.desc())
    .limit(2)
)

OPEN_REQUEST_IDS = OPEN_REQUESTS.with_only_columns(Ticket.id)


def open_requests(session: Session, phone: str) -> Sequence[Ticket]:
    """The newest two errands of this number that are not finished."""
    return session.scalars(OPEN_REQUESTS, {"phone": phone}).all()


def open_request_ids(session: Session, phone: str) -> Sequence[int]:
    """The same, by their ids: all that a ring needs to know."""
    return session.connection().execute(OPEN_REQUEST_IDS, {"phone": phone}).scalars().all()


def resident_of(session: Session, phone: str | None) -> Resident | None:
    """The resident with this number, if it is exactly one; of two nobody can say who rang."""
    if phone is None:
        return None
    found = session.scalars(
        select(Resident).join(ResidentPhone).where(ResidentPhone.phone == phone).limit(2)
    ).all()
    return found[0] if len(found) == 1 else None


def ticket_of_call(session: Session, call_id: int) -> Ticket | None:
    return session.scalar(select(Ticket).where(Ticket.call_id == call_id))


def open_ticket(
    session: Session,
    settings: Settings,
    now: datetime,
    *,
    kind: Kind,
    source: Source,
    phone: str | None,
    by: Person,
    call_id: int | None = None,
    taken_by: int | None = None,
    test: bool = False,
) -> Ticket:
    """Open a request and give it to whoever is on duty, or else to the next who will be."""
    times = duty_times(session, now)
    contact_minutes = (
        settings.ring_back_within_minutes
        if kind is Kind.RING_BACK
        else settings.contact_within_minutes
    )
    resident = resident_of(session, phone)
    ticket = Ticket(
        day=local(now).date(),
        sequence=_next_sequence(session, now),
        kind=kind,
        source=source,
        opened_at=now,
        accept_by=after_duty_time(now, timedelta(minutes=settings.accept_within_minutes), times),
        contact_by=after_duty_time(now, timedelta(minutes=contact_minutes), times),
        phone=phone,
        resident_id=resident.id if resident else None,
        call_id=call_id,
        test=test,
    )
    session.add(ticket)
    session.flush()
    ledger.write(
        session,
        at=now,
        person=by,
        act="open",
        object_kind="ticket",
        object_id=ticket.id,
        number=ticket.number,
        kind=kind,
    )
    shift = on_duty(session, now) or next_shift(session, now)
    assignee = session.get(Volunteer, taken_by) if taken_by else shift.volunteer if shift else None
    if assignee:
        act(session, ticket, Act.ASSIGN, SYSTEM, now, to=assignee)
    if taken_by:
        act(session, ticket, Act.ACCEPT, ledger.volunteer(taken_by, "phone"), now)
        ticket.contacted_at = now
    else:
        notices.owe(session, settings, Why.NEW, now)
    return ticket


def act(
    session: Session,
    ticket: Ticket,
    what: Act,
    by: Person,
    now: datetime,
    *,
    why: str = "",
    to: Volunteer | None = None,
    missing: str = "",
) -> list[int]:
    """Do what the table of transitions allows; the one place where a ticket's state changes.

    Returns the promises to ring the bell for. Raises NotPossibleError, and ValueError where an
    act lacks what it needs (whom to pass on to, what is missing).
    """
    before, ticket_state = ticket.state, after(ticket.state, what)
    if what in {Act.ASSIGN, Act.PASS_ON} and to is None:
        raise ValueError(f"{what} needs a person")
    if what is Act.ASK_MATERIALS and not missing.strip():
        raise ValueError("what is missing must be named")
    ticket.state = ticket_state
    if to is not None:
        ticket.assignee_id = to.id
    if what is Act.ACCEPT:
        ticket.assignee_id = by.volunteer_id or ticket.assignee_id
        ticket.first_taker_id = ticket.first_taker_id or ticket.assignee_id
    if what is Act.ASK_MATERIALS:
        ticket.missing = missing.strip()[:200]
    if what is Act.FINISH:
        ticket.done_at = now
    if what is Act.REOPEN:
        ticket.round += 1
        ticket.done_at = None
    ledger.write(
        session, at=now, person=by, act=what, object_kind="ticket", object_id=ticket.id,
        why=why, before=before, after=ticket.state, to=to.id if to else None,
    )  # fmt: skip
    if to is not None and to.id != by.volunteer_id:
        notices.call(session, ticket, now)
    if ticket.state is not before and what in {
        Act.REOPEN,
        Act.WITHDRAW,
        Act.VOID,
        Act.MERGE,
        Act.REFER,
        Act.RESUME,
    }:
        drop_news(session, ticket, now)
    if (event := NEWS_OF.get(what)) and ticket.kind is Kind.ERRAND:
        return announce(session, ticket, event, by, now)
    return []


def announce(
    session: Session, ticket: Ticket, event: Event, by: Person, now: datetime
) -> list[int]:
    """Owe the resident a return call with this news; it takes the place of older news."""
    drop_news(session, ticket, now)
    if ticket.phone is None:
        return []
    promise = promises.make(session, Duty.RETURN_CALL, now, ticket_id=ticket.id, event=event)
    ledger.write(
        session,
        at=now,
        person=by,
        act="owe_return_call",
        object_kind="ticket",
        object_id=ticket.id,
        event=event,
    )
    return [promise.id]


def drop_news(session: Session, ticket: Ticket, now: datetime) -> None:
    """Older news of this request that nobody has been told yet is overtaken."""
    for promise in session.scalars(
        select(Promise).where(
            Promise.ticket_id == ticket.id,
            Promise.duty == Duty.RETURN_CALL,
            Promise.state == PromiseState.OPEN,
        )
    ):
        promises.settle(promise, PromiseState.DROPPED, "有了新消息，不再打这一通", now)


def owe_ring_back(
    session: Session,
    settings: Settings,
    now: datetime,
    *,
    phone: str,
    call_id: int,
    short_calls: int,
    test: bool = False,
) -> Ticket:
    """Somebody rang and left no words: the volunteer on duty owes them a call.

    A number that rings again before it was called back is one debt, not two; the third short
    call within half an hour makes it urgent.
    """
    ticket = session.scalar(
        select(Ticket)
        .where(Ticket.phone == phone, Ticket.kind == Kind.RING_BACK, Ticket.state.in_(OPEN))
        .limit(1)
    )
    if ticket is None:
        ticket = open_ticket(
            session, settings, now, kind=Kind.RING_BACK, source=Source.SHORT_CALL, phone=phone, by=ledger.CALLER, call_id=call_id, test=test
        )  # fmt: skip
    if short_calls >= URGENT_SHORT_CALLS and not ticket.urgent:
        ticket.urgent = True
        notices.owe(session, settings, Why.URGENT, now)
        ledger.write(
            session,
            at=now,
            person=SYSTEM,
            act="urgent",
            object_kind="ticket",
            object_id=ticket.id,
            why="半小时内打来三次",
        )
    return ticket


def forget_ring_backs(session: Session, phone: str, now: datetime) -> None:
    """Whoever rang again and left words need not be asked what the short call was about."""
    owed = select(Ticket).where(
        Ticket.phone == phone,
        Ticket.kind == Kind.RING_BACK,
        Ticket.state.in_((State.NEW, State.ASSIGNED)),
    )
    for ticket in session.scalars(owed):
        act(session, ticket, Act.WITHDRAW, SYSTEM, now, why="又打来，留了话")


def _next_sequence(session: Session, now: datetime) -> int:
    """The day's next number; simultaneous requests queue at the day's row."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    days = TicketDay.__table__
    statement = (
        insert(TicketDay)
        .values(day=local(now).date(), last=1)
        .on_conflict_do_update(index_elements=[days.c.day], set_={"last": days.c.last + 1})
        .returning(days.c.last)
    )
    return int(session.execute(statement).scalar_one())
