"""What a committee changes while the house runs: hours, limits, how long things are kept.

A change is one row that is never altered, so the rows are the history too; the last of a name holds.
A setting given in the environment or in hotline.env is not asked here: it wins, and the page says so.
"""

import re
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from hotline import config, logs
from hotline.config import Settings, WrongSettingsError
from hotline.db import Base, Database, UtcDateTime
from tickets import ledger
from tickets.guard import ACCESS_LOG_DAYS
from tickets.imports import WrongCellError
from tickets.ledger import Person

log = logs.logger(__name__)

NUMBER = re.compile(r"[0-9]{1,4}")  # 9999 months are 833 years, and still a date
LOOK_SECONDS = 5.0  # so long a change may take to reach every process; a call lasts longer


class RuleChange(Base):
    """One setting changed on the page: from what, to what, by whom. Never altered."""

    __tablename__ = "rule_changes"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(String(40), index=True)
    written: Mapped[str | None] = mapped_column(Text)  # as in hotline.env; None: the default again
    before: Mapped[str] = mapped_column(Text)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class Rule:
    """One setting that may be changed, as it is called on the page."""

    name: str
    words: str
    unit: str = ""  # none: hours of a day, yes or no, or addresses
    least: int = 1


GROUPS: Mapping[str, Sequence[Rule]] = {
    "值班时间": (
        Rule("shift_hours", "工作日的班"),
        Rule("shift_hours_rest", "休息日的班（空着就是不值班）"),
    ),
    "给居民回电话": (
        Rule("return_hours", "工作日几点可以打（中间空开的是午休）"),
        Rule("return_hours_rest", "休息日几点可以打"),
        Rule("return_calls_a_day", "一个人一天最多打几次", "次"),
        Rule("return_tries", "一个消息最多试几次", "次"),
    ),
    "多久要办": (
        Rule("accept_within_minutes", "多久要有人接", "分钟", 5),
        Rule("contact_within_minutes", "多久要和居民说上话", "分钟", 10),
        Rule("ring_back_within_minutes", "没留话的，多久要回电话", "分钟", 10),
        Rule("done_within_hours", "一般的事多久办好", "小时"),
        Rule("complex_done_within_days", "难办的事多久办好", "天"),
        Rule("tell_within_hours", "办好了，多久要让本人知道", "小时"),
        Rule("remind_after_minutes", "过了期限，隔多久再提醒下一个人", "分钟", 5),
        Rule("check_matters_days", "办事目录多久要核对一次", "天"),
    ),
    "留多久": (
        Rule("keep_audio_months", "录音", "个月"),
        Rule("keep_text_months", "姓名、号码和文字", "个月"),
        Rule("keep_ledger_days", "台账（法律要求至少 180 天）", "天", ACCESS_LOG_DAYS),
    ),
    "告诉志愿者": (
        Rule("ring_volunteers", "有新的事打电话告诉（本人另说的除外）"),
        Rule("notice_urls", "群里的机器人地址（一行一个）"),
    ),
}  # fmt: skip
RULES = {rule.name: rule for rules in GROUPS.values() for rule in rules}
SECRET = frozenset({"notice_urls"})


class WrongRuleError(ValueError):
    """What was written cannot be this setting's value; carries the rule."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.name)
        self.rule = rule


class RulesChangedError(Exception):
    """Somebody changed them after the page was opened; carries the last change."""

    def __init__(self, change: RuleChange) -> None:
        super().__init__("changed meanwhile")
        self.change = change


def fixed(settings: Settings) -> frozenset[str]:
    """The rules that the environment or hotline.env decides."""
    return frozenset(RULES) & settings.model_fields_set


def last_change(session: Session, names: Sequence[str] | None = None) -> RuleChange | None:
    asked = select(RuleChange).order_by(RuleChange.id.desc()).limit(1)
    return session.scalar(asked if names is None else asked.where(RuleChange.name.in_(names)))


def standing(session: Session) -> dict[str, RuleChange]:
    """The change that holds, by name; those back at the default left out."""
    newest = select(func.max(RuleChange.id)).group_by(RuleChange.name)
    rows = session.scalars(select(RuleChange).where(RuleChange.id.in_(newest)))
    return {row.name: row for row in rows if row.name in RULES and row.written is not None}


def history(session: Session, most: int) -> Sequence[RuleChange]:
    """The newest first."""
    return session.scalars(select(RuleChange).order_by(RuleChange.id.desc()).limit(most)).all()


def tidy(rule: Rule, typed: str) -> str:
    """What a person typed (8点半-11点半，14：00-17：00) as it stands in hotline.env; raises WrongRuleError."""
    written = unicodedata.normalize("NFKC", typed).strip()  # full-width digits and marks
    if "hours" in rule.name and not rule.unit:
        from tickets import cells  # it brings a library for Excel: only where somebody types

        try:
            spans = [cells.hours(part) for part in re.split(r"[,、;\s]+", written) if part]
        except WrongCellError as error:
            raise WrongRuleError(rule) from error
        written = ",".join(f"{start:%H:%M}-{_until(end)}" for start, end in spans)
    if rule.unit and not (NUMBER.fullmatch(written) and int(written) >= rule.least):
        raise WrongRuleError(rule)
    if rule.name == "notice_urls":
        written = ",".join(filter(None, (line.strip() for line in written.splitlines())))
    parse(rule, written)
    return written


def parse(rule: Rule, written: str) -> Any:
    """The value, by the very type the environment's would have; raises WrongRuleError."""
    try:
        return config.parsed(rule.name, written)
    except WrongSettingsError as error:
        raise WrongRuleError(rule) from error


def change(
    session: Session, settings: Settings, asked: Mapping[str, str | None], seen: int, by: Person, now: datetime
) -> list[str]:  # fmt: skip
    """Change what differs; None: the default again. Returns which rules are different now.

    `seen` is the number of the last change the page knew. Raises RulesChangedError, WrongRuleError.
    """
    last = last_change(session, list(asked))
    if last is not None and last.id > seen:
        raise RulesChangedError(last)
    held, changed = standing(session), list[str]()
    for name, written in asked.items():
        if name in fixed(settings):
            continue
        there = held[name].written if name in held else None
        before = config.written(settings, name)
        if written == (there if written is None else before):
            continue
        if written is not None:
            parse(RULES[name], written)
        session.add(
            RuleChange(name=name, written=written, before=before, by_id=by.volunteer_id, at=now)
        )
        shown: dict[str, Any] = {} if name in SECRET else {"before": before, "written": written}
        ledger.write(
            session, at=now, person=by, act="change_rule", object_kind="rule", object_id=None,
            rule=name, **shown,
        )  # fmt: skip
        changed.append(name)
    return changed


class Rules:
    """Keeps the settings of one process as the committee has changed them.

    Everybody holds the same settings; only this writes into them, all changed values in one step.
    The doors ask it to look before they do anything; it asks the database every few seconds.
    """

    def __init__(self, db: Database, settings: Settings, tick: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._db, self._settings, self._tick = db, settings, tick
        self._own = {name: getattr(settings, name) for name in RULES if name not in fixed(settings)}
        self._next, self._version = tick(), 0

    def look(self, *, now: bool = False) -> None:
        """Take over what has changed; at once if `now`, else when the last look is old."""
        if not now and self._tick() < self._next:
            return
        self._next = self._tick() + LOOK_SECONDS
        try:
            with self._db.reading() as session:
                version = session.scalar(select(func.max(RuleChange.id))) or 0
                if version == self._version:
                    return
                held = standing(session)
        except SQLAlchemyError:
            log.warning("the changed settings cannot be read; the old ones hold")
            return
        values = dict(self._own)
        for name, row in held.items():
            if name in values and row.written is not None:
                try:
                    values[name] = parse(RULES[name], row.written)
                except WrongRuleError:  # another version of the house took it
                    log.warning("a changed setting is none any more", setting=name)
        vars(self._settings).update(values)
        self._version = version


def _until(end: Any) -> str:
    return "24:00" if (end.hour, end.minute, end.second) == (23, 59, 59) else f"{end:%H:%M}"
