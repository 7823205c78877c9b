"""一切都好吗: what the administrator sees of the house without a terminal. Nothing here asks the outside world."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hotline import doctor
from hotline.doctor import Finding, Health
from hotline.runtime import Runtime
from hotline.web import words
from hotline.web.guard import needs
from ivr.models import Call
from tickets.models import Fetch, Promise, PromiseState, Recording, Role

QUIET = timedelta(days=2)  # so long without a call is worth a test call
STUCK = timedelta(minutes=30)  # what is owed and due is kept within seconds
DEMO_MODEL = "DEMO_MODEL"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at: what it is called, how it is, and a sentence."""

    name: str
    health: Health
    sentence: str


NAMES = {
    "settings": "设置",
    "database": "数据库",
    "redis": "提醒铃",
    "roster": "值班",
    "disk": "硬盘",
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
            doctor.check_prompts(db, settings),
        ):  # fmt: skip
            yield _line(finding)
        with db.reading() as session:
            yield _last_call(session, now)
            yield _owed(session, now)
            yield _lost_sounds(session)
        yield _model(runtime)

    @health.get("/health")
    @needs(Role.ADMIN)
    def look() -> Any:
        lines = sorted(found(), key=lambda line: list(Health).index(line.health), reverse=True)
        return render_template("health.html", lines=lines, now=runtime.clock())

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


def _model(runtime: Runtime) -> Line:
    path = runtime.settings.model_path
    if path is None:
        return Line("听写", Health.MIND, "没有装听写的模型，每段录音都要人来听")
    if not path.is_dir():
        return Line("听写", Health.ILL, "听写的模型不见了")
    if (path / DEMO_MODEL).exists():
        return Line("听写", Health.MIND, "装的是演示用的模型，听不懂真人说的话。请换成正式的")
    return Line("听写", Health.WELL, "装着正式的模型")
