"""设置: what the committee changes itself, from when and by whom; and what only this machine decides, to read."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select

from hotline import config
from hotline.clock import local
from hotline.runtime import Runtime
from hotline.web import board, words
from hotline.web.guard import needs
from tickets import house_rules, shifts
from tickets.hours import calendar_ends
from tickets.house_rules import GROUPS, RULES, SECRET, Rule, RulesChangedError, WrongRuleError
from tickets.models import Role
from tickets.rota import DayOverride

MOST_CHANGES = 30
DAYS = {"rest": True, "work": False, "published": None}
TRUE = {"true": "打", "false": "不打"}


def make_blueprint(runtime: Runtime) -> Blueprint:
    room = Blueprint("rules", __name__, url_prefix="/settings")
    db, settings = runtime.db, runtime.settings

    def show(refused: str = "", facts: Any = None, status: int = 200) -> Any:
        now = runtime.clock()
        runtime.rules.look(now=True)
        with db.reading() as session:
            last = house_rules.last_change(session)
            page = render_template(
                "rules.html", groups=GROUPS, value=lambda rule: _value(runtime, rule), fixed=house_rules.fixed(settings),
                held=house_rules.standing(session), seen=last.id if last else 0, names=board.names(session),
                history=[(row, RULES[row.name], *_told(row)) for row in house_rules.history(session, MOST_CHANGES) if row.name in RULES],
                days=session.scalars(select(DayOverride).where(DayOverride.day >= local(now).date()).order_by(DayOverride.day)).all(),
                machine=list(_machine(runtime)), environment=config.environment_name, known_until=calendar_ends(),
                now=now, refused=refused, facts=facts or {}, typed=request.form,
            )  # fmt: skip
        return page, status

    @room.get("")
    @needs(Role.ADMIN)
    def every() -> Any:
        return show()

    @room.post("")
    @needs(Role.ADMIN)
    def change() -> Any:
        """One group of rules, or all of it back to what it was at first."""
        group, back = request.form.get("group", ""), "back" in request.form
        rules = [rule for rule in GROUPS.get(group, ()) if rule.name not in house_rules.fixed(settings)]  # fmt: skip
        seen = words.whole_number(request.form.get("seen", ""))
        try:
            asked = {rule.name: None for rule in rules} if back else _asked(rules)
            with db.writing() as session:
                changed = house_rules.change(
                    session, settings, asked, seen, current_user.person, runtime.clock()
                )
        except WrongRuleError as error:
            return show("wrong", {"rule": error.rule}, 409)
        except RulesChangedError as error:
            with db.reading() as session:
                who = board.names(session).get(error.change.by_id or 0, "有人")
            return show("changed", {"who": who}, 409)
        runtime.rules.look(now=True)
        flash(f"改好了：{group}。马上就算数。" if changed else "和原来一样，没有改。")
        return redirect(url_for("rules.every"))

    @room.post("/day")
    @needs(Role.ADMIN)
    def day() -> Any:
        """A day that is a rest day or is worked, whatever is published."""
        form = request.form
        try:
            which = date.fromisoformat(form.get("day", ""))
        except ValueError:
            return show("no_day", status=409)
        if form.get("kind") not in DAYS:
            return show("no_kind", status=409)
        rest, name = DAYS[form["kind"]], words.clean(form.get("name", ""))[:40]
        with db.writing() as session:
            shifts.override(session, which, rest, current_user.person, runtime.clock(), name=name)
        said = {True: "休息", False: "上班", None: "照国家公布的算"}[rest]
        flash(f"记下了：{which.month}月{which.day}日{said}。")
        return redirect(url_for("rules.every"))

    @room.get("/day")
    @needs(Role.ADMIN)
    def from_history() -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("rules.every"))

    return room


def _asked(rules: list[Rule]) -> Mapping[str, str | None]:
    """What the form says of each rule; raises WrongRuleError. Addresses nobody wrote stay as they are."""
    asked: dict[str, str | None] = {}
    for rule in rules:
        typed = request.form.get(rule.name)
        if rule.name in SECRET and "none" not in request.form and not (typed or "").strip():
            continue
        if typed is not None:
            asked[rule.name] = house_rules.tidy(rule, typed)
            if rule.name == "notice_urls":
                _need_addresses(rule, asked[rule.name] or "")
    return asked


def _need_addresses(rule: Rule, written: str) -> None:
    from apprise import Apprise  # large: only where somebody writes an address

    if not all(Apprise().add(url) for url in written.split(",") if url):
        raise WrongRuleError(rule)


def _value(runtime: Runtime, rule: Rule) -> str:
    """As it stands in the form; a secret never does."""
    return "" if rule.name in SECRET else config.written(runtime.settings, rule.name)


def _told(row: house_rules.RuleChange) -> tuple[str, str]:
    """From what to what, as a person reads it."""
    rule = RULES[row.name]
    if row.name in SECRET:
        return "", "清空了" if row.written == "" else "换了地址"

    def read(written: str | None) -> str:
        return (
            "原来的" if written is None else TRUE.get(written, written.replace(",", "，")) or "空"
        )

    return read(row.before) + rule.unit, read(row.written) + (rule.unit if row.written else "")


def _machine(runtime: Runtime) -> Iterator[tuple[str, str, str, bool]]:
    """What only the environment decides: its name, its value with secrets starred, help, whether given."""
    settings = runtime.settings
    given = settings.model_fields_set
    for field, (name, value, help_text) in zip(type(settings).model_fields, config.table(settings), strict=True):  # fmt: skip
        if field not in RULES:
            yield name, value, help_text, field in given
