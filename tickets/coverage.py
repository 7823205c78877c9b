"""Whether every hour of duty is somebody's: pure arithmetic on half-open intervals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol, TypeVar

from tickets.hours import AS_PUBLISHED, Calendar, Hours, Interval, day_times, is_workday


class Span(Protocol):
    """Anything with a start and an end, such as a shift."""

    @property
    def id(self) -> int: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...


S = TypeVar("S", bound=Span)


@dataclass(frozen=True, slots=True)
class DutyHours:
    """When somebody should be on duty: on working days, on rest days (none: nobody is needed)."""

    working: Hours
    rest: Hours
    calendar: Calendar = field(default_factory=lambda: AS_PUBLISHED)

    def of(self, day: date) -> Iterator[Interval]:
        """The shifts that should begin on this day."""
        return day_times(self.working if is_workday(day, self.calendar) else self.rest, day)

    def between(self, first: date, days: int) -> Iterator[Interval]:
        for number in range(days):
            yield from self.of(first + timedelta(days=number))


def on_at(spans: Iterable[S], at: datetime) -> S | None:
    """Who is on at this instant. Where two overlap, the one that began later: it was put over the other."""
    covering = [span for span in spans if span.starts_at <= at < span.ends_at]
    return max(covering, key=lambda span: (span.starts_at, span.id), default=None)


def gaps(needed: Iterable[Interval], spans: Sequence[Span]) -> list[Interval]:
    """The parts of the needed hours that no span covers, each within one needed interval."""
    taken = sorted((span.starts_at, span.ends_at) for span in spans)
    found = []
    for starts_at, ends_at in needed:
        at = starts_at
        for begins, ends in taken:
            if begins >= ends_at:
                break
            if ends <= at:
                continue
            if begins > at:
                found.append((at, begins))
            at = ends
        if at < ends_at:
            found.append((at, ends_at))
    return found


def overlaps(spans: Sequence[S]) -> list[tuple[datetime, datetime, S, S]]:
    """Every two spans that share time: from when until when, and which two."""
    ordered = sorted(spans, key=lambda span: (span.starts_at, span.id))
    return [
        (second.starts_at, min(first.ends_at, second.ends_at), first, second)
        for place, first in enumerate(ordered)
        for second in ordered[place + 1 :]
        if second.starts_at < first.ends_at
    ]
