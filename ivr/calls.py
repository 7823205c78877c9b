"""Calls: how each webhook moves one a single turn through its flow, and how one ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.db import connection_of
from hotline.phone import CallerId, CallerKind
from ivr import engine, errand_words, parts, readiness, ringing, slots, steps
from ivr.engine import Heard, Place, Way
from ivr.flow import FLOWS
from ivr.models import Call, CallStatus
from ivr.turns import CALLS, FIND_CALL, Asked, Planned, find, newest, repeat, step, where_it_stands
from tickets import directory, limits, return_calls, roster, service, volunteer_calls
from tickets.lifecycle import OPEN, State
from tickets.models import Duty, Event, Promise, PromiseState, ReturnTry, Role, Ticket, Volunteer
from tickets.volunteer_calls import WAITING

# Whether a PIN opens the door to this volunteer, ADMITTED, REFUSED or LOCKED; it answers a question.
Porter = Callable[[int, str, str], Way]

RECORDING_MAY_COME = timedelta(minutes=2)  # after the end of a call


# All that a ring needs to know, asked at once.
AT_A_RING = select(
    FIND_CALL.with_only_columns(CALLS.c.id).scalar_subquery().label("call_id"),
    roster.IS_ON_DUTY.exists().label("on_duty"),
    select(func.min(Volunteer.id))
    .where(Volunteer.phone == bindparam("phone"), Volunteer.active, Volunteer.pin_hash.is_not(None))
    .scalar_subquery()
    .label("volunteer"),
    *(
        service.OPEN_REQUESTS.with_only_columns(Ticket.id)
        .limit(1)
        .offset(which)
        .scalar_subquery()
        .label(name)
        for which, name in enumerate(("newest", "second"))
    ),
    *directory.VOICE_COLUMNS,
)


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
) -> Asked | Planned:
    """A call comes in. The same call ringing again hears the same words."""
    phone = caller.phone.e164 if caller.phone else None
    known = (
        connection_of(session)
        .execute(AT_A_RING, {"sid": sid, "at": now, "phone": phone, "test": test})
        .one()
    )
    if known.call_id is not None and (call := find(session, sid)) is not None:
        return repeat(session, call, 1)
    open_requests = [ticket for ticket in (known.newest, known.second) if ticket is not None]
    recognised = caller.kind is CallerKind.KNOWN and open_requests
    facts: dict[str, Any] = {
        "caller": caller.kind.value,
        "phone": phone,
        "situation": "closed" if not known.on_duty else "open_request" if recognised else "fresh",
        "open_requests": len(open_requests),
        "ticket": known.newest,
        "volunteers": len(ringing.people_to_ring(session, settings, now)) if known.on_duty else 0,
    }
    facts |= _voice(directory.voice(known))
    if test:
        facts |= {"test": True}
    row = {"flow": "inbound", "caller_kind": caller.kind.value, "phone": phone, "test": test}
    if known.volunteer is not None:
        facts |= _his(session, settings, known.volunteer, now, test=test)
        administers = session.get_one(Volunteer, known.volunteer).role is Role.ADMIN
        row |= {"flow": "studio" if administers else "staff"}
    return _begin(session, settings, sid, row, facts, now)


def answered(
    session: Session, settings: Settings, sid: str, token: str, now: datetime, *, machine: bool
) -> Asked | Planned | None:
    """Somebody whom we ring, or a machine, has picked up; None if we placed no such call."""
    attempt = session.scalar(select(ReturnTry).where(ReturnTry.token == token))
    if attempt is None:
        return None
    if (call := find(session, sid)) is not None:
        return repeat(session, call, 1)
    facts: dict[str, Any] = {
        "caller": CallerKind.KNOWN.value,
        "phone": attempt.phone,
        "machine": machine,
        "volunteers": len(ringing.people_to_ring(session, settings, now)),
        "committee": ringing.can_reach_committee(settings),
    }
    facts |= _voice(directory.voice_of(session, attempt.phone))
    row: dict[str, Any] = {
        "flow": "return", "caller_kind": CallerKind.KNOWN.value, "phone": attempt.phone,
        "try_id": attempt.id, "test": attempt.test,
    }  # fmt: skip
    if attempt.promise.duty is Duty.BRIDGE:
        facts |= {"resident": 1, "ticket": attempt.promise.ticket_id}
        row |= {"flow": "bridge", "about_ticket_id": attempt.promise.ticket_id}
        return _begin(session, settings, sid, row, facts, now)
    if attempt.volunteer_id is not None:
        facts |= _to_hear(session, attempt)
        return _begin(session, settings, sid, row | {"flow": "duty"}, facts, now)
    told = return_calls.to_tell(session, attempt)
    done = [promise for promise in told if promise.event is Event.DONE]
    first = (done or told or [attempt.promise])[0]
    facts |= {
        "event": first.event.value if told and first.event else "none",
        "ticket": first.ticket_id,
        "things": return_calls.asks_things(session, done),
        "trips": return_calls.asks_trips(session, done),
        "news": [
            {"event": p.event, "ticket": p.ticket_id, "at": p.made_at.isoformat()} for p in told
        ],
    }
    row |= {"about_ticket_id": first.ticket_id}
    return _begin(session, settings, sid, row, facts, now, tells=[promise.id for promise in told])


def hear(
    session: Session,
    settings: Settings,
    sid: str,
    number: int,
    heard: Heard,
    now: datetime,
    porter: Porter,
) -> Asked | Planned:
    """The caller answered question `number`; an old question is answered as it was before.

    Raises UnknownCallError. A number that was never asked is taken as the newest question's.
    """
    stands = where_it_stands(session, sid)
    if stands is None:
        raise UnknownCallError(sid)
    if number < stands.number:
        return repeat(session, stands, number + 1)
    if number > stands.number:
        return repeat(session, stands, stands.number)
    flow, memory = FLOWS[stands.flow], stands.memory
    if memory.get("kept"):  # a message that is being written down
        memory = {**memory, **readiness.look(session, settings, stands.id)}
    if memory.get(engine.FACT + "volunteer"):  # who goes through his requests
        memory = {**memory, **errand_words.look(session, memory)}
    place = Place(stands.step, stands.number, memory)
    if isinstance(flow[stands.step], steps.Pin) and heard.key:
        question = f"{stands.id}:{number}"  # asked and answered once, however often it is reported
        heard = Heard(porter(int(engine.fact(place, "volunteer")), heard.key, question))
    elif isinstance(flow[stands.step], steps.Number) and heard.key:
        known = heard.key.isdecimal() and int(heard.key) in parts.NUMBERS
        heard = replace(heard, way=Way.FOUND if known else Way.UNKNOWN)
    if heard.way is not Way.FOUND:
        heard = replace(heard, key=heard.key[:1])  # more is asked for, and kept, nowhere
    turn = engine.advance(flow, place, heard)
    said = f"{heard.way}:{heard.key}" if heard.key else heard.way.value
    words = _words(session, settings, turn, stands.id, now)
    return Planned(sid, stands.flow, turn, words, said, call_id=stands.id)


def lock(session: Session, call_id: int) -> Call:
    """The call, held until the transaction ends, so that what follows from it happens once."""
    return session.execute(select(Call).where(Call.id == call_id).with_for_update()).scalar_one()


def end(
    session: Session, call_id: int, status: CallStatus, seconds: int | None, now: datetime
) -> list[int]:
    """The carrier says a call is over. The first final word counts; later ones change nothing.

    The settling of the call becomes due: at once, or, where a recording may still be on its way,
    a little later. Returns the promises to ring the bell for.
    """
    # The promise before the call, as the hand that settles it takes them: no deadlock.
    settling = session.scalars(
        select(Promise)
        .where(
            Promise.call_id == call_id,
            Promise.duty == Duty.SETTLE_CALL,
            Promise.state == PromiseState.OPEN,
        )
        .with_for_update()
    ).all()
    call = lock(session, call_id)
    if call.ended_at is not None:
        return []
    call.status, call.seconds, call.ended_at = status, seconds, now
    recording_may_come = isinstance(step(call.flow, newest(session, call.id).step), steps.Record)
    for promise in settling:
        promise.due_at = now + (RECORDING_MAY_COME if recording_may_come else timedelta())
    return [] if recording_may_come else [promise.id for promise in settling]


def about(session: Session, call: Call) -> Ticket | None:
    """The request this call made, or, for a return call, is about."""
    made = service.ticket_of_call(session, call.id)
    return made or (session.get(Ticket, call.about_ticket_id) if call.about_ticket_id else None)


def _begin(
    session: Session,
    settings: Settings,
    sid: str,
    row: dict[str, Any],
    facts: Mapping[str, Any],
    now: datetime,
    tells: Sequence[int] = (),
) -> Planned:
    turn = engine.begin(FLOWS[row["flow"]], "ring", facts)
    words = _words(session, settings, turn, None, now)
    return Planned(sid, row["flow"], turn, words, "ring", new_call=row, tells=tells)


def _words(
    session: Session, settings: Settings, turn: engine.Turn, call_id: int | None, now: datetime
) -> Sequence[Mapping[str, Any]]:
    said_words = [
        word
        for said in turn.says
        for word in slots.fill(
            session, settings, said, call_id=call_id, memory=turn.place.memory, now=now
        )
    ]
    if kept_in := turn.place.memory.get(engine.FACT + "set"):
        return [{**word, "set": kept_in} if "prompt" in word else word for word in said_words]
    return said_words


def _voice(voice: directory.Voice) -> dict[str, Any]:
    """How to speak with whoever has this number, where it is otherwise than with everybody."""
    kept_in = parts.set_for(voice.dialect, voice.slow)
    return ({"set": kept_in} if kept_in else {}) | ({"slow": True} if voice.slow else {})


def _to_hear(session: Session, attempt: ReturnTry) -> dict[str, Any]:
    brings = volunteer_calls.to_hear(session, attempt)
    mine = volunteer_calls.requests_of(session, attempt.volunteer_id or 0, test=attempt.test)
    lists = {
        "waiting": [ticket.id for ticket in brings.waiting],
        "errands": [ticket.id for ticket in brings.in_hand],
        "untold": [ticket.id for ticket in brings.untold],
    }
    told, shift = {each for listed in lists.values() for each in listed}, brings.shift
    if shift is not None:
        occasion = "shift" if told else "quiet_shift"
    else:
        occasion = "late" if told and told <= set(brings.late) else "new"
    return lists | {
        "volunteer": attempt.volunteer_id, "late": brings.late,
        "notes": volunteer_calls.notes_left(session, attempt) if shift else [],
        "in_hand": len({ticket.id for ticket in mine} - told),
        "occasion": occasion, "until": shift.ends_at.isoformat() if shift else "",
    }  # fmt: skip


def _his(
    session: Session, settings: Settings, volunteer_id: int, now: datetime, *, test: bool
) -> dict[str, Any]:
    """What a volunteer who rings goes through: what waits for him, what he has, what is late."""
    mine = volunteer_calls.requests_of(session, volunteer_id, test=test)
    late = [row.ticket_id for row in limits.standing(session, settings, volunteer_id, now)]
    others = [session.get_one(Ticket, each) for each in dict.fromkeys(late)]
    new = [*mine, *(each for each in others if each.state in OPEN and each not in mine)]
    waits = {t.id for t in new if t.state in WAITING or t.assignee_id != volunteer_id}
    return {
        "volunteer": volunteer_id, "late": late, "committee": ringing.can_reach_committee(settings),
        "waiting": [ticket.id for ticket in new if ticket.id in waits],
        "errands": [ticket.id for ticket in new if ticket.id not in waits],
        "untold": [ticket.id for ticket in others if ticket.state is State.DONE],
    }  # fmt: skip
