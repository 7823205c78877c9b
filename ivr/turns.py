"""Turns as rows. A turn is read and thought out first, then written in one short transaction.

The newest turn of a call is where it stands. A turn is inserted under the number of the question
it asks, so a webhook that comes twice finds its answer already written and only repeats it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Executable, Row, Table, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from hotline.db import connection_of
from ivr import engine, steps
from ivr.flow import FLOWS
from ivr.models import Call, CallStatus, Turn
from ivr.steps import Effect, Waiting
from tickets import dialling
from tickets.models import Duty, Promise, PromiseState, ReturnTry

SETTLE_AFTER = timedelta(minutes=30)  # longer than any call; then the carrier is asked how it ended

CALLS, TURNS, PROMISES, TRIES = (
    cast(Table, row.__table__) for row in (Call, Turn, Promise, ReturnTry)
)

# Every key of every caller runs through these. Built once they cost a fifth of what the same
# statements cost through the ORM (measured: 205 µs against 1,138).
FIND_CALL = select(CALLS).where(CALLS.c.carrier_sid == bindparam("sid"))
NEWEST = (
    select(TURNS)
    .where(TURNS.c.call_id == bindparam("call"))
    .order_by(TURNS.c.number.desc())
    .limit(1)
)
ONE = select(TURNS).where(TURNS.c.call_id == bindparam("call"), TURNS.c.number == bindparam("turn"))
WHERE_IT_STANDS = (
    select(CALLS.c.id, CALLS.c.flow, TURNS.c.number, TURNS.c.step, TURNS.c.memory)
    .join(TURNS, TURNS.c.call_id == CALLS.c.id)
    .where(CALLS.c.carrier_sid == bindparam("sid"))
    .order_by(TURNS.c.number.desc())
    .limit(1)
)
ADD_PROMISE = insert(PROMISES)
NAME_TRY = (
    update(TRIES)
    .where(TRIES.c.id == bindparam("try"), TRIES.c.carrier_sid.is_(None))
    .values(carrier_sid=bindparam("sid"))
)
ADD_CALL = {
    "sqlite": sqlite.insert(CALLS)
    .on_conflict_do_nothing(index_elements=["carrier_sid"])
    .returning(CALLS.c.id),
    "postgresql": postgresql.insert(CALLS)
    .on_conflict_do_nothing(index_elements=["carrier_sid"])
    .returning(CALLS.c.id),
}
ADD_TURN = {
    "sqlite": sqlite.insert(TURNS).on_conflict_do_nothing(index_elements=["call_id", "number"]),
    "postgresql": postgresql.insert(TURNS).on_conflict_do_nothing(
        index_elements=["call_id", "number"]
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a call, ready to be written as TwiML."""

    call_id: int
    turn: int
    step: Waiting
    says: Sequence[Mapping[str, Any]]
    memory: Mapping[str, Any]
    at: datetime  # when it was first asked: whoever speaks it then speaks it when it is repeated
    effects: tuple[Effect, ...] = ()  # what is to be done because of it; none when it is repeated


@dataclass(frozen=True, slots=True)
class Planned:
    """A turn thought out but not written: nothing has happened yet."""

    sid: str
    flow: str
    turn: engine.Turn
    says: Sequence[Mapping[str, Any]]
    heard: str
    call_id: int | None = None
    new_call: Mapping[str, Any] | None = None  # the row of a call that begins
    tells: Sequence[int] = ()  # the promises whose news it brings


def find(session: Session, sid: str) -> Row[Any] | None:
    """The call with the carrier's identifier."""
    return _run(session, FIND_CALL, {"sid": sid}).one_or_none()


def where_it_stands(session: Session, sid: str) -> Row[Any] | None:
    """id and flow of the call, number, step and memory of its newest turn."""
    return _run(session, WHERE_IT_STANDS, {"sid": sid}).one_or_none()


def newest(session: Session, call_id: int) -> Row[Any]:
    """Where the call stands."""
    return _run(session, NEWEST, {"call": call_id}).one()


def step(flow: str, name: str) -> Waiting:
    found = FLOWS[flow][name]
    assert not isinstance(found, steps.Fork | steps.Tell | steps.Each)  # noqa: S101  no turn stops at one
    return found


def step_of(session: Session, call: Row[Any] | Call, number: int) -> Waiting | None:
    """The step that asked question `number`."""
    row = _run(session, ONE, {"call": call.id, "turn": number}).one_or_none()
    return step(call.flow, row.step) if row else None


def question(session: Session, call_id: int, number: int) -> Row[Any] | None:
    """The turn that asked question `number`."""
    return _run(session, ONE, {"call": call_id, "turn": number}).one_or_none()


def before(session: Session, asked: Asked) -> Row[Any]:
    """The question whose answer led to this one."""
    return _run(session, ONE, {"call": asked.call_id, "turn": asked.turn - 1}).one()


def heard(session: Session, asked: Asked) -> str:
    """The answer that led to this question, such as key:2."""
    answer: str = _run(session, ONE, {"call": asked.call_id, "turn": asked.turn}).one().heard
    return answer


def repeat(session: Session, call: Row[Any], number: int) -> Asked:
    """A question as it was asked before; nothing follows from it again."""
    row = _run(session, ONE, {"call": call.id, "turn": number}).one()
    return Asked(call.id, row.number, step(call.flow, row.step), row.says, row.memory, row.at)


def write(session: Session, planned: Planned, now: datetime) -> Asked:
    """Write a planned turn, and its call where it begins one.

    If the same webhook was quicker in another process, its turn stands and is repeated.
    """
    call_id = planned.call_id
    if planned.new_call is not None:
        call_id = _add_call(session, planned.sid, planned.new_call, planned.tells, now)
    place = planned.turn.place
    if call_id is not None:
        row = {
            "call_id": call_id, "number": place.turn, "step": place.step, "says": planned.says,
            "memory": dict(place.memory), "heard": planned.heard, "at": now,
        }  # fmt: skip
        added = _run(session, ADD_TURN[_dialect(session)], row)
        if added.rowcount:
            return Asked(
                call_id,
                place.turn,
                step(planned.flow, place.step),
                planned.says,
                place.memory,
                now,
                planned.turn.effects,
            )
    call = find(session, planned.sid)
    assert call is not None  # noqa: S101  it was there, or another process has just added it
    return repeat(session, call, place.turn)


def _add_call(
    session: Session, sid: str, row: Mapping[str, Any], tells: Sequence[int], now: datetime
) -> int | None:
    """Add a call and the promise to settle it; None if it is there already."""
    usual = {"try_id": None, "about_ticket_id": None, "status": CallStatus.UNDER_WAY.value}
    added: int | None = _run(
        session,
        ADD_CALL[_dialect(session)],
        {**usual, **row, "carrier_sid": sid, "started_at": now, "answered_at": now},
    ).scalar_one_or_none()
    if added is not None:
        promise = {
            "duty": Duty.SETTLE_CALL, "made_at": now, "due_at": now + SETTLE_AFTER, "call_id": added,
            "state": PromiseState.OPEN, "attempts": 0, "result": "",
        }  # fmt: skip
        _run(session, ADD_PROMISE, promise)
        if row.get("try_id"):
            _run(session, NAME_TRY, {"try": row["try_id"], "sid": sid})
            dialling.bring(session, row["try_id"], tells)
    return added


def _run(session: Session, statement: Executable, values: Mapping[str, Any]) -> CursorResult[Any]:
    return connection_of(session).execute(statement, values)


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name
