"""The pages' server time beside a million calls and 200,000 requests, on SQLite: p95 of forty openings."""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert

HERE = Path(__file__).parent.parent
CALLS, REQUESTS, BATCH = 1_000_000, 200_000, 20_000
OPENINGS = 40
PAGES = (
    ("王秀兰", "/"), ("王秀兰", "/done"), ("王秀兰", "/request/199000"), ("王秀兰", "/paper/today"),
    ("王秀兰", "/walkin?who=lgf"), ("李主任", "/all"), ("李主任", "/calls"), ("李主任", "/calls?kind=missed"),
    ("李主任", "/search?q=水管"), ("李主任", "/case/199000"), ("李主任", "/figures"),
    ("李主任", "/figures/once"), ("李主任", "/audit"), ("管理员", "/health"),
)  # fmt: skip


def run() -> Iterator[tuple[str, str]]:
    sys.path.insert(0, str(HERE))
    from conftest import HandClock
    from desk_house import open_desk

    from ivr.models import Call
    from tickets import counting
    from tickets.models import Ticket

    clock = HandClock()
    with tempfile.TemporaryDirectory() as folder:
        desk = open_desk(Path(folder), clock)
        now, two_years = clock.now(), timedelta(days=730)
        for start in range(0, CALLS, BATCH):
            rows = [
                {
                    "carrier_sid": f"CA{i}", "flow": "inbound", "started_at": now - two_years * (1 - i / CALLS),
                    "caller_kind": "known", "phone": f"+86138{i % 600:08d}", "status": "completed", "test": False, "seconds": 40,
                }
                for i in range(start, start + BATCH)
            ]  # fmt: skip
            with desk.runtime.db.writing() as session:
                session.execute(insert(Call), rows)
        for start in range(0, REQUESTS, BATCH):
            rows = []
            for i in range(start, start + BATCH):
                at = now - two_years * (1 - i / REQUESTS)
                is_open = i >= REQUESTS - 40
                rows.append({
                    "day": at.date(), "sequence": 1000 + i, "kind": "errand", "source": "message", "opened_at": at,
                    "contact_by": at, "accept_by": at, "state": "assigned" if is_open else "closed", "round": 1, "urgent": False,
                    "phone": f"+86138{i % 600:08d}", "assignee_id": 1, "note": "水管漏水", "missing": "", "test": False,
                    "call_id": 5 * i + 1, "contacted_at": at, "done_at": None if is_open else at, "in_person": False,
                    "complexity": "routine", "void_reason": "", "version": 1,
                })  # fmt: skip
            with desk.runtime.db.writing() as session:
                session.execute(insert(Ticket), rows)
        counted = 1
        while counted:  # what the night does
            with desk.runtime.db.writing() as session:
                counted = counting.count_past_days(session, now, 60)
        visits = {name: desk.visit(name) for name in dict.fromkeys(name for name, _ in PAGES)}
        for name, path in PAGES:
            visit = visits[name]
            spent = []
            for _ in range(OPENINGS):
                began = time.perf_counter()
                visit.opens(path)
                spent.append((time.perf_counter() - began) * 1000)
            assert visit.status == 200, (path, visit.status)
            yield (
                f"{path}",
                f"median {statistics.median(spent):.0f} ms, p95 {sorted(spent)[int(OPENINGS * 0.95) - 1]:.0f} ms",
            )
        desk.runtime.close()
