"""Who is on duty, over thousands of rosters: no hole and no overlap that was not announced; fair shares.

A roster is drawn as bytes, two a shift, and a thousand of them at once: to draw costs more than to read.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotline.clock import SHANGHAI, utc
from tickets.coverage import DutyHours, gaps, on_at, overlaps
from tickets.generator import Plan, Slot, Turn, Why, generate, is_night
from tickets.hours import calendar_ends, is_rest_day, is_workday, shift_times

DAYSIDE = [(time(8, 30), time(11, 30)), (time(14), time(17))]
ROUND_THE_CLOCK = [(time(0), time(8)), (time(8), time(16)), (time(16), time.max)]
OVERNIGHT = [(time(8), time(20)), (time(20), time(8))]
NIGHT_BESIDE_DAY = [*DAYSIDE, (time(20), time(7, 30))]
NEEDS = [
    DutyHours(DAYSIDE, DAYSIDE),
    DutyHours(DAYSIDE, [(time(9), time(11))]),
    DutyHours(DAYSIDE, []),
    DutyHours(ROUND_THE_CLOCK, ROUND_THE_CLOCK),
    DutyHours(OVERNIGHT, OVERNIGHT),
    DutyHours(NIGHT_BESIDE_DAY, [(time(20), time(7, 30))]),
]
# Days that end a month, that end a year, of holidays, with 调休, of a leap February without any calendar.
FIRST_DAYS = [date(2026, 11, 27), date(2026, 12, 28), date(2026, 10, 1), date(2026, 9, 18), date(2028, 2, 26)]  # fmt: skip
DAYS = 5
QUARTERS = DAYS * 24 * 4
QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Span:
    id: int
    starts_at: datetime
    ends_at: datetime


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, SHANGHAI)


def roster_of(written: bytes, wanted: list[tuple[datetime, datetime]]) -> list[Span]:
    """A roster from bytes: the needed shifts, with some left out, shortened, lengthened, doubled."""
    spans = []
    for number, (starts_at, ends_at) in enumerate(wanted):
        what, amount = written[2 * number % len(written)], written[(2 * number + 1) % len(written)]
        change = amount % 24 * QUARTER
        if what % 8 == 0:
            continue
        if what % 8 == 1:
            starts_at = min(starts_at + change, ends_at - QUARTER)
        if what % 8 == 2:
            ends_at = ends_at + change
        if what % 8 == 3:
            spans.append(Span(1000 + number, starts_at - change, starts_at + QUARTER))
        spans.append(Span(number, starts_at, ends_at))
    return spans


@dataclass(frozen=True)
class Case:
    """One roster and the hours it should cover, read from bytes: to draw one thing is quick."""

    first: date
    wanted: list[tuple[datetime, datetime]]
    spans: list[Span]
    instants: list[datetime]

    @classmethod
    def read(cls, drawn: bytes) -> "Case":
        which, begins, turned, *rest = drawn
        first = FIRST_DAYS[begins % len(FIRST_DAYS)]
        wanted = wanted_hours(which % len(NEEDS), first, turned % DAYS if turned % 3 == 0 else None)
        instants = [midnight(first) + (3 * byte - 96) * QUARTER for byte in rest[:5]]
        return cls(first, wanted, roster_of(bytes(rest), wanted), instants)


@cache
def wanted_hours(
    which: int, first: date, turned_round: int | None
) -> list[tuple[datetime, datetime]]:
    """The hours of duty of a few days, one of which the house may have turned round."""
    needed = NEEDS[which]
    if turned_round is not None:
        day = first + timedelta(days=turned_round)
        needed = DutyHours(needed.working, needed.rest, {day: is_workday(day)})
    return list(needed.between(first, DAYS))


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.integers(0, 2**48).map(Random))
def test_a_hundred_thousand_rosters_have_no_hole_and_no_overlap_that_is_not_known(
    chance: Random,
) -> None:
    for _ in range(1_000):
        case = Case.read(chance.randbytes(chance.randint(5, 33)))
        every_hole_and_every_overlap_is_known_and_nothing_else_is(case)
        gaps_and_shifts_together_are_exactly_the_hours_of_duty(case)


def every_hole_and_every_overlap_is_known_and_nothing_else_is(case: Case) -> None:
    """Asked at any instant: nobody is on exactly in the gaps, more than one exactly in the overlaps."""
    wanted, spans = case.wanted, case.spans
    holes, doubled = gaps(wanted, spans), overlaps(spans)
    edges = [edge for span in spans[:2] for edge in (span.starts_at, span.ends_at)]
    for at in case.instants + edges:
        on = [span for span in spans if span.starts_at <= at < span.ends_at]
        somebody = on_at(spans, at)
        assert somebody == max(on, key=lambda span: (span.starts_at, span.id), default=None)
        is_wanted = any(start <= at < end for start, end in wanted)
        assert any(start <= at < end for start, end in holes) == (is_wanted and not on)
        assert any(start <= at < end for start, end, *_ in doubled) == (len(on) > 1)
    assert on_at(spans, utc(edges[0] if edges else midnight(case.first))) == on_at(
        spans, edges[0] if edges else midnight(case.first)
    )


def gaps_and_shifts_together_are_exactly_the_hours_of_duty(case: Case) -> None:
    wanted, spans = case.wanted, case.spans
    holes = gaps(wanted, spans)
    assert all(start < end for start, end in holes)
    assert all(before[1] <= after[0] for before, after in pairwise(holes))
    patched = [*spans, *(Span(-n, *hole) for n, hole in enumerate(holes, 1))]
    assert gaps(wanted, patched) == []
    assert gaps(wanted, []) == wanted
    assert len(overlaps(patched)) == len(overlaps(spans))  # a patch covers nothing twice


@dataclass(frozen=True)
class Month:
    """Shifts to be filled, by whom, who is away when, and what stands already."""

    slots: list[Slot]
    people: list[int]
    off: set[tuple[int, date]]
    standing: list[Turn]

    @classmethod
    def read(cls, drawn: bytes) -> "Month":
        which, begins, many, stands, *away = drawn
        needed, first = NEEDS[which % len(NEEDS)], FIRST_DAYS[begins % len(FIRST_DAYS)]
        people = list(range(1, 2 + many % 6))
        slots = [
            Slot(start, end, not is_workday(start.date()))
            for start, end in needed.between(first, DAYS)
        ]
        off = {
            (people[byte % len(people)], first + timedelta(days=byte // 8 % (DAYS + 1)))
            for byte in away
        }
        standing = [
            Turn(slots.pop((stands + n) % len(slots)), people[n % len(people)])
            for n in range(stands % 3)
            if slots
        ]
        return cls(slots, people, off, standing)


MONTHS = st.binary(min_size=4, max_size=16).map(Month.read)


@settings(max_examples=1_500, deadline=None)
@given(MONTHS)
def test_a_generated_roster_is_fair_and_says_what_it_could_not_do(month: Month) -> None:
    slots, people, off, standing = month.slots, month.people, month.off, month.standing
    plan = generate(slots, people, off, standing)
    troubled = {(trouble.slot, trouble.why) for trouble in plan.troubles}
    filled = {turn.slot: turn for turn in plan.turns}

    assert len(filled) == len(plan.turns)
    for slot in slots:
        assert (slot in filled) != ((slot, Why.NOBODY) in troubled)
    for turn in plan.turns:
        for person in filter(None, (turn.person, turn.substitute)):
            assert not any((person, day) in off for day in turn.slot.days)
        assert turn.substitute != turn.person
        assert (turn.substitute is None) == ((turn.slot, Why.NO_SUBSTITUTE) in troubled)
    everything = [*standing, *plan.turns]
    nobody_is_twice_at_once(plan, standing)
    twice_only_where_said(plan, standing)
    nobody_could_take_from_a_busier_one(plan, everything, people, off)
    assert generate(list(reversed(slots)), people, off, standing) == plan


def nobody_is_twice_at_once(plan: Plan, standing: list[Turn]) -> None:
    for one, other in product(plan.turns, [*plan.turns, *standing]):
        if one is not other and one.person == other.person:
            assert one.slot.ends_at <= other.slot.starts_at or other.slot.ends_at <= one.slot.starts_at  # fmt: skip


def twice_only_where_said(plan: Plan, standing: list[Turn]) -> None:
    on_day = Counter((t.person, day) for t in [*plan.turns, *standing] for day in t.slot.days)
    said = {
        (trouble.person, day)
        for trouble in plan.troubles
        if trouble.why is Why.TWICE
        for day in trouble.slot.days
    }
    standing_days = Counter((t.person, day) for t in standing for day in t.slot.days)
    assert {
        each for each, n in on_day.items() if n > 1 and n > standing_days[each]
    } <= said  # fmt: skip


def nobody_could_take_from_a_busier_one(
    plan: Plan, everything: list[Turn], people: list[int], off: set[tuple[int, date]]
) -> None:
    """Fair as far as days off allow: nobody has two shifts more than another who could take one."""
    count = Counter(turn.person for turn in everything)
    days = {person: {d for t in everything if t.person == person for d in t.slot.days} for person in people}  # fmt: skip
    for turn, other in product(plan.turns, people):
        if count[turn.person] >= count[other] + 2:
            free = not any((other, day) in off or day in days[other] for day in turn.slot.days)
            assert not free, (turn, other)


@settings(max_examples=1_500, deadline=None)
@given(st.integers(3, 16), st.sampled_from(NEEDS), st.sampled_from(FIRST_DAYS))
def test_without_days_off_nobody_has_two_more_than_another(
    count: int, needed: DutyHours, first: date
) -> None:
    people = list(range(count))
    plan = generate([Slot(*span) for span in needed.between(first, DAYS)], people)
    counts = Counter(dict.fromkeys(people, 0))
    counts.update(turn.person for turn in plan.turns)
    assert max(counts.values()) - min(counts.values()) <= 1 or plan.troubles
    assert not [trouble for trouble in plan.troubles if trouble.why is Why.NOBODY]


def test_a_month_of_sixteen_people_with_days_they_cannot() -> None:
    needed = DutyHours(DAYSIDE, DAYSIDE)
    slots = [Slot(s, e, not is_workday(s.date())) for s, e in needed.between(date(2026, 10, 1), 31)]
    people = list(range(1, 17))
    off = {(person, date(2026, 10, 1 + (7 * person + k) % 31)) for person in people for k in range(6)}  # fmt: skip

    plan = generate(slots, people, off)

    assert plan.troubles == ()
    shifts = Counter(turn.person for turn in plan.turns)
    rests = Counter(turn.person for turn in plan.turns if turn.slot.rest)
    substitutes = Counter(turn.substitute for turn in plan.turns)
    assert sorted(shifts.values()) == [3, 3, *[4] * 14]
    assert max(rests.values()) - min(rests[person] for person in people) <= 1
    assert max(substitutes.values()) - min(substitutes.values()) <= 2


def test_when_all_are_away_it_says_who() -> None:
    (slot,) = [Slot(s, e) for s, e in shift_times([(time(9), time(11))], date(2026, 12, 1), 1)]
    plan = generate([slot], [1, 2], {(1, date(2026, 12, 1)), (2, date(2026, 12, 1))})
    assert plan.turns == ()
    assert [(trouble.why, trouble.off) for trouble in plan.troubles] == [(Why.NOBODY, (1, 2))]


@pytest.mark.parametrize(
    ("start", "end", "night"),
    [("08:30", "11:30", False), ("14:00", "22:00", False), ("14:00", "22:15", True), ("20:00", "08:00", True), ("05:45", "09:00", True), ("06:00", "09:00", False)],
)  # fmt: skip
def test_what_a_night_is(start: str, end: str, night: bool) -> None:
    hours = [(time.fromisoformat(start), time.fromisoformat(end))]
    (span,) = shift_times(hours, date(2026, 12, 31), 1)
    assert is_night(span) is night


def test_a_worked_weekend_is_worked_by_the_office_and_rested_by_the_telephone() -> None:
    saturday = date(2026, 10, 10)  # 调休
    assert is_workday(saturday)
    assert is_rest_day(saturday)
    assert not is_rest_day(saturday, {saturday: False})
    assert not is_workday(saturday, {saturday: True})


def test_beyond_the_published_years_only_the_weekday_counts() -> None:
    new_year = date(calendar_ends().year, 1, 1)
    while new_year.weekday() >= 5:
        new_year = new_year.replace(year=new_year.year + 1)
    assert is_workday(new_year)
    assert not is_workday(new_year, {new_year: True})
