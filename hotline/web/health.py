"""一切都好吗: what the administrator sees of the house without a terminal. Nothing here asks the outside world."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hotline import doctor, mishaps
from hotline.config import Settings
from hotline.doctor import Finding, Health
from hotline.runtime import Runtime
from hotline.web import words
from hotline.web.guard import needs
from ivr.models import Call
from tickets import ledger
from tickets.models import Fetch, Promise, PromiseState, Recording, ReturnTry, Role
from tickets.returns import Outcome

QUIET = timedelta(days=2)  # so long without a call is worth a test call
FAULTS = 3  # so many in a row are no chance
STUCK = timedelta(minutes=30)  # what is owed and due is kept within seconds
DEMO_MODEL = "DEMO_MODEL"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at: what it is called, how it is, and a sentence."""

    name: str
    health: Health
    sentence: str
    seen: str = ""  # the moment of a mishap that somebody may say they have seen


NAMES = {
    "settings": "设置",
    "database": "数据库",
    "redis": "提醒铃",
    "roster": "值班",
    "disk": "硬盘",
    "backup": "备份",
    "prompts": "提示语",
}


def make_blueprint(runtime: Runtime) -> Blueprint:
    health = Blueprint("health", __name__)
    db, settings = runtime.db, runtime.settings

    def found() -> Iterator[Line]:
        now = runtime.clock()
        for finding in (
            doctor.check_settings(settings), doctor.check_database(db), doctor.check_redis(settings),
            doctor.check_roster(db, runtime.clock), doctor.check_disk(settings),
            doctor.check_backup(db, settings, runtime.clock),
            doctor.check_prompts(db, settings),
        ):  # fmt: skip
            yield _line(finding)
        with db.reading() as session:
            yield _last_call(session, now)
            yield _owed(session, now)
            yield _lost_sounds(session)
            yield _carrier(session, settings, now)
        yield _model(runtime)
        yield _mishap(settings, now)

    @health.get("/health")
    @needs(Role.ADMIN)
    def look() -> Any:
        lines = sorted(found(), key=lambda line: list(Health).index(line.health), reverse=True)
        return render_template("health.html", lines=lines, now=runtime.clock())

    @health.post("/health")
    @needs(Role.ADMIN)
    def seen() -> Any:
        """Somebody has seen the last thing that went wrong; a newer one stays."""
        at = request.form.get("at", "")
        if mishaps.seen(settings.data_folder, at):
            with db.writing() as session:
                ledger.write(
                    session, at=runtime.clock(), person=current_user.person, act="see_mishap",
                    object_kind="mishap", object_id=None, happened=at,
                )  # fmt: skip
            flash("记下了，您看过了。")
        return redirect(url_for("health.look"))

    return health


def _line(finding: Finding) -> Line:
    return Line(NAMES[finding.key], finding.health, finding.sentence)


def _last_call(session: Session, now: datetime) -> Line:
    last = session.scalar(select(func.max(Call.started_at)))
    if last is None:
        return Line("来电", Health.MIND, "还没有人打进来过。请用自己的手机打一个试试")
    told = f"最近一个电话是{words.moment(last, now)}"
    if now - last > QUIET:
        return Line("来电", Health.MIND, f"{told}，两天多没有电话了。请用自己的手机打一个试试")
    return Line("来电", Health.WELL, told)


def _owed(session: Session, now: datetime) -> Line:
    waiting = session.scalar(
        select(func.count()).select_from(Promise).where(
            Promise.state == PromiseState.OPEN, Promise.due_at < now - STUCK
        )
    )  # fmt: skip
    if waiting:
        return Line(
            "要办的活",
            Health.ILL,
            f"有 {waiting} 样活过了半小时还没做（取录音、听写、回电话）。请重新启动",
        )
    return Line("要办的活", Health.WELL, "取录音、听写、回电话，都没有积压")


def _lost_sounds(session: Session) -> Line:
    lost = session.scalar(select(func.count()).select_from(Recording).where(Recording.fetch == Fetch.FAILED))  # fmt: skip
    if lost:
        return Line("录音", Health.MIND, f"有 {lost} 段录音没有取回来。请志愿者打电话问一问")
    return Line("录音", Health.WELL, "每一段录音都取回来了")


def _carrier(session: Session, settings: Settings, now: datetime) -> Line:
    """How the last calls out went; nobody is rung to find out."""
    tries = session.scalars(
        select(ReturnTry).where(ReturnTry.outcome.is_not(None)).order_by(ReturnTry.id.desc()).limit(FAULTS)
    ).all()  # fmt: skip
    name = "线路"
    if not tries:
        return Line(name, Health.WELL, f"用的是 {settings.carrier}，还没有打出去过电话")
    told = f"用的是 {settings.carrier}，最近一次打出去是{words.moment(tries[0].placed_at, now)}，{words.outcome(tries[0].outcome)}"
    if len(tries) == FAULTS and all(each.outcome == Outcome.FAULT for each in tries):
        return Line(name, Health.ILL, f"{told}。连着 {FAULTS} 次都打不出去，请找线路商")
    return Line(name, Health.WELL, told)


def _mishap(settings: Settings, now: datetime) -> Line:
    name, last = "出过的毛病", mishaps.last(settings.data_folder)
    if last is None:
        return Line(name, Health.WELL, "没有没看过的毛病")
    about = f"，当时在办：{last.about}" if last.about else ""
    told = f"{words.moment(last.when, now)}，{last.kind}（{last.place or '不在我们的程序里'}）{about}。详细的在日志里"
    return Line(name, Health.MIND, told, last.at)


def _model(runtime: Runtime) -> Line:
    path = runtime.settings.model_path
    if path is None:
        return Line("听写", Health.MIND, "没有装听写的模型，每段录音都要人来听")
    if not path.is_dir():
        return Line("听写", Health.ILL, "听写的模型不见了")
    if (path / DEMO_MODEL).exists():
        return Line("听写", Health.MIND, "装的是演示用的模型，听不懂真人说的话。请换成正式的")
    return Line("听写", Health.WELL, "装着正式的模型")
