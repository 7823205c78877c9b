"""Time on duty and time for return calls: pure arithmetic on half-open intervals `[start, end)`."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import accumulate

import chinese_calendar

Interval = tuple[datetime, datetime]
Hours = Sequence[tuple[time, time]]  # of one day


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


def is_rest_day(day: date) -> bool:
    """A Saturday, a Sunday or a public holiday. Beyond the last published year: weekends only."""
    if day.weekday() >= 5:
        return True
    try:
        return bool(chinese_calendar.is_holiday(day))
    except NotImplementedError:
        return False


def next_open(at: datetime, working: Hours, rest: Hours) -> datetime:
    """The first instant at or after `at` (local time) that lies within the hours of its day."""
    for days in range(31):
        day = at.date() + timedelta(days=days)
        for start, end in sorted(rest if is_rest_day(day) else working):
            opens = datetime.combine(day, start, at.tzinfo)
            if at < datetime.combine(day, end, at.tzinfo):
                return max(at, opens)
    raise ValueError("no hours at all within a month")


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
