"""Return calls as rows: who may be rung now, a try before it is dialled, and what came of it."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings, read_hours
from tickets import ledger, promises, returns, roster, service
from tickets.ledger import CALLER, SYSTEM
from tickets.lifecycle import Act, State
from tickets.models import Event, Promise, PromiseState, ReturnTry, Ticket
from tickets.returns import PROVEN, Outcome, Rules, Verdict

SHORTLY = timedelta(seconds=20)
UNDER_WAY = timedelta(minutes=30)  # a try without a result is looked up at the carrier until then

RESULTS = {
    Outcome.HEARD: "已听完并按1",
    Outcome.RECORDED: "说了话，已录下",
    Outcome.TALKED: "跟志愿者说上话了",
    Outcome.NOT_CONFIRMED: "放完了，没按键",
    Outcome.MACHINE: "是留言机，没说内容",
    Outcome.NO_ANSWER: "未接",
    Outcome.BUSY: "占线",
    Outcome.FAULT: "线路故障，没打出去",
}
VISIT_OWED = "打了几次都没说上话，请上门告诉一声"
LINE_AT_FAULT = "线路一直打不出去，请居委会查一查电话"


def rules(session: Session, settings: Settings) -> Rules:
    """The hours and bounds that the settings and the house's own calendar give."""
    return Rules(
        working=[read_hours(hours) for hours in settings.return_hours],
        rest=[read_hours(hours) for hours in settings.return_hours_rest],
        calls_a_day=settings.return_calls_a_day,
        tries=settings.return_tries,
        calendar=roster.calendar(session),
    )


def not_before(session: Session, settings: Settings, phone: str, now: datetime) -> datetime:
    """`now` if this resident may be rung now, else from when: hours, calls a day, the trunk, and
    their own telephone, which can only ring for one thing at a time."""
    earliest = returns.may_ring(now, _rung_today(session, phone, now), rules(session, settings))
    if earliest > now:
        return earliest
    last_minute = session.scalar(
        select(func.count())
        .select_from(ReturnTry)
        .where(ReturnTry.placed_at > now - timedelta(minutes=1))
    )
    under_way = session.scalars(
        select(ReturnTry.phone).where(
            ReturnTry.outcome.is_(None), ReturnTry.placed_at > now - UNDER_WAY
        )
    ).all()
    busy = (
        phone in under_way
        or len(under_way) >= max(1, settings.trunk_channels - 1)
        or (last_minute or 0) >= settings.calls_a_minute
    )
    return now + SHORTLY if busy else now


def begin_try(session: Session, promise: Promise, phone: str, now: datetime) -> ReturnTry:
    """Write the try down before anybody dials, with the token its call will be known by."""
    attempt = ReturnTry(
        promise_id=promise.id, token=secrets.token_hex(16), phone=phone, placed_at=now
    )
    session.add(attempt)
    session.flush()
    return attempt


def unanswered(promise: Promise) -> ReturnTry | None:
    """The try whose end nobody has reported yet."""
    return next((attempt for attempt in promise.tries if attempt.outcome is None), None)


def finish_try(
    session: Session, settings: Settings, attempt: ReturnTry, outcome: Outcome, now: datetime
) -> None:
    """A try ended so. The first word counts, but proof that comes late still proves.

    Settles the promise or sets its next due time.
    """
    if attempt.outcome is not None and (outcome not in PROVEN or attempt.outcome in PROVEN):
        return
    attempt.outcome, attempt.ended_at = outcome, now
    promise = session.get(
        Promise, attempt.promise_id, with_for_update=True, populate_existing=False
    )
    if promise is None:
        return
    ticket = promise.ticket
    if ticket is not None:
        ledger.write(
            session, at=now, person=CALLER if outcome in PROVEN else SYSTEM, act="return_call",
            object_kind="ticket", object_id=ticket.id, outcome=outcome, event=promise.event,
        )  # fmt: skip
        if outcome in PROVEN:
            _heard(session, ticket, promise, outcome, now)
    if promise.state is not PromiseState.OPEN:
        return
    next_ = returns.after(
        [Outcome(t.outcome) for t in _tries(session, promise) if t.outcome],
        now,
        rules(session, settings),
    )
    match next_.verdict:
        case Verdict.SETTLED:
            promises.settle(promise, PromiseState.KEPT, RESULTS[outcome], now)
        case Verdict.VISIT:
            promises.settle(promise, PromiseState.OWED, VISIT_OWED, now)
        case Verdict.TELL_COMMITTEE:
            promises.settle(promise, PromiseState.OWED, LINE_AT_FAULT, now)
        case Verdict.AGAIN:
            promises.put_off(promise, next_.due_at or now, RESULTS[outcome])


def rate(session: Session, attempt: ReturnTry, satisfaction: int, now: datetime) -> None:
    """What the resident says of it: 1 good, 2 so-so, 3 not good. Not good opens it again."""
    ticket = attempt.promise.ticket
    if ticket is None:
        return
    ticket.satisfaction = attempt.satisfaction = satisfaction
    ledger.write(
        session,
        at=now,
        person=CALLER,
        act="rate",
        object_kind="ticket",
        object_id=ticket.id,
        satisfaction=satisfaction,
    )
    if satisfaction == 3 and ticket.state in {State.CLOSED, State.DONE}:
        service.act(session, ticket, Act.REOPEN, CALLER, now, why="回电时说没办好")


def _heard(
    session: Session, ticket: Ticket, promise: Promise, outcome: Outcome, now: datetime
) -> None:
    ticket.contacted_at = ticket.contacted_at or now
    if promise.event is Event.DONE and outcome is Outcome.HEARD and ticket.state is State.DONE:
        service.act(session, ticket, Act.CONFIRM, CALLER, now, why="回电按1")


def _tries(session: Session, promise: Promise) -> Sequence[ReturnTry]:
    session.flush()
    return session.scalars(
        select(ReturnTry).where(ReturnTry.promise_id == promise.id).order_by(ReturnTry.id)
    ).all()


def _rung_today(session: Session, phone: str, now: datetime) -> int:
    midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    undisturbed = [outcome.value for outcome in returns.UNDISTURBING]
    return session.scalar(
        select(func.count()).select_from(ReturnTry).where(
            ReturnTry.phone == phone, ReturnTry.placed_at >= midnight,
            ReturnTry.outcome.is_(None) | ReturnTry.outcome.not_in(undisturbed),
        )
    ) or 0  # fmt: skip
