"""The roster from and to Excel. A dry run tells each row's fate; then all of it is done or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI
from hotline.config import Settings
from tickets import cells, coverage, ledger, roster, sheets, shifts
from tickets.coverage import DutyHours
from tickets.hours import Interval, day_times
from tickets.imports import Fate, RowFate, Told, WrongCellError
from tickets.ledger import Person
from tickets.models import Shift, Volunteer
from tickets.rotation import days_off
from tickets.sheets import Column, Row, Sheet
from tickets.watch import WEEKDAYS, spoken

DAY, WEEKDAY, HOURS, ON_DUTY, SUBSTITUTE = "日期", "星期", "时间", "值班", "替补"
COLUMNS = (
    Column(DAY, ("值班日期", "日子"), needed=True, width=14),
    Column(WEEKDAY, ("周几", "礼拜"), width=8),
    Column(HOURS, ("班次", "时段", "值班时间", "时间段"), width=16),
    Column(ON_DUTY, ("值班人", "值班人员", "值班员", "姓名"), needed=True, width=14),
    Column(SUBSTITUTE, ("替班", "备班", "替补人", "候补"), width=14),
)
PARTS = {"上午": (time(0), time(12)), "早班": (time(0), time(12)), "下午": (time(12), time(18)),
         "晚上": (time(18), time.max), "夜班": (time(18), time.max), "晚班": (time(18), time.max)}  # fmt: skip

LOOKS_BACK = timedelta(days=400)  # older rows of a file are past anyway
FOR_EVER = datetime(9999, 1, 1, tzinfo=SHANGHAI)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one row asks for: a shift, who has it, who stands in."""

    number: int
    id: int
    starts_at: datetime
    ends_at: datetime
    volunteer: Volunteer
    substitute: Volunteer | None


@dataclass(frozen=True, slots=True)
class RosterImport:
    """A file read against the roster there is."""

    told: Told
    to_do: Sequence[tuple[Asked, Shift | None]]


def template(session: Session, settings: Settings, first: date, days: int) -> bytes:
    """The shifts of these days with nobody in them yet: only the names are to be written."""
    needed = roster.duty_hours(session, settings).between(first, days)
    return sheets.write(COLUMNS, [_line(*each, "", "") for each in needed], title="排班")


def export(session: Session, first: date, days: int) -> bytes:
    """The roster as it stands; names only, so it may hang anywhere."""
    begins = datetime.combine(first, time.min, SHANGHAI)
    rows = [
        _line(
            each.starts_at,
            each.ends_at,
            each.volunteer.name,
            each.substitute.name if each.substitute else "",
        )
        for each in roster.shifts(session, begins, begins + timedelta(days=days))
        if each.starts_at >= begins
    ]
    return sheets.write(COLUMNS, rows, title="排班")


def plan(session: Session, settings: Settings, content: bytes, now: datetime) -> RosterImport:
    """What would become of each row. Raises UnreadableSheetError."""
    reader = _Reader.of(session, settings, sheets.read(content, COLUMNS), now)
    fates, to_do = list[RowFate](), list[tuple[Asked, Shift | None]]()
    for row in reader.sheet.rows:
        about = " ".join(filter(None, (row.text(DAY).removesuffix(" 00:00:00"), row.text(HOURS))))
        try:
            asked = reader.asked(row)
            if asked is None:
                fates.append(RowFate(row.number, Fate.SAME, about, "没写谁值班，不动"))
                continue
            about = spoken(asked.starts_at, asked.ends_at)
            fate, sentence, standing = reader.fate(asked, [each for each, _ in to_do])
        except WrongCellError as error:
            fates.append(RowFate(row.number, Fate.REFUSED, about, error.sentence))
            continue
        fates.append(RowFate(row.number, fate, about, sentence))
        to_do.append((asked, standing))
    return RosterImport(Told(fates, reader.sheet.remarks), to_do)


def apply(session: Session, settings: Settings, content: bytes, by: Person, now: datetime) -> Told:
    """Do what the dry run told, thought out anew in this transaction. Raises NotAllError,
    UnreadableSheetError; then nothing has changed."""
    planned = plan(session, settings, content, now)
    planned.told.need_all()
    for asked, standing in planned.to_do:
        substitute = asked.substitute.id if asked.substitute else None
        if standing is None:
            shifts.add(
                session, asked.starts_at, asked.ends_at, asked.volunteer.id, by, now,
                substitute_id=substitute,
            )  # fmt: skip
        elif (standing.volunteer_id, standing.substitute_id) != (asked.volunteer.id, substitute):
            shifts.assign(session, standing, asked.volunteer.id, by, now, substitute_id=substitute)
    ledger.write(
        session, at=now, person=by, act="import_roster", object_kind="roster", object_id=None,
        new=planned.told.counts[Fate.NEW], changed=planned.told.counts[Fate.CHANGED],
    )  # fmt: skip
    return planned.told


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads rows against what stands."""

    sheet: Sheet
    now: datetime
    needed: DutyHours
    people: dict[str, Volunteer]
    standing: Sequence[Shift]
    off: frozenset[tuple[int, date]]

    @classmethod
    def of(cls, session: Session, settings: Settings, sheet: Sheet, now: datetime) -> "_Reader":
        people = session.scalars(select(Volunteer).where(Volunteer.active))
        since = now - LOOKS_BACK
        return cls(
            sheet, now, roster.duty_hours(session, settings), {each.name: each for each in people},
            roster.shifts(session, since, FOR_EVER),
            frozenset((row.volunteer_id, row.day) for row in days_off(session, since.date())),
        )  # fmt: skip

    def asked(self, row: Row) -> Asked | None:
        """The row's wishes; None where nobody is named yet. Raises WrongCellError."""
        if row.wrong:
            raise WrongCellError(row.wrong)
        day = cells.day(row.cells[DAY], self.now.date(), self.sheet.epoch)
        written = row.text(WEEKDAY).removeprefix("星期").removeprefix("周").replace("天", "日")
        if written and written != WEEKDAYS[day.weekday()]:
            raise WrongCellError(f"{day:%m-%d}是星期{WEEKDAYS[day.weekday()]}，不是星期{written}。")  # fmt: skip
        starts_at, ends_at = self._hours(row, day)
        if not row.text(ON_DUTY) and not row.text(SUBSTITUTE):
            return None
        volunteer = self._person(row.text(ON_DUTY))
        substitute = self._person(row.text(SUBSTITUTE)) if row.text(SUBSTITUTE) else None
        if substitute is volunteer:
            raise WrongCellError("值班和替补是同一个人。")
        return Asked(row.number, row.number, starts_at, ends_at, volunteer, substitute)

    def fate(self, asked: Asked, earlier: Sequence[Asked]) -> tuple[Fate, str, Shift | None]:
        """Raises WrongCellError for what overlaps another shift or is past."""
        for row in earlier:
            if coverage.overlaps([asked, row]):
                raise WrongCellError(f"和第{row.number}行的时间重叠。")
        span = (asked.starts_at, asked.ends_at)
        meeting = [s for s in self.standing if s.starts_at < span[1] and span[0] < s.ends_at]
        same = next((s for s in meeting if (s.starts_at, s.ends_at) == span), None)
        for other in meeting:
            if other is not same:
                when = spoken(other.starts_at, other.ends_at)
                raise WrongCellError(f"和已经排好的{when}{other.volunteer.name}重叠。")
        if same and (same.volunteer, same.substitute) == (asked.volunteer, asked.substitute):
            return Fate.SAME, "", same
        if asked.starts_at <= self.now:
            raise WrongCellError("这一班已经开始或者过去了，不能再从表里改。")
        told = [f"{_pair(same.volunteer, same.substitute)}→{_pair(asked.volunteer, asked.substitute)}"] if same else [_pair(asked.volunteer, asked.substitute)]  # fmt: skip
        if (asked.volunteer.id, asked.starts_at.date()) in self.off:
            told.append(f"{asked.volunteer.name}说过那天来不了，请再问一声")
        return (Fate.CHANGED if same else Fate.NEW), "；".join(told), same

    def _hours(self, row: Row, day: date) -> Interval:
        """Written hours, or 上午, 下午 and the like of that day's shifts, or its only shift."""
        written = row.text(HOURS)
        usual = list(self.needed.of(day))
        if written and written not in PARTS:
            return next(day_times([cells.hours(written)], day))
        first, last = PARTS.get(written, (time.min, time.max))
        found = [each for each in usual if first <= each[0].time() < last]
        if len(found) != 1:
            raise WrongCellError("这一天不止一班，请写上几点到几点。" if not written else f"{written}是几点到几点？请写成 08:30-11:30 这样。")  # fmt: skip
        return found[0]

    def _person(self, written: str) -> Volunteer:
        name = written.replace(" ", "")
        if not name:
            raise WrongCellError("没写谁值班。")
        if name not in self.people:
            near = get_close_matches(name, self.people, 1, 0.5)
            hint = f"，是不是「{near[0]}」" if near else ""
            raise WrongCellError(f"没有叫「{name}」的志愿者{hint}？")
        return self.people[name]


def _pair(volunteer: Volunteer, substitute: Volunteer | None) -> str:
    return volunteer.name + (f"（替补{substitute.name}）" if substitute else "")


def _line(starts_at: datetime, ends_at: datetime, name: str, substitute: str) -> list[str]:
    ends = "24:00" if ends_at.time() == time.min else f"{ends_at:%H:%M}"
    return [
        f"{starts_at:%Y-%m-%d}", WEEKDAYS[starts_at.weekday()], f"{starts_at:%H:%M}-{ends}",
        name, substitute,
    ]  # fmt: skip
