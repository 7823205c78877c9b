"""When a resident may be rung, and what follows from how a try went."""

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotline.clock import SHANGHAI
from tickets.hours import after_duty_time, is_rest_day, next_open
from tickets.returns import (
    BUSY_TRIES,
    FAULT_TRIES,
    PROVEN,
    UNDISTURBING,
    Outcome,
    Rules,
    Verdict,
    after,
    may_ring,
)

RULES = Rules(
    working=[(time(8, 30), time(11, 30)), (time(14, 30), time(19))],
    rest=[(time(9, 30), time(11)), (time(15), time(17, 30))],
)
INSTANTS = st.integers(0, 2 * 365 * 24 * 3600).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=SHANGHAI) + timedelta(seconds=seconds)
)
OUTCOMES = st.lists(st.sampled_from(Outcome), min_size=1, max_size=12)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=SHANGHAI)


def within(instant: datetime) -> bool:
    hours = RULES.rest if is_rest_day(instant.date()) else RULES.working
    return any(start <= instant.time() < end for start, end in hours)


@given(INSTANTS, st.integers(0, 5))
@settings(max_examples=2000)
def test_nobody_is_ever_rung_outside_the_hours(now: datetime, rung_today: int) -> None:
    earliest = may_ring(now, rung_today, RULES)
    assert earliest >= now
    assert within(earliest)
    if rung_today >= RULES.calls_a_day:
        assert earliest.date() > now.date()


@given(OUTCOMES, INSTANTS)
@settings(max_examples=2000)
def test_every_event_ends_settled_or_owed_to_a_person(
    outcomes: list[Outcome], now: datetime
) -> None:
    """Whatever happens try after try: an end comes soon, and each try has a time in the hours."""
    for tries in range(1, len(outcomes) + 1):
        next_ = after(outcomes[:tries], now, RULES)
        if next_.verdict is not Verdict.AGAIN:
            assert (next_.verdict is Verdict.SETTLED) == (outcomes[tries - 1] in PROVEN)
            return
        assert next_.due_at is not None
        assert next_.due_at > now
        assert within(next_.due_at)
        now = next_.due_at
    disturbed = [outcome for outcome in outcomes if outcome not in UNDISTURBING]
    assert len(disturbed) < RULES.tries
    assert len(outcomes) <= RULES.tries - 1 + BUSY_TRIES + FAULT_TRIES


@pytest.mark.parametrize(
    ("instant", "opens"),
    [
        ("11-23 08:29:59", "11-23 08:30"),
        ("11-23 08:30", "11-23 08:30"),
        ("11-23 11:30", "11-23 14:30"),  # half-open: the nap begins at half past eleven
        ("11-23 19:00", "11-24 08:30"),
        ("11-28 08:30", "11-28 09:30"),  # Saturday
        ("11-29 17:30", "11-30 08:30"),  # Sunday evening
        ("10-01 08:30", "10-01 09:30"),  # a holiday on a Thursday
        ("10-10 08:30", "10-10 09:30"),  # 调休: worked, but still a Saturday
    ],
)
def test_hours(instant: str, opens: str) -> None:
    assert next_open(at(instant), RULES.working, RULES.rest) == at(opens)


@pytest.mark.parametrize(
    ("outcomes", "now", "due"),
    [
        ([Outcome.BUSY], "11-23 09:00", "11-23 09:10"),
        ([Outcome.BUSY], "11-23 11:25", "11-23 14:30"),
        ([Outcome.NO_ANSWER], "11-23 09:00", "11-23 14:30"),
        ([Outcome.NO_ANSWER], "11-23 15:00", "11-24 08:30"),
        ([Outcome.NO_ANSWER, Outcome.NO_ANSWER], "11-23 15:00", "11-24 08:30"),
        ([Outcome.NOT_CONFIRMED], "11-23 09:00", "11-23 14:30"),
        ([Outcome.NO_ANSWER, Outcome.NOT_CONFIRMED], "11-24 09:00", "11-24 14:30"),
        ([Outcome.MACHINE], "11-23 09:00", "11-23 14:30"),
        ([Outcome.FAULT], "11-23 09:00", "11-23 09:30"),
    ],
)
def test_the_ladder(outcomes: list[Outcome], now: str, due: str) -> None:
    assert after(outcomes, at(now), RULES).due_at == at(due)


@pytest.mark.parametrize(
    "outcomes",
    [
        [Outcome.NO_ANSWER] * 3,
        [Outcome.NOT_CONFIRMED] * 2,
        [Outcome.BUSY] * 4,
        [Outcome.NO_ANSWER, Outcome.NOT_CONFIRMED, Outcome.NO_ANSWER],
    ],
)
def test_in_the_end_somebody_goes_and_tells(outcomes: list[Outcome]) -> None:
    assert after(outcomes, at("11-23 09:00"), RULES).verdict is Verdict.VISIT


def test_duty_time_skips_the_nap_and_the_night() -> None:
    shifts = [
        (at("11-23 08:30"), at("11-23 11:30")),
        (at("11-23 14:00"), at("11-23 17:00")),
        (at("11-24 08:30"), at("11-24 11:30")),
    ]
    two_hours = timedelta(hours=2)
    assert after_duty_time(at("11-23 09:00"), two_hours, shifts) == at("11-23 11:00")
    assert after_duty_time(at("11-23 10:30"), two_hours, shifts) == at("11-23 15:00")
    assert after_duty_time(at("11-23 16:30"), two_hours, shifts) == at("11-24 10:00")
    assert after_duty_time(at("11-23 02:00"), two_hours, shifts) == at("11-23 10:30")
    assert after_duty_time(at("11-23 09:00"), two_hours, []) == at("11-23 11:00")


def test_beyond_the_last_published_year_weekends_still_rest() -> None:
    assert is_rest_day(datetime(2061, 10, 1, tzinfo=SHANGHAI).date()) is True  # a Saturday
    assert (
        is_rest_day(datetime(2060, 10, 1, tzinfo=SHANGHAI).date()) is False
    )  # a Friday, holidays unknown
