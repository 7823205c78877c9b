"""Time on duty and time for return calls: pure arithmetic on half-open intervals `[start, end)`."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import accumulate
from types import MappingProxyType

import chinese_calendar

from hotline.clock import SHANGHAI

Interval = tuple[datetime, datetime]
Hours = Sequence[tuple[time, time]]  # of one day
Calendar = Mapping[date, bool]  # days the house has decided itself: true for a rest day

AS_PUBLISHED: Calendar = MappingProxyType({})


def after_duty_time(start: datetime, spent: timedelta, shifts: Sequence[Interval]) -> datetime:
    """The instant at which so much time on duty has passed since `start`.

    Nights, naps and holidays do not count, because nobody is on duty then. Where the known
    shifts end too early, what is left is counted by the clock: a deadline must exist.
    """
    left, at = spent, start
    for begins, ends in sorted(shifts):
        if ends <= at:
            continue
        at = max(at, begins)
        if at + left <= ends:
            return at + left
        left -= ends - at
        at = ends
    return at + left


def is_rest_day(day: date, calendar: Calendar = AS_PUBLISHED) -> bool:
    """A Saturday, a Sunday or a public holiday, unless the house says otherwise.

    A weekend that is worked (调休) still counts as rest: it is for return calls.
    """
    return calendar[day] if day in calendar else day.weekday() >= 5 or not is_workday(day)


def is_workday(day: date, calendar: Calendar = AS_PUBLISHED) -> bool:
    """Whether offices work on this day, 调休 weekends included: it is for duty.

    Beyond the last published year (see `calendar_ends`): Monday to Friday.
    """
    if day in calendar:
        return not calendar[day]
    return _published(day)


def calendar_ends() -> date:
    """The first day of which nobody has published whether it is worked."""
    return date(max(chinese_calendar.constants.holidays).year + 1, 1, 1)


@cache  # a few hundred days, asked at every call: the library reads the day anew each time
def _published(day: date) -> bool:
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5


def next_open(
    at: datetime, working: Hours, rest: Hours, calendar: Calendar = AS_PUBLISHED
) -> datetime:
    """The first instant at or after `at` (local time) that lies within the hours of its day."""
    for days in range(31):
        day = at.date() + timedelta(days=days)
        for start, end in sorted(rest if is_rest_day(day, calendar) else working):
            opens = datetime.combine(day, start, at.tzinfo)
            if at < datetime.combine(day, end, at.tzinfo):
                return max(at, opens)
    raise ValueError("no hours at all within a month")


def shift_times(hours: Hours, first: date, days: int) -> Iterator[Interval]:
    """Start and end of each shift, `[start, end)`, in the order they come.

    One that ends at or before its start runs through the night; 24:00 (read as the day's last
    instant) is where the next day begins.
    """
    for number in range(days):
        yield from day_times(hours, first + timedelta(days=number))


def day_times(hours: Hours, day: date) -> Iterator[Interval]:
    """The shifts that begin on this day."""
    tomorrow = day + timedelta(days=1)
    for start, end in sorted(hours):
        ends = (
            datetime.combine(tomorrow, time.min, SHANGHAI)
            if end == time.max
            else datetime.combine(tomorrow if end <= start else day, end, SHANGHAI)
        )
        yield datetime.combine(day, start, SHANGHAI), ends


def other_half(at: datetime) -> datetime:
    """Where the other half of the day begins: noon today, or midnight when it is past noon."""
    if at.hour < 12:
        return at.replace(hour=12, minute=0, second=0, microsecond=0)
    return datetime.combine(at.date() + timedelta(days=1), time.min, at.tzinfo)


class DutyTime:
    """Shifts laid end to end, to measure how much time on duty lies between two instants.

    Nights, naps and holidays have no shift and so do not count; where shifts overlap, the time
    counts once.
    """

    def __init__(self, shifts: Iterable[Interval]) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        for start, end in sorted(shifts):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)
        lengths = (end - start for start, end in zip(self._starts, self._ends, strict=True))
        self._before = list(accumulate(lengths, initial=timedelta()))

    def between(self, start: datetime, end: datetime) -> timedelta:
        """The time on duty in `[start, end)`; nothing when it ends before it starts."""
        return max(self._until(end) - self._until(start), timedelta())

    def _until(self, at: datetime) -> timedelta:
        begun = bisect_right(self._starts, at)
        if begun == 0:
            return timedelta()
        return self._before[begun - 1] + min(at, self._ends[begun - 1]) - self._starts[begun - 1]


def span(starts_at: datetime, ends_at: datetime) -> str:
    """14:00–17:00, 16:00–24:00, 20:00–次日08:00"""
    until = f"{ends_at:%H:%M}"
    if ends_at.date() > starts_at.date():
        until = "24:00" if until == "00:00" else f"次日{until}"
    return f"{starts_at:%H:%M}–{until}"
