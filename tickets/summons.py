"""Volunteers by telephone: who is asked next. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tickets.returns import Outcome

ROUNDS = 2  # how often each of them is rung before the lead hears that nobody takes it
ROUND_WAIT = timedelta(minutes=15)  # they may be on an errand, on a bicycle, at the stove
FAULT_WAIT = timedelta(minutes=5)
FAULTS = 3
TAKES = timedelta(minutes=15)  # whoever heard it has so long to decide


@dataclass(frozen=True, slots=True)
class Asked:
    """One try so far: whom, when, and how it ended."""

    who: int
    at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ask:
    """Ring `who` at `at`."""

    who: int
    at: datetime


def next_to_ask(order: Sequence[int], tries: Sequence[Asked], now: datetime) -> Ask | None:
    """The next of `order` who was rung least; None if all were rung often enough.

    A fault of the line counts for nobody; after some of them in a row it is None too.
    """
    faults = 0
    for attempt in reversed(tries):
        if attempt.outcome is not Outcome.FAULT:
            break
        faults += 1
    if not order or faults >= FAULTS:
        return None
    rung = Counter(attempt.who for attempt in tries if attempt.outcome is not Outcome.FAULT)
    who = min(order, key=lambda person: rung[person])
    if rung[who] >= ROUNDS:
        return None
    wait = FAULT_WAIT if faults else ROUND_WAIT if rung[who] else timedelta()
    return Ask(who, max(now, tries[-1].at + wait) if tries else now)
