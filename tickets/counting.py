"""Counting: a span of days by scan, past days from the roll-up, and a period as the sum of both."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import case, delete, func, null, select
from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI, local
from tickets.figure_days import FigureDay, StaleDay
from tickets.figures import CALLS, COHORTS, FEWEST, FIGURES, Figure, within
from tickets.hours import DutyTime
from tickets.models import Kind, Shift, Ticket
from tickets.outings import Journey, JourneyTicket
from tickets.real import is_real
from tickets.trips import Reason

DAY = timedelta(days=1)
MINUTES = "minutes."
Sums = Counter[str]  # offered, offered.reached, done.trips, minutes.17, reason.materials …


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, `[first, after)`."""

    first: date
    after: date

    @classmethod
    def month(cls, year: int, month: int) -> "Period":
        return cls(date(year, month, 1), date(year + month // 12, month % 12 + 1, 1))

    @classmethod
    def read(cls, month: str) -> "Period":
        """The month that is written 2026-11."""
        return cls.month(*map(int, month.split("-")))

    @property
    def name(self) -> str:
        """How `read` reads it."""
        return f"{self.first:%Y-%m}"

    @classmethod
    def year(cls, year: int) -> "Period":
        return cls(date(year, 1, 1), date(year + 1, 1, 1))

    @property
    def before(self) -> "Period":
        """The one before it: the month before a month, the year before a year, else as many days."""
        whole = self.first.day == self.after.day == 1
        months = (self.after.year - self.first.year) * 12 + self.after.month - self.first.month
        if not whole or not months:
            return Period(self.first - (self.after - self.first), self.first)
        month = self.first.year * 12 + self.first.month - 1 - months
        return Period(date(month // 12, month % 12 + 1, 1), self.first)

    @property
    def start(self) -> datetime:
        return midnight(self.first)

    @property
    def end(self) -> datetime:
        return midnight(self.after)


@dataclass(frozen=True, slots=True)
class Value:
    """A figure of a period: k of n, and what it was in the period before."""

    figure: Figure
    n: int
    k: int
    n_before: int
    k_before: int

    @property
    def percent(self) -> float | None:
        return percent(self.k, self.n)

    @property
    def percent_before(self) -> float | None:
        return percent(self.k_before, self.n_before)


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of a period."""

    values: Sequence[Value]
    trips_a_ticket: float | None
    reasons: Sequence[tuple[Reason, int]]  # why there were second trips, the commonest first
    median_minutes: int | None  # from the end of the call to the first contact, in duty time
    p90_minutes: int | None

    def __getitem__(self, key: str) -> Value:
        return next(value for value in self.values if value.figure.key == key)


def percent(k: int, n: int) -> float | None:
    """None where n is too small for a percentage to mean anything."""
    return 100 * k / n if n >= FEWEST else None


def report(session: Session, period: Period, now: datetime) -> Report:
    """The figures of a period. Past days come from the roll-up where it is there and still true."""
    sums = total(session, period, now)
    earlier = total(session, period.before, now, minutes=False)
    done = sums["done"]
    reasons = [(reason, sums[f"reason.{reason}"]) for reason in Reason]
    minutes = sorted(
        (int(key.removeprefix(MINUTES)), many)
        for key, many in sums.items()
        if key.startswith(MINUTES)
    )
    return Report(
        values=[Value(figure, *_pair(sums, figure), *_pair(earlier, figure)) for figure in FIGURES],
        trips_a_ticket=sums["done.trips"] / done if done else None,
        reasons=sorted((pair for pair in reasons if pair[1]), key=lambda pair: -pair[1]),
        median_minutes=_rank(minutes, 0.5),
        p90_minutes=_rank(minutes, 0.9),
    )


def total(session: Session, period: Period, now: datetime, *, minutes: bool = True) -> Sums:
    """The sums of a period: the roll-up's days, and a scan over each run of the others.

    Without `minutes` the roll-up's are left out.
    """
    inside = (FigureDay.day >= period.first, FigureDay.day < period.after)
    stale = select(StaleDay.day).where(StaleDay.day >= period.first, StaleDay.day < period.after)
    rows = session.execute(
        select(FigureDay.day, FigureDay.sums, FigureDay.minutes if minutes else null()).where(
            *inside, FigureDay.day < local(now).date(), FigureDay.day.not_in(stale)
        )
    ).all()
    sums: Sums = Counter()
    for _, counted, waited in rows:
        sums.update(counted)
        sums.update(waited or {})
    last = min(period.after, local(now).date() + DAY)
    for first, after in _gaps(period.first, last, {day for day, _, _ in rows}):
        sums.update(scan(session, midnight(first), midnight(after), now))
    return sums


def count_past_days(session: Session, now: datetime, limit: int = 400) -> int:
    """Count the past days that were never counted or have changed since; returns how many."""
    today = local(now).date()
    for day in (days := _uncounted(session, today)[:limit]):
        seen = session.scalars(select(StaleDay.id).where(StaleDay.day == day)).all()
        sums = scan(session, midnight(day), midnight(day + DAY), now)
        minutes = {key: sums.pop(key) for key in [*sums] if key.startswith(MINUTES)}
        session.merge(FigureDay(day=day, sums=dict(sums), minutes=minutes))
        for some in range(0, len(seen), 500):
            session.execute(delete(StaleDay).where(StaleDay.id.in_(seen[some : some + 500])))
    return len(days)


def scan(session: Session, start: datetime, end: datetime, now: datetime) -> Sums:
    """Everything that belongs to `[start, end)`, counted from the rows themselves."""
    sums: Sums = Counter()
    for cohort in COHORTS:
        asked: list[Any] = [func.count().label(cohort.key)]
        for figure in FIGURES:
            if figure.cohort is cohort:
                counted = func.sum(case((figure.counts, 1), else_=0))
                asked.append(counted.label(f"{cohort.key}.{figure.key}"))
        for name, column in cohort.sums.items():
            asked.append(func.sum(column).label(f"{cohort.key}.{name}"))
        row = session.execute(
            cohort.rows.add_columns(*asked).where(within(cohort, start, end, now))
        ).one()
        sums.update({key: int(value) for key, value in row._mapping.items() if value})
    sums.update(f"reason.{reason}" for reason in _second_trips(session, start, end))
    sums.update(f"{MINUTES}{minutes}" for minutes in _response_minutes(session, start, end))
    return sums


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, SHANGHAI)


def _second_trips(session: Session, start: datetime, end: datetime) -> Iterator[str]:
    """Why each outing after a request's first was made: the one before says so, or it does itself."""
    one, order = JourneyTicket.ticket_id, (Journey.at, Journey.id)
    in_span = select(JourneyTicket.ticket_id).join(Journey).where(
        Journey.at >= start, Journey.at < end
    )  # fmt: skip
    outings = (
        select(
            Journey.at, Journey.reason,
            func.lag(Journey.reason).over(partition_by=one, order_by=order).label("before"),
            func.row_number().over(partition_by=one, order_by=order).label("number"),
        )
        .join(JourneyTicket, JourneyTicket.journey_id == Journey.id)
        .join(Ticket, Ticket.id == JourneyTicket.ticket_id)
        .where(
            Journey.withdrawn_at.is_(None), Ticket.kind == Kind.ERRAND, is_real(Ticket),
            Ticket.id.in_(in_span),
        )
        .subquery()
    )  # fmt: skip
    again = select(outings.c.before, outings.c.reason).where(
        outings.c.number > 1, outings.c.at >= start, outings.c.at < end
    )
    for before, own in session.execute(again):
        yield before or own or Reason.OTHER


def _response_minutes(session: Session, start: datetime, end: datetime) -> Iterator[int]:
    """Duty time from the end of the call (or the opening of the request) to the first contact."""
    began = case((CALLS.c.ended_at > Ticket.opened_at, CALLS.c.ended_at), else_=Ticket.opened_at)
    rows = session.execute(
        select(began.label("began"), Ticket.contacted_at)
        .outerjoin(CALLS, CALLS.c.id == Ticket.call_id)
        .where(
            Ticket.contacted_at >= start, Ticket.contacted_at < end,
            Ticket.kind == Kind.ERRAND, is_real(Ticket),
        )
    ).all()  # fmt: skip
    if not rows:
        return
    earliest = min(row.began for row in rows)
    shifts = select(Shift.starts_at, Shift.ends_at).where(
        Shift.ends_at > earliest, Shift.starts_at < end
    )
    duty = DutyTime((row.starts_at, row.ends_at) for row in session.execute(shifts))
    for began_at, contacted_at in rows:
        yield int(duty.between(began_at, contacted_at).total_seconds()) // 60


def _pair(sums: Sums, figure: Figure) -> tuple[int, int]:
    return sums[figure.cohort.key], sums[f"{figure.cohort.key}.{figure.key}"]


def _rank(minutes: Sequence[tuple[int, int]], share: float) -> int | None:
    """The nearest rank: the least value that so much of the whole does not exceed."""
    wanted = share * sum(many for _, many in minutes)
    for value, many in minutes:
        wanted -= many
        if wanted <= 0:
            return value
    return None


def _uncounted(session: Session, today: date) -> list[date]:
    counted = set(session.scalars(select(FigureDay.day)))
    stale = set(session.scalars(select(StaleDay.day).distinct().where(StaleDay.day < today)))
    first = min({*counted, *stale}, default=today)
    missing = {day for day in _days(first, today) if day not in counted}
    return sorted(missing | stale)


def _gaps(first: date, after: date, counted: Iterable[date]) -> Iterator[tuple[date, date]]:
    """The runs of days that are not counted, half-open."""
    start = None
    for day in _days(first, after):
        if day in counted:
            if start:
                yield start, day
            start = None
        elif start is None:
            start = day
    if start:
        yield start, after


def _days(first: date, after: date) -> Iterator[date]:
    for number in range((after - first).days):
        yield first + timedelta(days=number)
