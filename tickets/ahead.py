"""What need not be waited for: in a demonstration the next thing that is owed, at the desk a person's news."""

from datetime import datetime

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from tickets import ledger, return_calls
from tickets.figures import CALLS
from tickets.models import TRY_PROMISES, Duty, Promise, PromiseState, ReturnTry, Ticket
from tickets.real import is_real

WHY = "演示：不等了，现在就办"


def next_one(session: Session, now: datetime, *, lock: bool = False) -> Promise | None:
    """The return call, or the look at a call that has ended, that is due next; none that rings now."""
    over = exists().where(
        CALLS.c.id == Promise.call_id, is_real(CALLS.c, tests=True), CALLS.c.ended_at.is_not(None)
    )
    about = exists().where(Ticket.id == Promise.ticket_id, is_real(Ticket, tests=True))
    ringing = (
        select(ReturnTry.id)
        .join(TRY_PROMISES, TRY_PROMISES.c.try_id == ReturnTry.id)
        .where(TRY_PROMISES.c.promise_id == Promise.id, ReturnTry.outcome.is_(None))
        .exists()
    )
    asked = (
        select(Promise)
        .where(
            Promise.state == PromiseState.OPEN, Promise.due_at > now, ~ringing,
            or_(
                (Promise.duty == Duty.RETURN_CALL) & about,
                (Promise.duty == Duty.SETTLE_CALL) & over,
            ),
        )
        .order_by(Promise.due_at, Promise.id)
        .limit(1)
    )  # fmt: skip
    return session.scalar(asked.with_for_update(of=Promise) if lock else asked)


def bring_forward(
    session: Session, promise: Promise, now: datetime, by: ledger.Person = ledger.SYSTEM, why: str = WHY,
) -> None:  # fmt: skip
    """Make it due now, and with it all news that the same call would bring; the ledger says so."""
    about = ("ticket", promise.ticket_id) if promise.ticket_id else ("call", promise.call_id)
    ledger.write(
        session, at=now, person=by, act="bring_forward", object_kind=about[0], object_id=about[1],
        why=why, duty=promise.duty, was_due=promise.due_at.isoformat(),
    )  # fmt: skip
    news = return_calls.news_of_person(session, promise.ticket, lock=True) if promise.ticket else ()
    for each in (promise, *news):
        each.due_at = min(each.due_at, now)
