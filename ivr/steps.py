"""What a flow is made of: steps, the words they say and the effects they name. `ivr.engine` walks them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Effect(StrEnum):
    """What the house does because of a turn. The engine only names it."""

    KEEP = "keep"  # the recording just made is the message, or more of it
    KEEP_INSTEAD = "keep_instead"  # it replaces what was said before in this call
    KEEP_WITH_REQUEST = "keep_with_request"  # it goes with the caller's open request
    KEEP_REPLY = "keep_reply"  # it answers a return call
    OWE_RING_BACK = "owe_ring_back"
    HEARD = "heard"  # key 1 in a return call: a person has heard it
    NOT_CONFIRMED = "not_confirmed"
    SATISFIED = "satisfied"
    SO_SO = "so_so"
    NOT_SATISFIED = "not_satisfied"
    MACHINE = "machine"
    ALL_BACK = "all_back"  # what was taken along has come back, says the resident
    NOT_BACK = "not_back"
    NO_TRIP = "no_trip"  # their own count
    ONE_TRIP = "one_trip"
    MORE_TRIPS = "more_trips"
    TAKEN = "taken"  # a volunteer spoke with the caller
    LISTEN = "listen"  # a volunteer hears a request
    TAKE = "take"  # he takes it
    TELL = "tell"  # and has the line tell the resident so
    PASS = "pass"  # somebody else is to do it
    KEEP_TAKE = "keep_take"  # the recording just made is of a prompt
    USE_TAKE = "use_take"  # and is to be heard by callers
    REACHED = "reached"  # the resident whom a volunteer had the line ring
    NOT_REACHED = "not_reached"
    FINISH = "finish"  # it is done; a key before it is the number of outings
    SPOKEN = "spoken"  # he has spoken with the resident
    TOLD = "told"  # and told them that it is done
    WHY_MATERIALS = "why_materials"  # why he went out more than once
    WHY_CLOSED = "why_closed"
    WHY_BREAKDOWN = "why_breakdown"
    WHY_WRONG_PLACE = "why_wrong_place"
    WHY_IN_PERSON = "why_in_person"


@dataclass(frozen=True, slots=True)
class Said:
    """One thing the caller hears: a prompt of the sheet, a sound, or his own recording."""

    prompt: str = ""
    sound: str = ""
    own_words: bool = False


SILENT, WRONG = "silent", "wrong"
PATIENT = frozenset({SILENT, WRONG})


# A step is a line of a table and equal to itself alone (eq=False): it can be a key of a cache.
@dataclass(frozen=True, slots=True, eq=False)
class Menu:
    """A question with keys. Silence and every wrong key lead on by themselves."""

    name: str
    says: tuple[str, ...]
    keys: Mapping[str, str]
    silence: str
    wrong: str
    wait: str = "menu"  # which setting says how long
    patient: frozenset[str] = PATIENT  # what is asked once more before it leads on
    again: tuple[str, ...] = ()  # what is repeated, if not all of `says`
    repeats: str = ""  # this key hears it again, at most three times
    replays: str = ""  # this key plays the caller's own recording, then asks again
    effects: Mapping[str, Effect] = field(default_factory=dict)  # by key
    informs: bool = False  # who hears this has what he rang for, and may hang up


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A beep, then the caller speaks. Ends by hanging up, a key or silence."""

    name: str
    says: tuple[str, ...]
    then: str
    empty: str
    effect: Effect
    keys: Mapping[str, str] = field(default_factory=dict)  # a key that does more than end it
    message: bool = True  # what is spoken is a resident's; else it counts as none


@dataclass(frozen=True, slots=True, eq=False)
class Fork:
    """Leads on by a fact or a counter, without a word."""

    name: str
    by: str
    to: Mapping[str, str]
    otherwise: str


@dataclass(frozen=True, slots=True, eq=False)
class Tell:
    """Says something and goes on."""

    name: str
    says: tuple[str, ...]
    then: str
    effect: Effect | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Find:
    """Rings volunteers one after another; the door supplies whom."""

    name: str
    says: tuple[str, ...]
    nobody: str
    answered: str
    whom: str = (
        "volunteers"  # or committee, or resident; the fact of this name says how many can be rung
    )


@dataclass(frozen=True, slots=True)
class Each:
    """Goes through a list that is a fact: `then` with the next, `done` after the last. Its counter
    has the list's name and says which it is, from 1."""

    name: str
    of: str
    then: str
    done: str


@dataclass(frozen=True, slots=True)
class Pin:
    """Asks for the PIN of a volunteer (R6a); the door says whether it is right."""

    name: str
    says: tuple[str, ...]
    right: str
    locked: str
    silence: str


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """Asks an administrator for the number of a prompt (R6a); the door says whether there is one."""

    name: str
    says: tuple[str, ...]
    found: str
    silence: str


@dataclass(frozen=True, slots=True, eq=False)
class Await:
    """Waits while a fact has a value, then goes on: the call comes back by itself to look again.

    The door looks the fact up anew each time, and supplies how many looks there are at most.
    """

    name: str
    by: str
    value: str
    then: str
    says: tuple[str, ...]  # at the first look
    pause: str  # the sound between two looks


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """Says goodbye and hangs up."""

    name: str
    says: tuple[str, ...] = ()
    effect: Effect | None = None


Step = Menu | Record | Fork | Tell | Find | Each | Pin | Number | Await | End
Waiting = Menu | Record | Find | Pin | Number | Await | End
Flow = Mapping[str, Step]


def steps_from(step: Step) -> Iterator[str]:
    """The names of the steps this one can lead to."""
    match step:
        case Menu():
            yield from (*step.keys.values(), step.silence, step.wrong)
        case Record():
            yield from (*step.keys.values(), step.then, step.empty)
        case Fork():
            yield from (*step.to.values(), step.otherwise)
        case Tell() | Await():
            yield step.then
        case Find():
            yield from (step.nobody, step.answered)
        case Each():
            yield from (step.then, step.done)
        case Pin():
            yield from (step.right, step.locked, step.silence)
        case Number():
            yield from (step.found, step.silence)
        case End():
            return
