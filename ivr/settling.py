"""What follows from a turn or from the end of a call, beyond the next words: messages kept,
people owed a call, return calls heard. Every act here happens once, however often it is asked."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hotline.config import Settings
from ivr import calls, errand_words, recordings, ringing, spoken_takes, turns
from ivr.engine import FACT, Way
from ivr.flow import FLOWS, OF_VOLUNTEERS
from ivr.models import Call, CallStatus
from ivr.recordings import KEEPING, Reported
from ivr.steps import Effect, End, Menu
from ivr.turns import Asked
from tickets import (
    bridges,
    ledger,
    return_calls,
    ring_backs,
    service,
    volunteer_calls,
    volunteer_keys,
)
from tickets.bridges import Reached
from tickets.lifecycle import Act, possible
from tickets.models import Duty, Kind, Recording, ReturnTry, Source, Ticket
from tickets.outings import Reason
from tickets.returns import Outcome

SHORTEST_CALL_SECONDS = 3  # less is a wrong number or a pocket
SHORT_CALL_WINDOW = timedelta(minutes=30)

SATISFACTION = {Effect.SATISFIED: 1, Effect.SO_SO: 2, Effect.NOT_SATISFIED: 3}
TRIPS = {Effect.NO_TRIP: 0, Effect.ONE_TRIP: 1, Effect.MORE_TRIPS: 2}  # two stands for more
THINGS_BACK = {Effect.ALL_BACK: True, Effect.NOT_BACK: False}
WHY = {
    Effect.WHY_MATERIALS: Reason.MATERIALS, Effect.WHY_CLOSED: Reason.CLOSED,
    Effect.WHY_BREAKDOWN: Reason.BREAKDOWN, Effect.WHY_WRONG_PLACE: Reason.WRONG_PLACE,
    Effect.WHY_IN_PERSON: Reason.IN_PERSON,
}  # fmt: skip
ERRAND_EFFECTS = frozenset(WHY) | {
    Effect.LISTEN, Effect.TAKE, Effect.TELL, Effect.PASS, Effect.FINISH, Effect.SPOKEN, Effect.TOLD
}  # fmt: skip
OF_STAFF = frozenset({"staff", "studio"})
OF_OURS = {"return": "回电结束", "duty": "给志愿者打的电话", "bridge": "替志愿者接通的电话"}
ENDS_OF_BRIDGE = frozenset({Effect.REACHED, Effect.NOT_REACHED})
OUTCOMES = {
    Effect.HEARD: Outcome.HEARD,
    Effect.NOT_CONFIRMED: Outcome.NOT_CONFIRMED,
    Effect.MACHINE: Outcome.MACHINE,
}
ENDED = {
    CallStatus.BUSY: Outcome.BUSY,
    CallStatus.NO_ANSWER: Outcome.NO_ANSWER,
    CallStatus.FAILED: Outcome.FAULT,
    CallStatus.CANCELED: Outcome.FAULT,
    CallStatus.COMPLETED: Outcome.NO_ANSWER,  # unless a turn was heard
}


def carry_out(
    session: Session, settings: Settings, asked: Asked, said: Reported | None, now: datetime
) -> list[int]:
    """Do what a new turn asks for; returns the promises to ring the bell for."""
    if not asked.effects:
        return []
    call = calls.lock(session, asked.call_id)
    owed: list[int] = []
    for effect in asked.effects:
        if effect in KEEPING:
            if said is not None:
                owed += keep(session, settings, call, asked.turn - 1, effect, said, now)
        elif effect is Effect.USE_TAKE:
            spoken_takes.use(session, settings, asked, now)
        elif effect is Effect.TAKEN:
            take_unasked(session, settings, call, now)
        elif effect is Effect.OWE_RING_BACK:
            _owe_ring_back(session, settings, call, now)
        elif effect in ERRAND_EFFECTS:
            owed += _errand(session, settings, asked, effect, now)
        elif (attempt := _attempt(session, call)) is not None:
            if effect in ENDS_OF_BRIDGE:
                bridges.finish(session, attempt, _reached(session, asked, effect), now)
            elif effect in SATISFACTION:
                return_calls.rate(session, attempt, SATISFACTION[effect], now)
            elif effect in TRIPS:
                return_calls.count_trips(session, settings, attempt, TRIPS[effect], now)
            elif effect in THINGS_BACK:
                return_calls.check_things(session, settings, attempt, THINGS_BACK[effect], now)
            else:
                _end_try(session, settings, attempt, OUTCOMES[effect], now)
    if ERRAND_EFFECTS.intersection(asked.effects):
        _note_number(session, asked, now)
    return owed


def _reached(session: Session, asked: Asked, effect: Effect) -> Reached:
    if effect is Effect.REACHED:
        return Reached.TALKED
    return Reached.BUSY if turns.heard(session, asked) == Way.ENGAGED else Reached.NO_ANSWER


def _note_number(session: Session, asked: Asked, now: datetime) -> None:
    """A resident's number is among the words: that is an access, written before it is given."""
    ticket = errand_words.item(session, asked.memory)
    if ticket is not None and any(word.get("prompt") == errand_words.NUMBER for word in asked.says):
        volunteer_keys.see_number(session, ticket, int(asked.memory[FACT + "volunteer"]), now)


def _errand(
    session: Session, settings: Settings, asked: Asked, effect: Effect, now: datetime
) -> list[int]:
    """What a volunteer does by key with the request he was asked about; LISTEN is about the next."""
    memory = asked.memory if effect is Effect.LISTEN else turns.before(session, asked).memory
    ticket = errand_words.item(session, memory)
    volunteer_id = int(asked.memory[FACT + "volunteer"])
    if ticket is None:
        return []
    match effect:
        case Effect.LISTEN:
            volunteer_keys.listen(session, ticket, volunteer_id, now)
        case Effect.TAKE:
            volunteer_keys.take(session, ticket, volunteer_id, now)
        case Effect.TELL:
            return volunteer_keys.tell(session, ticket, volunteer_id, now)
        case Effect.PASS:
            volunteer_keys.pass_on(session, settings, ticket, volunteer_id, now)
        case Effect.FINISH:
            key = turns.heard(session, asked).partition(":")[2]
            outings = int(key) if key.isdigit() else None
            return volunteer_keys.finish(session, ticket, volunteer_id, now, outings=outings)
        case Effect.SPOKEN:
            volunteer_keys.spoke(session, ticket, volunteer_id, now)
        case Effect.TOLD:
            volunteer_keys.told(session, ticket, volunteer_id, now)
        case _:
            volunteer_keys.explain_outings(session, ticket, volunteer_id, WHY[effect], now)
    return []


def keep(
    session: Session,
    settings: Settings,
    call: Call,
    turn: int,
    effect: Effect,
    said: Reported,
    now: datetime,
) -> list[int]:
    """Keep a message that question `turn` asked for. The call must be locked."""
    if effect is Effect.KEEP_TAKE:
        return spoken_takes.keep(session, settings, call, turn, said, now)
    about = calls.about(session, call) or recordings.ticket_in_mind(
        session, turns.newest(session, call.id).memory
    )
    owed = recordings.keep(session, settings, call, turn, effect, said, about, now)
    if effect is Effect.KEEP_REPLY and (attempt := _attempt(session, call)) is not None:
        return_calls.finish_try(session, settings, attempt, Outcome.RECORDED, now)
    return owed


def take(
    session: Session, settings: Settings, call_id: int, volunteer_id: int, now: datetime
) -> None:
    """A volunteer pressed 1: the call is theirs, and so is the request it makes."""
    call = calls.lock(session, call_id)
    if call.taken_by is not None:
        return
    call.taken_by = volunteer_id
    if (attempt := _attempt(session, call)) is not None:
        return_calls.finish_try(session, settings, attempt, Outcome.TALKED, now)
        return
    ticket = service.ticket_of_call(session, call.id)
    if ticket is None:
        service.open_ticket(
            session, settings, now, kind=Kind.ERRAND, source=Source.TALK, phone=call.phone,
            by=ledger.CALLER, call_id=call.id, taken_by=volunteer_id, test=call.test,
        )  # fmt: skip
    elif Act.ACCEPT in possible(ticket.state):
        service.act(session, ticket, Act.ACCEPT, ledger.volunteer(volunteer_id, "phone"), now)
        ticket.contacted_at = ticket.contacted_at or now


def take_unasked(session: Session, settings: Settings, call: Call, now: datetime) -> None:
    """Somebody picked up at a carrier that cannot whisper: whoever was being rung has taken it."""
    memory = turns.newest(session, call.id).memory
    ring = (
        ringing.whom_to_ring(session, settings, "volunteers", memory, call.id, now)
        if call.taken_by is None
        else None
    )
    if ring is not None:
        take(session, settings, call.id, ring["who"], now)


def hang_up(session: Session, settings: Settings, call_id: int, now: datetime) -> list[int]:
    """A call is over; what a call of ours came to is known at once, also without the hands.

    Returns the promises to ring the bell for.
    """
    call = calls.lock(session, call_id)
    attempt = _attempt(session, call)
    if attempt is None:
        return []
    finish(session, settings, attempt, CallStatus(call.status), now)
    if attempt.promise.duty is Duty.BRIDGE:
        bridges.hang_up(session, attempt, now)
        return []
    return volunteer_calls.hang_up(session, attempt, now) if attempt.volunteer_id else []


def settle(session: Session, settings: Settings, call: Call, now: datetime) -> str:
    """A call is over: owe what it left open. Returns what came of it, in plain words."""
    if call.flow in OF_OURS:
        hang_up(session, settings, call.id, now)
        return OF_OURS[call.flow]
    if service.ticket_of_call(session, call.id) is not None or _left_something(session, call):
        return "已登记"
    if call.taken_by is not None:
        return "志愿者接了"
    if call.flow in OF_STAFF and turns.newest(session, call.id).step in OF_VOLUNTEERS:
        return "值班的人打来"
    if _has_what_he_rang_for(session, call):
        return "问了进展"
    if call.phone is None:
        return "没留话，号码没显示"
    if call.seconds is not None and call.seconds < SHORTEST_CALL_SECONDS:
        return "响了一下就挂了"
    _owe_ring_back(session, settings, call, now)
    return "没留话，要回电"


def finish(
    session: Session, settings: Settings, attempt: ReturnTry, status: CallStatus, now: datetime
) -> None:
    """A return call ended by the carrier's word."""
    outcome = ENDED.get(status)
    if outcome is None:
        return
    if status is CallStatus.COMPLETED and _was_answered(session, attempt):
        outcome = Outcome.NOT_CONFIRMED
    _end_try(session, settings, attempt, outcome, now)


def _end_try(
    session: Session, settings: Settings, attempt: ReturnTry, outcome: Outcome, now: datetime
) -> None:
    if attempt.promise.duty is Duty.BRIDGE:
        bridges.finish_try(session, attempt, outcome, now)
        return
    whose = volunteer_calls if attempt.volunteer_id else return_calls
    whose.finish_try(session, settings, attempt, outcome, now)


def _owe_ring_back(session: Session, settings: Settings, call: Call, now: datetime) -> None:
    if call.phone is None or service.ticket_of_call(session, call.id) is not None:
        return
    left_words = select(Ticket.call_id).where(
        Ticket.call_id.is_not(None), Ticket.kind == Kind.ERRAND
    )
    short_calls = session.scalar(
        select(func.count()).select_from(Call).where(
            Call.phone == call.phone, Call.flow == "inbound", Call.test == call.test, Call.started_at > now - SHORT_CALL_WINDOW, Call.id.not_in(left_words)
        )
    )  # fmt: skip
    ring_backs.owe(
        session,
        settings,
        now,
        phone=call.phone,
        call_id=call.id,
        short_calls=short_calls or 0,
        test=call.test,
    )


def _attempt(session: Session, call: Call) -> ReturnTry | None:
    return session.get(ReturnTry, call.try_id) if call.try_id else None


def _was_answered(session: Session, attempt: ReturnTry) -> bool:
    return session.scalar(select(Call.id).where(Call.try_id == attempt.id).limit(1)) is not None


def _has_what_he_rang_for(session: Session, call: Call) -> bool:
    step = FLOWS[call.flow][turns.newest(session, call.id).step]
    return isinstance(step, End) or (isinstance(step, Menu) and step.informs)


def _left_something(session: Session, call: Call) -> bool:
    of_this = select(Recording.id).where(
        Recording.call_id == call.id, Recording.ticket_id.is_not(None)
    )
    return session.scalar(of_this.limit(1)) is not None
