"""Calls as rows: each webhook moves one a single turn through its flow.

The newest turn of a call is where it stands. A turn is inserted under the number of the question
it asks, so a webhook that comes twice finds its answer already written and only repeats it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, Table, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.phone import CallerId, CallerKind
from ivr import engine, slots
from ivr.engine import Effect, Heard, Place, Waiting
from ivr.flow import FLOWS
from ivr.models import Call, CallStatus, Turn
from tickets import roster, service
from tickets.models import Duty, Promise, PromiseState, ReturnTry, Ticket

SETTLE_AFTER = timedelta(minutes=30)  # longer than any call; then the carrier is asked how it ended

RECORDING_MAY_COME = timedelta(minutes=2)  # after the end of a call

CALLS, TURNS, PROMISES = (cast(Table, row.__table__) for row in (Call, Turn, Promise))

# Every key of every caller runs through these. Built once they cost a fifth of what the same
# statements cost through the ORM (measured: 205 µs against 1,138).
FIND_CALL = select(CALLS).where(CALLS.c.carrier_sid == bindparam("sid"))
NEWEST_TURN = (
    select(TURNS)
    .where(TURNS.c.call_id == bindparam("call"))
    .order_by(TURNS.c.number.desc())
    .limit(1)
)
ONE_TURN = select(TURNS).where(
    TURNS.c.call_id == bindparam("call"), TURNS.c.number == bindparam("turn")
)
ADD_PROMISE = insert(PROMISES)
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
    effects: tuple[Effect, ...] = ()  # what is to be done because of it; none when it is repeated


class UnknownCallError(LookupError):
    """No row for this call: its ring was lost, or is still on its way."""


def ring(
    session: Session,
    settings: Settings,
    sid: str,
    caller: CallerId,
    now: datetime,
    *,
    test: bool = False,
) -> Asked:
    """A call comes in. The same call ringing again hears the same words."""
    if (call := find(session, sid)) is not None:
        return _repeat(session, call, 1)
    phone = caller.phone.e164 if caller.phone else None
    known = caller.kind is CallerKind.KNOWN
    requests = service.open_requests(session, phone) if phone else ()
    on_duty = roster.on_duty(session, now) is not None
    facts = {
        "caller": caller.kind.value,
        "phone": phone,
        "situation": "closed" if not on_duty else "open_request" if known and requests else "fresh",
        "open_requests": len(requests),
        "ticket": requests[0].id if requests else None,
        "volunteers": len(_people_to_ring(session, settings, now)) if on_duty else 0,
    }
    row = {"flow": "inbound", "caller_kind": caller.kind.value, "phone": phone, "test": test}
    return _begin(session, settings, sid, row, facts, now)


def answered(
    session: Session, settings: Settings, sid: str, token: str, now: datetime, *, machine: bool
) -> Asked | None:
    """A resident, or a machine, has picked up a return call; None if we placed no such call."""
    attempt = session.scalar(select(ReturnTry).where(ReturnTry.token == token))
    if attempt is None:
        return None
    if (call := find(session, sid)) is not None:
        return _repeat(session, call, 1)
    attempt.carrier_sid = attempt.carrier_sid or sid
    session.flush()
    ticket = attempt.promise.ticket
    facts = {
        "caller": CallerKind.KNOWN.value,
        "phone": attempt.phone,
        "event": attempt.promise.event.value if attempt.promise.event else "",
        "ticket": ticket.id if ticket else None,
        "machine": machine,
        "volunteers": len(_people_to_ring(session, settings, now)),
    }
    row = {
        "flow": "return", "caller_kind": CallerKind.KNOWN.value, "phone": attempt.phone, "try_id": attempt.id,
        "about_ticket_id": ticket.id if ticket else None, "test": bool(ticket and ticket.test),
    }  # fmt: skip
    return _begin(session, settings, sid, row, facts, now)


def hear(
    session: Session, settings: Settings, sid: str, number: int, heard: Heard, now: datetime
) -> Asked:
    """The caller answered question `number`; an old question is answered as it was before.

    Raises UnknownCallError. A number that was never asked is taken as the newest question's.
    """
    call = find(session, sid)
    if call is None:
        raise UnknownCallError(sid)
    newest = session.execute(NEWEST_TURN, {"call": call.id}).one()
    if number < newest.number:
        return _repeat(session, call, number + 1)
    if number > newest.number:
        return _repeat(session, call, newest.number)
    flow = FLOWS[call.flow]
    turn = engine.advance(flow, Place(newest.step, newest.number, newest.memory), heard)
    return _write(
        session,
        settings,
        call.id,
        call.flow,
        turn,
        f"{heard.way}:{heard.key}" if heard.key else heard.way.value,
        now,
    )


def find(session: Session, sid: str) -> Row[Any] | None:
    return session.execute(FIND_CALL, {"sid": sid}).one_or_none()


def lock(session: Session, call_id: int) -> Call:
    """The call, held until the transaction ends, so that what follows from it happens once."""
    return session.execute(select(Call).where(Call.id == call_id).with_for_update()).scalar_one()


def step_of(session: Session, call: Row[Any] | Call, number: int) -> Waiting | None:
    """The step that asked question `number`."""
    row = session.execute(ONE_TURN, {"call": call.id, "turn": number}).one_or_none()
    return _step(call.flow, row.step) if row else None


def newest(session: Session, call_id: int) -> Row[Any]:
    return session.execute(NEWEST_TURN, {"call": call_id}).one()


def whom_to_ring(
    session: Session, settings: Settings, memory: Mapping[str, Any], call_id: int, now: datetime
) -> dict[str, Any] | None:
    """The next volunteer of a call that looks for one: phone, seconds, who; None when all were rung."""
    people = _people_to_ring(session, settings, now)
    rung = int(memory.get("rung", 0))
    if rung >= len(people):
        return None
    left = settings.ring_all_seconds - rung * settings.ring_person_seconds
    return {
        "phone": people[rung].phone, "who": people[rung].id, "call": call_id,
        "seconds": min(settings.ring_person_seconds, left),
    }  # fmt: skip


def end(
    session: Session, call_id: int, status: CallStatus, seconds: int | None, now: datetime
) -> list[int]:
    """The carrier says a call is over. The first final word counts; later ones change nothing.

    The settling of the call becomes due: at once, or, where a recording may still be on its way,
    a little later. Returns the promises to ring the bell for.
    """
    call = lock(session, call_id)
    if call.ended_at is not None:
        return []
    call.status, call.seconds, call.ended_at = status, seconds, now
    recording_may_come = isinstance(_step(call.flow, newest(session, call.id).step), engine.Record)
    settling = session.scalars(
        select(Promise).where(
            Promise.call_id == call.id,
            Promise.duty == Duty.SETTLE_CALL,
            Promise.state == PromiseState.OPEN,
        )
    ).all()
    for promise in settling:
        promise.due_at = now + (RECORDING_MAY_COME if recording_may_come else timedelta())
    return [] if recording_may_come else [promise.id for promise in settling]


def _begin(
    session: Session,
    settings: Settings,
    sid: str,
    row: dict[str, Any],
    facts: Mapping[str, Any],
    now: datetime,
) -> Asked:
    values = {"try_id": None, "about_ticket_id": None, "status": CallStatus.UNDER_WAY.value, **row}
    added = session.execute(
        ADD_CALL[_dialect(session)], {"carrier_sid": sid, "started_at": now, **values}
    ).scalar_one_or_none()
    if added is None:  # the same ring, a moment earlier, in another process
        call = find(session, sid)
        assert call is not None  # noqa: S101
        return _repeat(session, call, 1)
    session.execute(
        ADD_PROMISE,
        {"duty": Duty.SETTLE_CALL, "made_at": now, "due_at": now + SETTLE_AFTER, "call_id": added,
         "state": PromiseState.OPEN, "attempts": 0, "result": ""},
    )  # fmt: skip
    turn = engine.begin(FLOWS[row["flow"]], "ring", facts)
    return _write(session, settings, added, row["flow"], turn, "ring", now)


def _write(
    session: Session,
    settings: Settings,
    call_id: int,
    flow: str,
    turn: engine.Turn,
    heard: str,
    now: datetime,
) -> Asked:
    place = turn.place
    says = [
        word
        for said in turn.says
        if (
            word := slots.fill(
                session, settings, said, call_id=call_id, memory=place.memory, now=now
            )
        )
        is not None
    ]
    added = session.execute(
        ADD_TURN[_dialect(session)],
        {
            "call_id": call_id,
            "number": place.turn,
            "step": place.step,
            "says": says,
            "memory": dict(place.memory),
            "heard": heard,
            "at": now,
        },
    )
    assert isinstance(added, CursorResult)  # noqa: S101
    if added.rowcount == 0:  # the same answer, a moment earlier, in another process
        row = session.execute(ONE_TURN, {"call": call_id, "turn": place.turn}).one()
        return Asked(call_id, row.number, _step(flow, row.step), row.says, row.memory)
    return Asked(call_id, place.turn, _step(flow, place.step), says, place.memory, turn.effects)


def _repeat(session: Session, call: Row[Any], number: int) -> Asked:
    row = session.execute(ONE_TURN, {"call": call.id, "turn": number}).one()
    return Asked(call.id, row.number, _step(call.flow, row.step), row.says, row.memory)


def _step(flow: str, name: str) -> Waiting:
    step = FLOWS[flow][name]
    assert not isinstance(step, engine.Fork | engine.Tell)  # noqa: S101
    return step


def _people_to_ring(session: Session, settings: Settings, now: datetime) -> Sequence[Any]:
    most = -(-settings.ring_all_seconds // settings.ring_person_seconds)
    return roster.people_to_ring(session, now)[:most]


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name


def about(session: Session, call: Call) -> Ticket | None:
    """The request this call made, or, for a return call, is about."""
    made = service.ticket_of_call(session, call.id)
    return made or (session.get(Ticket, call.about_ticket_id) if call.about_ticket_id else None)
