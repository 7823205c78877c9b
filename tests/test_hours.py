"""Time on duty: nights, naps and holidays have no shift and do not count."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.clock import SHANGHAI
from tickets.hours import DutyTime

MONDAY = datetime(2026, 11, 23, tzinfo=SHANGHAI)


def at(hour: float, day: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour)


# the National Day week has no duty: days 3 to 9
USUAL = [(at(b, d), at(e, d)) for d in range(14) if not 3 <= d < 10 for b, e in ((8.5, 11.5), (14, 17))]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (at(9), at(10), 1),
        (at(8), at(9), 0.5),  # before duty begins
        (at(11), at(14.5), 1),  # over the nap
        (at(16.5), at(9, 1), 1),  # over the night
        (at(16, 2), at(9.5, 10), 2),  # over the holidays
        (at(12), at(13), 0),
        (at(8.5), at(17), 6),
        (at(10), at(9), 0),  # contacted before the call had ended
        (at(0, -9), at(9), 0.5),  # before the first shift there is
        (at(16, 13), at(9, 40), 1),  # after the last
    ],
)
def test_only_time_on_duty_counts(start: datetime, end: datetime, hours: float) -> None:
    assert DutyTime(USUAL).between(start, end) == timedelta(hours=hours)


def test_without_shifts_nothing_counts() -> None:
    assert DutyTime([]).between(at(0), at(24)) == timedelta()


MINUTES = st.integers(0, 300)


@given(st.lists(st.tuples(MINUTES, st.integers(1, 90)), max_size=8), MINUTES, MINUTES)
def test_it_is_what_a_clerk_counts_minute_by_minute(
    shifts: list[tuple[int, int]], start: int, end: int
) -> None:
    """Also where shifts touch or overlap."""

    def minute(number: int) -> datetime:
        return MONDAY + timedelta(minutes=number)

    duty = DutyTime((minute(begins), minute(begins + length)) for begins, length in shifts)
    counted = sum(any(b <= m < b + length for b, length in shifts) for m in range(start, end))
    assert duty.between(minute(start), minute(end)) == timedelta(minutes=counted)
