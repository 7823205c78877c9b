"""A fair roster: who takes which shift. Pure and deterministic: the same question, the same answer.

First everybody in turn, whoever had least; then shifts change hands as long as that makes it
fairer. What cannot be done is named, never hidden.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property

from tickets.hours import Interval

NIGHT_BEGINS, NIGHT_ENDS = time(22), time(6)
MOST_ROUNDS = 40  # of improvement; a month of sixteen people takes two or three

# How much worse: people twice a day first, then shifts, rest days and nights unevenly shared.
Cost = tuple[int, int, int, int]


@dataclass(frozen=True)
class Slot:
    """A shift that needs somebody."""

    starts_at: datetime
    ends_at: datetime
    rest: bool = False  # begins on a rest day

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The days it touches: two for a shift that runs through the night."""
        first, last = self.starts_at.date(), (self.ends_at - timedelta(microseconds=1)).date()
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))

    @cached_property
    def night(self) -> bool:
        return is_night((self.starts_at, self.ends_at))


class Why(StrEnum):
    """What could not be done as it should."""

    NOBODY = "nobody"  # everybody has a day off
    TWICE = "twice"  # somebody has two shifts on one day
    NO_SUBSTITUTE = "no_substitute"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A shift that could not be filled as it should, and who has that day off."""

    slot: Slot
    why: Why
    person: int | None = None
    off: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Who has a shift, and who stands in."""

    slot: Slot
    person: int
    substitute: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    turns: tuple[Turn, ...]
    troubles: tuple[Trouble, ...]


def is_night(span: Interval) -> bool:
    """Whether any of it lies between ten in the evening and six in the morning."""
    start, end = span
    day = start.date() - timedelta(days=1)
    while day <= end.date():
        begins = datetime.combine(day, NIGHT_BEGINS, start.tzinfo)
        ends = datetime.combine(day + timedelta(days=1), NIGHT_ENDS, start.tzinfo)
        if begins < end and start < ends:
            return True
        day += timedelta(days=1)
    return False


def generate(
    slots: Iterable[Slot],
    people: Sequence[int],
    off: Collection[tuple[int, date]] = (),
    standing: Sequence[Turn] = (),
    before: Mapping[int, int] | None = None,
) -> Plan:
    """Fill the slots with these people.

    `off` holds who cannot have duty on which day; `standing` the turns that stand and are not
    touched, but count; `before` how many shifts each had in the time before, which decides
    between equals. Days off are always kept; nobody has two shifts a day unless too few are left.
    """
    board = _Board(tuple(people), frozenset(off), before or {})
    for turn in standing:
        board.give(turn.slot, turn.person)
        board.subs[turn.substitute] += 1
    wanted, holders, troubles = sorted(slots, key=lambda slot: slot.starts_at), [], []
    for slot in wanted:
        person = board.best(slot)
        if person is None:
            troubles.append(Trouble(slot, Why.NOBODY, off=board.away(slot)))
            continue
        board.give(slot, person)
        holders.append((slot, person))
    _improve(board, holders)
    turns, seen = [], defaultdict[int, set[date]](set)
    for turn in standing:
        seen[turn.person].update(turn.slot.days)
    for slot, person in holders:
        substitute = board.stand_in(slot, person)
        if substitute is None:
            troubles.append(Trouble(slot, Why.NO_SUBSTITUTE, person, board.away(slot)))
        else:
            board.subs[substitute] += 1
        if any(day in seen[person] for day in slot.days):
            troubles.append(Trouble(slot, Why.TWICE, person, board.away(slot)))
        seen[person].update(slot.days)
        turns.append(Turn(slot, person, substitute))
    return Plan(tuple(turns), tuple(sorted(troubles, key=lambda t: (t.slot.starts_at, t.why))))


@dataclass(slots=True)
class _Board:
    """Who has what so far."""

    people: tuple[int, ...]
    off: frozenset[tuple[int, date]]
    before: Mapping[int, int]
    shifts: Counter[int] = field(default_factory=Counter)
    rests: Counter[int] = field(default_factory=Counter)
    nights: Counter[int] = field(default_factory=Counter)
    subs: Counter[int | None] = field(default_factory=Counter)
    on_day: defaultdict[int, Counter[date]] = field(default_factory=lambda: defaultdict(Counter))
    spans: defaultdict[int, set[Interval]] = field(default_factory=lambda: defaultdict(set))

    def give(self, slot: Slot, person: int) -> Cost:
        """Let a person have it; says how much worse that made things."""
        twice = sum(self.on_day[person][day] > 0 for day in slot.days)
        cost = (
            twice,
            2 * self.shifts[person] + 1,
            (2 * self.rests[person] + 1) * slot.rest,
            (2 * self.nights[person] + 1) * slot.night,
        )
        self._count(slot, person, 1)
        self.spans[person].add((slot.starts_at, slot.ends_at))
        return cost

    def take(self, slot: Slot, person: int) -> Cost:
        """Take it from them; says how much better (negative) that made things."""
        self._count(slot, person, -1)
        self.spans[person].discard((slot.starts_at, slot.ends_at))
        return (
            -sum(self.on_day[person][day] > 0 for day in slot.days),
            -(2 * self.shifts[person] + 1),
            -(2 * self.rests[person] + 1) * slot.rest,
            -(2 * self.nights[person] + 1) * slot.night,
        )

    def can(self, person: int, slot: Slot) -> bool:
        """Not away on any of its days, and not on duty elsewhere at the same time."""
        return all((person, day) not in self.off for day in slot.days) and not any(
            starts_at < slot.ends_at and slot.starts_at < ends_at
            for starts_at, ends_at in self.spans[person]
        )

    def best(self, slot: Slot) -> int | None:
        return min(
            (person for person in self.people if self.can(person, slot)),
            key=lambda person: (
                any(self.on_day[person][day] for day in slot.days),
                self.shifts[person],
                self.nights[person] * slot.night,
                self.rests[person] * slot.rest,
                self.before.get(person, 0),
                self.people.index(person),
            ),
            default=None,
        )

    def stand_in(self, slot: Slot, person: int) -> int | None:
        """A substitute: rather one who is not on duty that day, and who stood in least."""
        return min(
            (other for other in self.people if other != person and self.can(other, slot)),
            key=lambda other: (
                any(self.on_day[other][day] for day in slot.days),
                self.subs[other],
                self.before.get(other, 0),
                self.people.index(other),
            ),
            default=None,
        )

    def away(self, slot: Slot) -> tuple[int, ...]:
        return tuple(p for p in self.people if any((p, day) in self.off for day in slot.days))

    def may_gain(self, slot: Slot, holder: int, other_slot: Slot | None, other: int) -> bool:
        """A cheap look before trying: nothing is gained where the two are even already."""
        rest = slot.rest - (other_slot.rest if other_slot else False)
        night = slot.night - (other_slot.night if other_slot else False)
        return (
            (other_slot is None and self.shifts[holder] - self.shifts[other] > 1)
            or rest * (self.rests[holder] - self.rests[other]) > 1
            or night * (self.nights[holder] - self.nights[other]) > 1
            or self._has_two(slot, holder)
            or (other_slot is not None and self._has_two(other_slot, other))
        )

    def _has_two(self, slot: Slot, holder: int) -> bool:
        return any(self.on_day[holder][day] > 1 for day in slot.days)

    def _count(self, slot: Slot, person: int, by: int) -> None:
        self.shifts[person] += by
        self.rests[person] += by * slot.rest
        self.nights[person] += by * slot.night
        for day in slot.days:
            self.on_day[person][day] += by


def _improve(board: _Board, holders: list[tuple[Slot, int]]) -> None:
    """Let shifts change hands, alone or two for two, while that makes it fairer."""
    for _ in range(MOST_ROUNDS):
        fairer = False
        for place, (slot, _) in enumerate(holders):
            for other in board.people:
                fairer |= _hand(board, holders, place, slot, other)
        for first in range(len(holders)):
            for second in range(first + 1, len(holders)):
                fairer |= _exchange(board, holders, first, second)
        if not fairer:
            return


def _hand(
    board: _Board, holders: list[tuple[Slot, int]], place: int, slot: Slot, other: int
) -> bool:
    holder = holders[place][1]
    if other == holder or not board.may_gain(slot, holder, None, other):
        return False
    if not board.can(other, slot):
        return False
    if _sum(board.take(slot, holder), board.give(slot, other)) < NO_CHANGE:
        holders[place] = slot, other
        return True
    board.take(slot, other)
    board.give(slot, holder)
    return False


def _exchange(board: _Board, holders: list[tuple[Slot, int]], place: int, other_place: int) -> bool:
    (slot, holder), (other_slot, other) = holders[place], holders[other_place]
    if holder == other or not board.may_gain(slot, holder, other_slot, other):
        return False
    freed = _sum(board.take(slot, holder), board.take(other_slot, other))
    if board.can(other, slot) and board.can(holder, other_slot):
        if _sum(freed, board.give(slot, other), board.give(other_slot, holder)) < NO_CHANGE:
            holders[place], holders[other_place] = (slot, other), (other_slot, holder)
            return True
        board.take(slot, other)
        board.take(other_slot, holder)
    board.give(slot, holder)
    board.give(other_slot, other)
    return False


NO_CHANGE: Cost = (0, 0, 0, 0)


def _sum(*costs: Cost) -> Cost:
    a, b, c, d = (sum(column) for column in zip(*costs, strict=True))
    return a, b, c, d
