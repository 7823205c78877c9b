"""Somebody rang and left no words: a person owes them a call."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import ledger, notices, service
from tickets.ledger import SYSTEM
from tickets.lifecycle import OPEN, Act, State
from tickets.models import Kind, Source, Ticket
from tickets.notices import Why
from tickets.real import is_real

URGENT_SHORT_CALLS = 3  # of one number within half an hour


def owe(
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
        .where(
            Ticket.phone == phone,
            Ticket.kind == Kind.RING_BACK,
            Ticket.state.in_(OPEN),
            is_real(Ticket, tests=test),
        )
        .limit(1)
    )
    if ticket is None:
        ticket = service.open_ticket(
            session, settings, now, kind=Kind.RING_BACK, source=Source.SHORT_CALL, phone=phone, by=ledger.CALLER, call_id=call_id, test=test
        )  # fmt: skip
    if short_calls >= URGENT_SHORT_CALLS and not ticket.urgent:
        ticket.urgent = True
        notices.owe(session, settings, Why.URGENT, now, test=test)
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


def forget(session: Session, phone: str, now: datetime, *, test: bool) -> None:
    """Whoever rang again and left words need not be asked what the short call was about."""
    owed = select(Ticket).where(
        Ticket.phone == phone,
        Ticket.kind == Kind.RING_BACK,
        Ticket.state.in_((State.NEW, State.ASSIGNED)),
        is_real(Ticket, tests=test),
    )
    for ticket in session.scalars(owed):
        service.act(session, ticket, Act.WITHDRAW, SYSTEM, now, why="又打来，留了话")
