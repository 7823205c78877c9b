"""Every page's server time beside 300,000 requests, 1,000,000 calls and 100,000 transcripts: forty openings of each (wanted: p95 50 ms)."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tests.bench.neighbourhood import DAYS, FIRST, MONTH, NOW, TICKETS, build
from tickets.models import Recording, Resident, ResidentPhone, Role, Shift, Transcript, Volunteer

HERE = Path(__file__).parent.parent
OPENINGS = 40
TRANSCRIPTS = int(os.environ.get("BENCH_TRANSCRIPTS", "100000"))
RESIDENTS = 1500
BATCH = 5000
NEW = TICKETS - 100  # one of those that are open
FILES = (".xlsx", ".zip", ".ics", ".svg")  # no pages
SOUNDS = {"sounds.sound", "prompts.sound", "prompts.machine", "handset.sample"}
# addresses with questions, by the route they go to
ASKED = {
    "desk.today": ("", "?shown=300"), "desk.everything": ("", "?shown=300"), "walkin.look": ("?who=lgf",),
    "finding.calls": ("", "?kind=missed", "?kind=reached", "?kind=test", "?month=2026-10"),
    "finding.look_for": ("", "?q=水管", "?q=我要", "?q=没有的话"),
    "figures.this_month": ("", "?month=2026-10"), "figures.monthly": ("?month=2026-10",),
    "figures.rows": ("", "?month=2026-10&only=counted", "?month=2026-10&from=5000"),
    "audit.overview": ("", "?month=2026-10"), "people.every": ("", "?who=1234", "?who=lgf", "?who=3幢"),
    "rota.month": ("", "?month=2026-12"),
}  # fmt: skip


def run() -> Iterator[tuple[str, str]]:
    sys.path.insert(0, str(HERE))
    import postgres

    with tempfile.TemporaryDirectory() as folder:
        yield from _measure(Path(folder), "", "SQLite")
    with tempfile.TemporaryDirectory() as folder, postgres.server() as url:
        yield from _measure(Path(folder), url, "PostgreSQL")


def _measure(folder: Path, url: str, name: str) -> Iterator[tuple[str, str]]:
    from conftest import DeafBell, HandClock, settings_for
    from desk_house import DeskHouse

    from hotline.app import create_app
    from hotline.runtime import build as wire
    from tickets.roster import on_duty

    clock = HandClock(NOW)
    runtime = wire(settings_for(folder, **({"database_url": url} if url else {})), clock.now, DeafBell())  # fmt: skip
    build(runtime.db)
    with runtime.db.writing() as session:
        device = _furnish(session, runtime.settings)
        shift = on_duty(session, NOW)
        assert shift is not None
        people = {Role.VOLUNTEER: shift.volunteer.name, Role.LEAD: "管理员"}
        ids = {person.name: person.id for person in session.scalars(select(Volunteer))}
    _speak(runtime.db)
    desk = DeskHouse(runtime, create_app(runtime), clock, ids, device)
    slow, seen = [], 0
    visits = {who: desk.visit(who) for who in people.values()}
    with runtime.db.reading() as session:
        paths = list(_paths(desk.app, session))
    for role, path in paths:
        visit = visits[people[role]]
        assert visit.opens(path).status == 200, f"{path} answers {visit.status}"
        if visit.page.history or "text/html" not in visit.page.content_type:
            continue  # an address that leads to one of the others, and the word for the page of today
        p95, said = _times(lambda: visit.opens(path))  # noqa: B023
        seen, slow = seen + 1, [*slow, *([path] if p95 > 50 else [])]
        yield f"{name}: {path}", said
    yield f"{name}: pages seen, and those over 50 ms", f"{seen}; {', '.join(slow) or 'none'}"
    runtime.close()


def _paths(app: Flask, session: Session) -> Iterator[tuple[Role, str]]:
    """Every address a person may open, with the least role that may; an argument needs an example."""
    known = _examples(session)
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        roles = getattr(view, "roles", None)
        if not roles or "GET" not in (rule.methods or ()) or getattr(view, "asks_header", False):
            continue
        if rule.rule.endswith(FILES) or rule.endpoint in SOUNDS:
            continue
        path = app.url_map.bind("").build(rule.endpoint, {
            name: known.get(f"{rule.endpoint} {name}", known.get(name)) for name in rule.arguments
        })  # fmt: skip
        least = Role.VOLUNTEER if Role.VOLUNTEER in roles else Role.LEAD
        for asked in ASKED.get(rule.endpoint, ("",)):
            yield least, path + asked


def _examples(session: Session) -> dict[str, Any]:
    from ivr.parts import NUMBER_OF, Spot

    return {
        "ticket_id": NEW, "recording_id": session.scalar(select(Recording.id).limit(1)), "key": "once",
        "matter_id": 1, "number": NUMBER_OF[Spot("I10", 1)], "hand_over_id": 1,
        "shift_id": session.scalar(select(Shift.id).where(Shift.starts_at > NOW).limit(1)),
        "resident_id": 1, "person_id": 1, "sheet_id": 1,
        "imports.roster_look sheet_id": 2, "imports.volunteers_look sheet_id": 3,
    }  # fmt: skip


def _furnish(session: Session, settings: Settings) -> str:
    """What the nights have done, the people, a month's spot checks; answers a device's secret."""
    from desk_house import SECOND, _pin_hash
    from duty_house import xlsx

    from hotline.web.imports import BOOKS
    from tickets import counting, devices, ledger, matters, spot_checks, waiting_sheets
    from tickets.figure_days import StaleDay
    from tickets.roster import on_duty
    from tickets.rota import HandOver

    session.add(StaleDay(day=FIRST))
    session.flush()
    counting.count_past_days(session, NOW, DAYS)
    matters.seed(session, NOW)
    session.add(Volunteer(name="管理员", role=Role.ADMIN, totp_secret=SECOND))
    for person in session.scalars(select(Volunteer)):
        person.pin_hash = _pin_hash()
    session.add_all(
        Resident(
            name=("李桂芳", "张德明", "陈阿珍", "徐根土", "何彩凤")[n % 5], building=str(n % 11 + 1), unit=str(n % 4 + 1),
            room=str(101 + n % 600), phones=[ResidentPhone(phone=f"+86138{n:08d}")],
        )
        for n in range(RESIDENTS)
    )  # fmt: skip
    sheets: dict[str, list[list[object]]] = {
        "residents": [["姓名", "幢", "电话"], *([f"新来的{n}", n % 11 + 1, 13900000000 + n] for n in range(1000))],
        "roster": [["日期", "开始", "结束", "值班"], *([f"2026-12-{d:02}", "08:30", "11:30", "志愿者1"] for d in range(1, 31))],
        "volunteers": [["姓名", "身份"], *([f"新志愿者{n}", "志愿者"] for n in range(16))],
    }  # fmt: skip
    admin = session.scalars(select(Volunteer).where(Volunteer.role == Role.ADMIN)).one()
    for book in BOOKS:
        content = xlsx(sheets[book.key])
        told = book.plan(session, settings, content, NOW)
        waiting_sheets.keep(session, book.key, content, told, admin.id, NOW)
    shift = on_duty(session, NOW)
    assert shift is not None
    session.add(HandOver(shift_id=shift.id, note="", to_id=shift.volunteer_id, at=NOW, passed=[NEW, NEW + 1]))  # fmt: skip
    spot_checks.draw(session, MONTH, 1, ledger.SYSTEM, NOW)
    code = devices.offer(session, ledger.SYSTEM, NOW)
    return devices.enrol(session, code, "值班室电脑", NOW) or ""


def _speak(db: Any) -> None:
    """The newest recordings are written down, and found by their words."""
    from tickets.search import Gram, grams, plain

    lines = (HERE / "bench" / "model_sentences.txt").read_text(encoding="utf-8").splitlines()
    said = ["".join(line.split()) for line in lines if line and not line.isascii()]
    with db.reading() as session:
        ids = list(session.scalars(select(Recording.id).order_by(Recording.id.desc()).limit(TRANSCRIPTS)))  # fmt: skip
    for start in range(0, len(ids), BATCH):
        rows = [
            {"id": n, "recording_id": each, "outcome": "heard", "trusted": True, "made_at": NOW, "model": "x", "details": {},
             "text": f"我住在{n % 11 + 1}幢，{said[n % len(said)]}"}
            for n, each in enumerate(reversed(ids), 1)
        ][start : start + BATCH]  # fmt: skip
        with db.writing() as session:
            session.execute(insert(Transcript), rows)
            session.execute(
                insert(Gram),
                [{"gram": gram, "transcript_id": row["id"]} for row in rows for gram in grams(plain(str(row["text"])))],
            )  # fmt: skip
    if not db.is_sqlite:
        with db.engine.connect() as connection:  # it does so by itself in time
            connection.exec_driver_sql("ANALYZE")
            connection.commit()


def _times(opens: Callable[[], Any]) -> tuple[float, str]:
    """By the clock and by the processor: others may be using it."""
    spent, worked = [], []
    for _ in range(OPENINGS):
        began, cpu = time.perf_counter(), time.process_time()
        opens()
        spent.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - cpu) * 1000)
    at = int(OPENINGS * 0.95) - 1
    p95 = sorted(spent)[at]
    return p95, f"median {statistics.median(spent):.0f} ms, p95 {p95:.0f} ms; processor p95 {sorted(worked)[at]:.0f} ms"  # fmt: skip
