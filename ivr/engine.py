"""A call as a pure function: where it stands and what was heard give what is said next.

No step has code of its own; `ivr.flow` is read by the one function `advance`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ivr.steps import (
    SILENT,
    WRONG,
    Await,
    Each,
    Effect,
    End,
    Find,
    Flow,
    Fork,
    Menu,
    Number,
    Pin,
    Record,
    Said,
    Tell,
    Waiting,
)

FACT = "fact:"  # facts stand in a place's memory beside its counters, under this prefix


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call stands: the step, the number of its question, counters and facts."""

    step: str
    turn: int
    memory: Mapping[str, Any] = field(default_factory=dict)


class Way(StrEnum):
    """How the answer came."""

    RING = "ring"
    KEY = "key"
    SILENCE = "silence"
    SPEECH = "speech"  # a recording with something in it
    EMPTY = "empty"  # a recording without
    TAKEN = "taken"  # a volunteer took the call
    UNTAKEN = "untaken"
    ENGAGED = "engaged"  # nor taken; the telephone that was rung is busy
    ADMITTED = "admitted"  # the PIN is right
    REFUSED = "refused"
    LOCKED = "locked"
    FOUND = "found"  # there is a prompt of this number
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back: a way, and the key if one was pressed (also the key that ended a recording)."""

    way: Way
    key: str = ""
    hung_up: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What happens now: the new place, the words, the step that waits, and the effects."""

    place: Place
    says: tuple[Said, ...]
    effects: tuple[Effect, ...] = ()


MAX_REPEATS = 3  # R19
MAX_PINS = 5  # the door says so too; it counts over calls
MAX_RECORDINGS = 6  # a call with more messages than this is a stuck key, not a person


def begin(flow: Flow, start: str, facts: Mapping[str, Any]) -> Turn:
    """The first turn of a call."""
    memory = {FACT + name: value for name, value in facts.items()}
    return _arrive(flow, start, Place(start, 0, memory), (), ())


def advance(flow: Flow, place: Place, heard: Heard) -> Turn:
    """The next turn. Any answer to any step leads somewhere; nothing raises."""
    match flow[place.step]:
        case Menu() as step:
            return _after_menu(flow, step, place, heard)
        case Record() as step:
            return _after_record(flow, step, place, heard)
        case Find() as step:
            return _after_find(flow, step, place, heard)
        case Pin() as step:
            return _after_pin(flow, step, place, heard)
        case Number() as step:
            return _after_number(flow, step, place, heard)
        case Await():
            return _arrive(flow, place.step, place, (), ())  # whatever was heard meanwhile
        case _:  # said goodbye already
            return replace(_arrive(flow, place.step, place, (), ()), effects=())


def waits(flow: Flow, place: Place) -> Waiting:
    """The step that is waiting for the caller."""
    step = flow[place.step]
    assert not isinstance(step, Fork | Tell | Each)  # noqa: S101  _arrive never stops at one
    return step


def fact(place: Place, name: str) -> Any:
    return place.memory.get(FACT + name)


def _after_menu(flow: Flow, step: Menu, place: Place, heard: Heard) -> Turn:
    key = heard.key[:1] if heard.way is Way.KEY and heard.key[:1].isdigit() else ""  # R5
    pause = _pause_after(heard)
    done = (step.effects[key],) if key in step.effects else ()
    if key in step.keys:
        return _arrive(flow, step.keys[key], _fresh(place), pause, done)
    if key and key in (step.repeats, step.replays):
        if _count(place, "repeats") >= MAX_REPEATS:
            return _arrive(flow, step.silence, _fresh(place), pause, ())
        own = (Said(own_words=True),) if key == step.replays else ()
        return _ask_again(step, _counted(place, "repeats"), (*pause, *own))
    miss, excuse, leave = (WRONG, "I20", step.wrong) if key else (SILENT, "O22", step.silence)
    if miss in step.patient and _count(place, miss) == 0:
        return _ask_again(step, _counted(place, miss), (*pause, Said(prompt=excuse)))
    return _arrive(flow, leave, _fresh(place), pause, ())


def _after_record(flow: Flow, step: Record, place: Place, heard: Heard) -> Turn:
    if heard.way is Way.SPEECH:
        kept = _counted(place, "kept") if step.message else place
        leads = step.keys.get(heard.key, step.then)
        if _count(kept, "kept") >= MAX_RECORDINGS and "closing" in flow:
            leads = "closing"
        return _arrive(flow, leads, _fresh(kept), _pause_after(heard), (step.effect,))
    emptied = _counted(_fresh(place), "empty")
    asks = heard.key in step.keys and _count(emptied, "empty") == 1  # twice is a stuck key
    leads = step.keys[heard.key] if asks else step.empty
    return _arrive(flow, leads, emptied, _pause_after(heard), ())


def _after_find(flow: Flow, step: Find, place: Place, heard: Heard) -> Turn:
    if heard.way is Way.TAKEN:
        taken = (Effect.TAKEN,) if step.whom == "volunteers" else ()
        return _arrive(flow, step.answered, _fresh(place), (), taken)
    tried = _counted(place, "rung")
    if _count(tried, "rung") < int(fact(place, step.whom) or 0):
        return Turn(replace(tried, turn=place.turn + 1), ())
    return _arrive(flow, step.nobody, replace(tried, memory={**tried.memory, "rung": 0}), (), ())


def _after_pin(flow: Flow, step: Pin, place: Place, heard: Heard) -> Turn:
    if heard.way is Way.ADMITTED:
        return _arrive(flow, step.right, _fresh(place), (), ())
    if heard.way is Way.LOCKED or _count(place, WRONG) >= MAX_PINS:
        return _arrive(flow, step.locked, _fresh(place), (), ())
    if heard.way is Way.REFUSED:
        return _ask_again(step, _counted(place, WRONG), (Said(prompt="V03"),))
    if _count(place, SILENT) == 0:
        return _ask_again(step, _counted(place, SILENT), (Said(prompt="O22"),))
    return _arrive(flow, step.silence, _fresh(place), (), ())


def _after_number(flow: Flow, step: Number, place: Place, heard: Heard) -> Turn:
    if heard.way is Way.FOUND:
        chosen = replace(place, memory={**place.memory, "number": int(heard.key)})
        return _arrive(flow, step.found, _fresh(chosen), (), ())
    if heard.way is Way.UNKNOWN and _count(place, WRONG) < MAX_PINS:
        return _ask_again(step, _counted(place, WRONG), (Said(prompt="S03"),))
    if heard.way is not Way.UNKNOWN and _count(place, SILENT) == 0:
        return _ask_again(step, _counted(place, SILENT), (Said(prompt="O22"),))
    return _arrive(flow, step.silence, _fresh(place), (), ())


def _ask_again(step: Menu | Pin | Number, place: Place, first: tuple[Said, ...]) -> Turn:
    words = step.again or step.says if isinstance(step, Menu) else step.says
    return Turn(replace(place, turn=place.turn + 1), (*first, *map(_said, words)))


def _arrive(
    flow: Flow, name: str, place: Place, says: tuple[Said, ...], effects: tuple[Effect, ...]
) -> Turn:
    """Walk on until a step waits, collecting what is said and done on the way."""
    while True:
        step = flow[name]
        match step:
            case Fork():
                value = place.memory.get(FACT + step.by, place.memory.get(step.by))
                name = step.to.get(str(value), step.otherwise)
                continue
            case Find() if not int(fact(place, step.whom) or 0):
                name = step.nobody
                continue
            case Each():
                place = _counted(place, step.of)
                listed = len(fact(place, step.of) or ())
                name = step.then if _count(place, step.of) <= listed else step.done
                continue
            case Await():
                looks = _count(place, "looks")
                if fact(place, step.by) != step.value or looks >= int(fact(place, "looks") or 0):
                    name = step.then
                    continue
                says = (*says, *map(_said, step.says if looks == 0 else ()), Said(sound=step.pause))
                waiting = _counted(place, "looks")
                return Turn(Place(name, place.turn + 1, waiting.memory), says, effects)
        says = (*says, *map(_said, step.says))
        if isinstance(step, Tell | End) and step.effect:
            effects = (*effects, step.effect)
        if isinstance(step, Tell):
            name = step.then
            continue
        return Turn(Place(name, place.turn + 1, place.memory), says, effects)


def _said(word: str) -> Said:
    return Said(sound=word) if word.islower() else Said(prompt=word)


def _pause_after(heard: Heard) -> tuple[Said, ...]:
    return (Said(sound="second"),) if heard.key else ()  # R9: a second to bring the handset back


def _count(place: Place, counter: str) -> int:
    return int(place.memory.get(counter, 0))


def _counted(place: Place, counter: str) -> Place:
    return replace(place, memory={**place.memory, counter: _count(place, counter) + 1})


def _fresh(place: Place) -> Place:
    """A new question begins: what counted for the old one is forgotten."""
    gone = {SILENT, WRONG, "repeats"}
    return replace(
        place, memory={name: value for name, value in place.memory.items() if name not in gone}
    )
