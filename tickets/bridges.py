"""Bridged calls: somebody presses at the desk; the line rings their own telephone, then the resident's.

A press is a promise, its call a try, written before it is dialled. One press is one call at most:
what is open is not promised again, what was tried is not tried again, and whoever cannot be rung
soon is told so instead of being rung when they have given up.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import dialling, ledger, promises, return_calls, returns
from tickets.dialling import SHORTLY, Line
from tickets.ledger import SYSTEM
from tickets.models import Duty, Promise, PromiseState, ReturnTry, Ticket, Volunteer
from tickets.real import is_test
from tickets.returns import Outcome

WAITS = timedelta(minutes=2)  # somebody sits before the page: later it is not dialled any more
CHANNELS = 2  # theirs and the resident's


class Reached(StrEnum):
    """What came of the resident's telephone."""

    TALKED = "talked"
    NO_ANSWER = "no_answer"
    BUSY = "busy"


OURS = {
    Outcome.HEARD: "您接了，正在接通",
    Outcome.NOT_CONFIRMED: "您接了，没按 1",
    Outcome.MACHINE: "接的是留言机",
    Outcome.NO_ANSWER: "您没接",
    Outcome.BUSY: "您的电话占线",
    Outcome.FAULT: "没打出去",
}
THEIRS = {Reached.TALKED: "接通了", Reached.NO_ANSWER: "没人接", Reached.BUSY: "占线"}
LINE_FULL, NO_NUMBER, UNKNOWN = "线路忙，没打出去", "没有号码，没打出去", "电话挂了"


class NotNowError(Exception):
    """Nobody is rung: it is the resident's hour of rest until `until`, or one talks already."""

    def __init__(self, why: str, until: datetime | None = None) -> None:
        super().__init__(why)
        self.why, self.until = why, until


def newest(session: Session, ticket_id: int) -> Promise | None:
    bridges = select(Promise).where(Promise.duty == Duty.BRIDGE, Promise.ticket_id == ticket_id)
    return session.scalar(bridges.order_by(Promise.id.desc()).limit(1))


def press(
    session: Session, settings: Settings, ticket: Ticket, who: Volunteer, now: datetime,
    *, seen: int, anyway: bool = False,
) -> Promise:  # fmt: skip
    """Promise the call, unless the page that was pressed is older than the newest promise.

    The dial is taken by the caller. Raises NotNowError. `anyway`: a person answers for the hour.
    """
    last = newest(session, ticket.id)
    if last is not None and (last.state is PromiseState.OPEN or last.id != seen):
        return last
    talking = select(Promise.id).where(
        Promise.duty == Duty.BRIDGE, Promise.state == PromiseState.OPEN,
        Promise.volunteer_id == who.id,
    )  # fmt: skip
    if session.scalar(talking.limit(1)) is not None:
        raise NotNowError("talking")
    until = returns.may_ring(now, 0, return_calls.rules(session, settings))
    if until > now and not (anyway or ticket.urgent):
        raise NotNowError("rest", until)
    ledger.write(
        session, at=now, person=ledger.volunteer(who.id), act="bridge", object_kind="ticket",
        object_id=ticket.id, why="休息时间，有急事" if until > now else "打电话",
    )  # fmt: skip
    return promises.make(session, Duty.BRIDGE, now, ticket_id=ticket.id, volunteer_id=who.id)


def begin(
    session: Session, settings: Settings, promise: Promise, line: Line, now: datetime
) -> ReturnTry | None:
    """The only try of a press, if both telephones and two channels are free."""
    who = session.get(Volunteer, promise.volunteer_id) if promise.volunteer_id else None
    resident = promise.ticket.phone if promise.ticket else None
    if promise.tries:
        promises.settle(promise, PromiseState.KEPT, UNKNOWN, now)
    elif who is None or not who.phone or not resident:
        promises.settle(promise, PromiseState.OWED, NO_NUMBER, now)
    elif now - promise.made_at >= WAITS:
        promises.settle(promise, PromiseState.OWED, LINE_FULL, now)
    elif dialling.is_busy(
        session, settings, {who.phone, resident}, line, now, channels=CHANNELS,
        urgent=True, test=is_test(settings, promise),  # somebody waits
    ):  # fmt: skip
        promises.put_off(promise, now + SHORTLY)
    else:
        test = is_test(settings, promise)
        return dialling.begin(session, [promise], who.phone, now, volunteer_id=who.id, test=test)
    return None


def finish_try(session: Session, attempt: ReturnTry, outcome: Outcome, now: datetime) -> None:
    """How the volunteer's own telephone was answered; HEARD: the resident's is rung now."""
    if not dialling.close(session, attempt):
        return
    attempt.outcome, attempt.ended_at = outcome, now
    for promise in dialling.brought(session, attempt, lock=True):
        if promise.state is not PromiseState.OPEN:
            continue
        if outcome is Outcome.HEARD:
            promises.put_off(promise, now + dialling.UNDER_WAY, OURS[outcome])
        else:
            _end(session, promise, PromiseState.OWED, OURS[outcome], now)


def finish(session: Session, attempt: ReturnTry, reached: Reached, now: datetime) -> None:
    """How the resident's was; also when it is told after the end of the call. The first word counts."""
    session.flush()
    session.refresh(attempt, with_for_update=True)
    if attempt.reached is not None:
        return
    attempt.reached = reached
    for promise in dialling.brought(session, attempt, lock=True):
        _end(session, promise, PromiseState.KEPT, THEIRS[reached], now)


def hang_up(session: Session, attempt: ReturnTry, now: datetime) -> None:
    """The call is over. What came of it may still be told."""
    for promise in dialling.brought(session, attempt, lock=True):
        if promise.state is PromiseState.OPEN:
            promises.settle(promise, PromiseState.KEPT, UNKNOWN, now)


def reached(promise: Promise) -> Reached | None:
    """What the house knows of the resident's telephone."""
    known = [attempt.reached for attempt in promise.tries if attempt.reached]
    return Reached(known[-1]) if known else None


def _end(
    session: Session, promise: Promise, state: PromiseState, result: str, now: datetime
) -> None:
    promises.settle(promise, state, result, now)
    ledger.write(
        session, at=now, person=SYSTEM, act="bridged", object_kind="ticket",
        object_id=promise.ticket_id, why=result, to=promise.volunteer_id,
    )  # fmt: skip
