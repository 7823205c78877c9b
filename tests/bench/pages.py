"""The pages' server time beside 300,000 requests and 1,000,000 calls, on SQLite: forty openings of each (wanted: p95 50 ms)."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import select

from tests.bench.neighbourhood import DAYS, FIRST, NOW, TICKETS, build

HERE = Path(__file__).parent.parent
OPENINGS = 40
NEW = TICKETS - 100  # one of those that are open
VOLUNTEERS = ("/", "/done", f"/request/{NEW}", f"/request/{NEW}/outing", f"/request/{NEW}/slip", "/paper/today", "/walkin?who=lgf", "/handover", "/rota")  # fmt: skip
COMMITTEES = (
    "/", "/all", "/calls", "/calls?kind=missed", "/search?q=水管", f"/case/{NEW}", "/figures", "/figures/report",
    "/figures/once", "/figures/reached", "/audit", "/residents?who=1234", "/matters", "/health",
)  # fmt: skip


def run() -> Iterator[tuple[str, str]]:
    sys.path.insert(0, str(HERE))
    from conftest import DeafBell, HandClock, settings_for
    from desk_house import SECOND, DeskHouse, _pin_hash

    from hotline.app import create_app
    from hotline.runtime import build as wire
    from tickets import counting, devices, ledger, matters
    from tickets.figure_days import StaleDay
    from tickets.models import Role, Volunteer
    from tickets.roster import on_duty

    clock = HandClock(NOW)
    with tempfile.TemporaryDirectory() as folder:
        runtime = wire(settings_for(Path(folder)), clock.now, DeafBell())
        build(runtime.db)
        with runtime.db.writing() as session:
            session.add(StaleDay(day=FIRST))
            session.flush()
            counting.count_past_days(session, NOW, DAYS)  # what the nights have done
            matters.seed(session, NOW)
            session.add(Volunteer(name="管理员", role=Role.ADMIN, totp_secret=SECOND))
            for person in session.scalars(select(Volunteer)):
                person.pin_hash = _pin_hash()
            ids = {person.name: person.id for person in session.scalars(select(Volunteer))}
            shift = on_duty(session, NOW)
            assert shift is not None
            name = shift.volunteer.name
            code = devices.offer(session, ledger.SYSTEM, NOW)
            device = devices.enrol(session, code, "值班室电脑", NOW) or ""
        desk = DeskHouse(runtime, create_app(runtime), clock, ids, device)
        for who, pages in ((name, VOLUNTEERS), ("管理员", COMMITTEES)):
            visit = desk.visit(who)
            for path in pages:
                yield f"{path} of {'a volunteer' if who == name else 'the committee'}", _times(lambda: visit.opens(path).status)  # noqa: B023  # fmt: skip
        runtime.close()


def _times(opens: Callable[[], int]) -> str:
    """By the clock and by the processor: others may be using it."""
    spent, worked = [], []
    assert opens() == 200
    for _ in range(OPENINGS):
        began, cpu = time.perf_counter(), time.process_time()
        opens()
        spent.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - cpu) * 1000)
    at = int(OPENINGS * 0.95) - 1
    return f"median {statistics.median(spent):.0f} ms, p95 {sorted(spent)[at]:.0f} ms; processor p95 {sorted(worked)[at]:.0f} ms"
