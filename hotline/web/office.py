"""管理: the way to every page of whoever leads, audits or administers, by what they come for."""

from typing import Any

from flask import Blueprint, current_app, render_template
from flask_login import current_user

from hotline.runtime import Runtime
from hotline.web.guard import may, needs
from tickets.models import Role

WAYS = (
    ("开会看的", (
        ("figures.this_month", "本月数据"), ("finding.calls", "来过的电话"), ("finding.look_for", "找一句话"),
        ("desk.everything", "所有的事"), ("audit.overview", "台账和抽查"),
    )),
    ("排班和人", (
        ("rota.month", "排班"), ("volunteers.every", "志愿者"), ("people.every", "居民"), ("devices.every", "登记机器"),
    )),
    ("说什么、带什么", (
        ("catalogue.every", "办事目录"), ("prompts.every", "提示语"), ("papers.household_card", "打印给每家的卡片"),
    )),
    ("这台机器", (
        ("health.look", "一切都好吗"), ("rules.every", "设置"), ("handset.telephone", "打电话练习"),
    )),
)  # fmt: skip


def make_blueprint(_: Runtime) -> Blueprint:
    office = Blueprint("office", __name__)

    @office.get("/office")
    @needs(Role.LEAD)
    def every() -> Any:
        """Only what this person may open."""
        groups = [(name, [way for way in ways if _may_open(way[0])]) for name, ways in WAYS]
        return render_template("office.html", groups=[group for group in groups if group[1]])

    return office


def _may_open(endpoint: str) -> bool:
    roles = getattr(current_app.view_functions[endpoint], "roles", ())
    return not roles or may(current_user.role, *roles)
