"""Return calls: when a resident may be rung, and what follows from how a try went. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tickets.hours import AS_PUBLISHED, Calendar, Hours, next_open, other_half

BUSY_WAIT = timedelta(minutes=10)
BUSY_TRIES = 3
FAULT_WAIT = timedelta(minutes=30)
FAULT_TRIES = 2
NO_ANSWER_WAIT = timedelta(hours=2)


class Outcome(StrEnum):
    """How one try went."""

    HEARD = "heard"  # key 1: a person has heard it
    RECORDED = "recorded"  # a person answered in his own words
    TALKED = "talked"  # a volunteer spoke with them in the call
    NOT_CONFIRMED = "not_confirmed"  # played to the end, nobody pressed a key
    MACHINE = "machine"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FAULT = "fault"  # the carrier's, not the resident's


PROVEN = frozenset({Outcome.HEARD, Outcome.RECORDED, Outcome.TALKED})
# Nobody was disturbed by these, so they do not count towards the day's calls.
UNDISTURBING = frozenset({Outcome.BUSY, Outcome.FAULT})


class Verdict(StrEnum):
    SETTLED = "settled"
    AGAIN = "again"
    VISIT = "visit"  # a volunteer should go and tell
    TELL_COMMITTEE = "tell_committee"  # the line is at fault


@dataclass(frozen=True, slots=True)
class Rules:
    """The hours and bounds of return calls."""

    working: Hours
    rest: Hours
    calls_a_day: int = 2
    tries: int = 3
    calendar: Calendar = field(default_factory=lambda: AS_PUBLISHED)


@dataclass(frozen=True, slots=True)
class Next:
    """What follows from a try: the verdict and, for another try, when."""

    verdict: Verdict
    due_at: datetime | None = None


def after(outcomes: Sequence[Outcome], now: datetime, rules: Rules) -> Next:
    """What follows from the tries of one event so far, the newest last."""
    last = outcomes[-1]
    if last in PROVEN:
        return Next(Verdict.SETTLED)
    if last is Outcome.FAULT:
        if outcomes.count(Outcome.FAULT) > FAULT_TRIES:
            return Next(Verdict.TELL_COMMITTEE)
        return _again(now + FAULT_WAIT, rules)
    if last is Outcome.BUSY and outcomes.count(Outcome.BUSY) <= BUSY_TRIES:
        return _again(now + BUSY_WAIT, rules)
    disturbed = [outcome for outcome in outcomes if outcome not in UNDISTURBING]
    if last is Outcome.BUSY or len(disturbed) >= rules.tries:
        return Next(Verdict.VISIT)
    if last is Outcome.NOT_CONFIRMED and outcomes.count(Outcome.NOT_CONFIRMED) > 1:
        return Next(Verdict.VISIT)
    if len(disturbed) == 1:
        return _again(max(now + NO_ANSWER_WAIT, other_half(now)), rules)
    return _again(tomorrow(now), rules)


def may_ring(now: datetime, rung_today: int, rules: Rules) -> datetime:
    """`now` if the resident may be rung, else the instant from which they may be."""
    if rung_today >= rules.calls_a_day:
        return next_open(tomorrow(now), rules.working, rules.rest, rules.calendar)
    return next_open(now, rules.working, rules.rest, rules.calendar)


def tomorrow(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _again(at: datetime, rules: Rules) -> Next:
    return Next(Verdict.AGAIN, next_open(at, rules.working, rules.rest, rules.calendar))
