"""What the telephone and the desk ask of the errand side. The door's transaction, the door's clock."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings
from tickets import deeds, ledger, merging, notices, numbers, promises
from tickets.hours import after_duty_time
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import OPEN, Act, after
from tickets.models import (
    Complexity,
    Duty,
    Elsewhere,
    Event,
    Kind,
    Mode,
    Promise,
    PromiseState,
    Resident,
    ResidentPhone,
    Source,
    Ticket,
    Volunteer,
)
from tickets.notices import Why
from tickets.roster import duty_times, next_shift, on_duty

NEWS_OF = {Act.FINISH: Event.DONE, Act.ASK_MATERIALS: Event.MATERIALS}
# After these the news that was to be told is no longer true.
OVERTAKES = {Act.REOPEN, Act.WITHDRAW, Act.VOID, Act.MERGE, Act.REFER, Act.RESUME}
TOUCHES_NEWS = OVERTAKES | NEWS_OF.keys()


# Built once: it is asked at every ring. Spelt out, because IN would be built anew each time.
OPEN_REQUESTS = (
    select(Ticket)
    .where(
        Ticket.phone == bindparam("phone"),
        or_(*(Ticket.state == state for state in sorted(OPEN))),
        Ticket.kind == Kind.ERRAND,
        Ticket.test == bindparam("test"),  # tests and real calls know nothing of each other
    )
    .order_by(Ticket.opened_at.desc(), Ticket.id.desc())
    .limit(2)
)


def open_requests(session: Session, phone: str, *, test: bool) -> Sequence[Ticket]:
    """The newest two errands of this number that are not finished."""
    return session.scalars(OPEN_REQUESTS, {"phone": phone, "test": test}).all()


def resident_of(session: Session, phone: str | None) -> Resident | None:
    """The resident with this number, if it is exactly one; of two nobody can say who rang."""
    if phone is None:
        return None
    found = session.scalars(
        select(Resident)
        .join(ResidentPhone)
        .where(ResidentPhone.phone == phone, Resident.active)
        .limit(2)
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
    in_person: bool = False,
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
        sequence=numbers.next_sequence(session, local(now).date()),
        kind=kind,
        source=source,
        opened_at=now,
        accept_by=after_duty_time(now, timedelta(minutes=settings.accept_within_minutes), times),
        contact_by=after_duty_time(now, timedelta(minutes=contact_minutes), times),
        done_by=now + allowed(settings, Complexity.ROUTINE),
        in_person=in_person,
        phone=phone,
        resident_id=resident.id if resident else None,
        call_id=call_id,
        test=test,
    )
    session.add(ticket)
    session.flush()
    deeds.keep_round(session, ticket, now)
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
        notices.owe(session, settings, Why.NEW, now, test=test)
    return ticket


def act(
    session: Session,
    ticket: Ticket,
    what: Act,
    by: Person,
    now: datetime,
    *,
    seen: int | None = None,
    why: str = "",
    to: Volunteer | None = None,
    missing: str = "",
    into: Ticket | None = None,
    elsewhere: Elsewhere | None = None,
) -> list[int]:
    """Do what the table of transitions allows; the one place where a ticket's state changes.

    `seen` is the version the person decided on. Returns the promises to ring the bell for. Raises,
    with nothing changed: ChangedError, NotPossibleError, IncompleteError, NotMergedError.
    """
    said = deeds.Said(
        why=why.strip(), to=to, missing=missing.strip(), into=into, elsewhere=elsewhere
    )
    for row in sorted(filter(None, (ticket, into)), key=lambda row: row.id):
        deeds.lock(session, row, seen if row is ticket else None)  # in one order: no deadlock
    before, before_state = deeds.snapshot(ticket), ticket.state
    after_state = after(ticket.state, what)
    said.complete(what)
    target = merging.survivor(session, ticket, into) if what is Act.MERGE and into else None
    news = deeds.open_news(session, ticket) if what in TOUCHES_NEWS else set()
    deeds.change(ticket, what, by, now, said)
    ticket.state = after_state
    ticket.merged_into_id = target.id if target else None
    deed = deeds.deed(ticket, what, by, now, before)
    session.add(deed)
    if not deeds.ROUND.isdisjoint(deed.was):
        deeds.keep_round(session, ticket, now, why if what is Act.REOPEN else "")
    facts: dict[str, Any] = {"into": ticket.merged_into_id} if target else {}
    if what is Act.REFER:
        facts["elsewhere"] = elsewhere
    ledger.write(
        session, at=now, person=by, act=what, object_kind="ticket", object_id=ticket.id,
        why=why, before=before_state, after=after_state, to=to.id if to else None, **facts,
    )  # fmt: skip
    if to is not None and to.id != by.volunteer_id:
        notices.call(session, ticket, now)
    if what in OVERTAKES:
        drop_news(session, ticket, now)
    owed: list[int] = []
    if (event := NEWS_OF.get(what)) and ticket.kind is Kind.ERRAND:
        owed = announce(session, ticket, event, by, now)
    still = deeds.open_news(session, ticket) if what in TOUCHES_NEWS else set()
    deed.owed, deed.dropped = sorted(still - news), sorted(news - still)
    return owed


def describe(
    session: Session,
    settings: Settings,
    ticket: Ticket,
    by: Person,
    now: datetime,
    *,
    mode: Mode | None = None,
    complexity: Complexity | None = None,
    matter: str | None = None,
    resident_trips: int | None = None,
) -> None:
    """Write down what has become known of a request; what is None stays as it is.

    A complex request has longer from where its round began.
    """
    told: dict[str, Any] = {"mode": mode, "complexity": complexity, "matter": matter, "resident_trips": resident_trips}  # fmt: skip
    news = {
        name: value
        for name, value in told.items()
        if value is not None and value != getattr(ticket, name)
    }
    if not news:
        return
    if "complexity" in news and complexity and ticket.done_by:
        ticket.done_by += allowed(settings, complexity) - allowed(settings, ticket.complexity)
        deeds.keep_round(session, ticket, now)
    for name, value in news.items():
        setattr(ticket, name, value)
    ledger.write(
        session, at=now, person=by, act="describe", object_kind="ticket", object_id=ticket.id, **news
    )  # fmt: skip


def urge(
    session: Session, settings: Settings, ticket: Ticket, by: Person, now: datetime, why: str
) -> None:
    """督办: the committee wants it done; it goes first on the list, and the volunteers are told."""
    ticket.urgent = True
    notices.owe(session, settings, Why.URGENT, now, test=ticket.test)
    ledger.write(
        session, at=now, person=by, act="urge", object_kind="ticket", object_id=ticket.id, why=why
    )


def allowed(settings: Settings, complexity: Complexity) -> timedelta:
    """How long a round may take, by the clock."""
    if complexity is Complexity.COMPLEX:
        return timedelta(days=settings.complex_done_within_days)
    return timedelta(hours=settings.done_within_hours)


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
