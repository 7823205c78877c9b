"""Looking ahead at the roster: holes, overlaps and the calendar's end are announced, each once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI, local
from hotline.config import Settings
from tickets import coverage, ledger, notices, roster
from tickets.hours import calendar_ends, span
from tickets.models import Shift
from tickets.notices import Why
from tickets.rota import DayOverride, NoticeKind, RosterNotice

AHEAD = timedelta(days=2)  # so that a look every few hours is always a full day before
CALENDAR_AHEAD = timedelta(days=31)
WEEKDAYS = "一二三四五六日"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the roster that somebody should see to."""

    kind: NoticeKind
    starts_at: datetime
    ends_at: datetime

    @property
    def words(self) -> str:
        match self.kind:
            case NoticeKind.GAP:
                return f"{spoken(self.starts_at, self.ends_at)}还没有人值班，请补上。"
            case NoticeKind.OVERLAP:
                return f"{spoken(self.starts_at, self.ends_at)}排了不止一个人，请改一改。"
            case NoticeKind.CALENDAR:
                year = self.starts_at.year
                return f"{year}年哪天放假、哪天调休还不知道，1月1日起先只按星期几算。请更新程序，或者把放假的日子一天天填上。"


@dataclass(frozen=True, slots=True)
class Problems:
    """What is wrong with a stretch of the roster, as the page shows it on top."""

    gaps: Sequence[tuple[datetime, datetime]]
    overlaps: Sequence[tuple[datetime, datetime, Shift, Shift]]

    @property
    def notices(self) -> list[Notice]:
        return [Notice(NoticeKind.GAP, *gap) for gap in self.gaps] + [
            Notice(NoticeKind.OVERLAP, starts_at, ends_at) for starts_at, ends_at, *_ in self.overlaps
        ]  # fmt: skip


def problems(session: Session, settings: Settings, first: date, days: int) -> Problems:
    """Gaps and overlaps of these days; a shift through the night belongs to the day it begins."""
    needed = list(roster.duty_hours(session, settings).between(first, days))
    begins = datetime.combine(first, time.min, SHANGHAI)
    ends = max([begins + timedelta(days=days), *(ends_at for _, ends_at in needed)])
    spans = roster.shifts(session, begins, ends)
    return Problems(coverage.gaps(needed, spans), coverage.overlaps(spans))


def due(session: Session, settings: Settings, now: datetime) -> list[Notice]:
    """What is to be announced now and has not been: a gap or an overlap within two days, and, a
    month ahead, the end of the published calendar."""
    today = local(now).date()
    found = problems(session, settings, today - timedelta(days=1), AHEAD.days + 3).notices
    soon = [each for each in found if each.starts_at < now + AHEAD and each.ends_at > now]
    if (end := calendar_notice(session, now)) is not None:
        soon.append(end)
    told = {
        (kind, starts_at, ends_at)
        for kind, starts_at, ends_at in session.execute(
            select(RosterNotice.kind, RosterNotice.starts_at, RosterNotice.ends_at).where(
                RosterNotice.ends_at > now - timedelta(days=1)
            )
        )
    }
    return [
        each
        for each in dict.fromkeys(sorted(soon, key=lambda n: (n.starts_at, n.kind)))
        if (each.kind, each.starts_at, each.ends_at) not in told
    ]


def announce(session: Session, settings: Settings, now: datetime) -> list[RosterNotice]:
    """Write down what is due to be announced, once, and owe the volunteers' groups a word of it."""
    rows = []
    for notice in due(session, settings, now):
        row = RosterNotice(
            kind=notice.kind, starts_at=notice.starts_at, ends_at=notice.ends_at,
            announced_at=now, words=notice.words,
        )  # fmt: skip
        session.add(row)
        session.flush()
        ledger.write(
            session, at=now, person=ledger.SYSTEM, act=f"announce_{notice.kind}",
            object_kind="roster_notice", object_id=row.id, why=notice.words,
        )  # fmt: skip
        notices.owe(session, settings, Why.ROSTER, now)
        rows.append(row)
    return rows


def calendar_notice(session: Session, now: datetime) -> Notice | None:
    """That the published calendar ends within a month, unless the house filled in the year itself."""
    end = calendar_ends()
    if local(now).date() < end - CALENDAR_AHEAD:
        return None
    year = max(end.year, local(now).year)
    filled = select(DayOverride.day).where(
        DayOverride.day >= date(year, 1, 1), DayOverride.day < date(year + 1, 1, 1)
    )
    if session.scalar(filled.limit(1)) is not None:
        return None
    begins, ends = (datetime(each, 1, 1, tzinfo=SHANGHAI) for each in (year, year + 1))
    return Notice(NoticeKind.CALENDAR, begins, ends)


def spoken(starts_at: datetime, ends_at: datetime) -> str:
    """11月26日（星期四）14:00–17:00"""
    day = f"{starts_at.month}月{starts_at.day}日（星期{WEEKDAYS[starts_at.weekday()]}）"
    return f"{day}{span(starts_at, ends_at)}"
