"""A month of the neighbourhood: then the committee counts by hand from what it exported, seals the
month, looks at some of it again, and somebody flips one bit."""

import csv
import random
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import settings_for
from openpyxl import load_workbook
from recount import recount
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline import cli, migration
from hotline.clock import SHANGHAI
from hotline.config import read_hours
from hotline.db import Database
from ivr.models import Call
from tickets import (
    counting,
    footwork,
    ledger,
    return_calls,
    rotation,
    sealing,
    service,
    spot_checks,
)
from tickets.books import Finding, SpotCheck, Suspicion
from tickets.counting import Period
from tickets.coverage import DutyHours
from tickets.figures import BY_KEY, behind
from tickets.lifecycle import Act, State, possible
from tickets.listings import REASONS, SHEETS
from tickets.models import (
    Event,
    Fetch,
    Kind,
    LedgerLine,
    Promise,
    Recording,
    Resident,
    ResidentPhone,
    Source,
    Ticket,
    Volunteer,
)
from tickets.returns import Outcome
from tickets.trips import Reason, Went

MONTH = Period.month(2026, 10)
NOW = datetime(2026, 11, 9, 9, 0, tzinfo=SHANGHAI)
HOUSEHOLDS, CALLS = 522, 160


def settings(folder: Path) -> Any:
    return settings_for(folder / "data")


class Month:
    """What happens, through the rules of the house, with chances that are the same each time."""

    def __init__(self, session: Session, given: Any) -> None:
        self.session, self.settings, self.chance = session, given, random.Random(2026)
        self.people = [Volunteer(name=f"志愿者{number}") for number in range(16)]
        session.add_all(self.people)
        for number in range(HOUSEHOLDS):
            phone = ResidentPhone(phone=f"+86138{number:08d}")
            session.add(Resident(name="李桂芳", building=f"{number % 11 + 1}", phones=[phone]))
        session.flush()
        hours = [read_hours(written) for written in given.shift_hours]  # fmt: skip
        rotation.fill(session, DutyHours(hours, hours), MONTH.first - timedelta(days=3), 45)

    def passes(self) -> None:
        for number in range(CALLS):
            minutes = self.chance.randrange(32 * 24 * 60)  # at all hours, a day before and after
            self.one_call(number, MONTH.start - timedelta(days=1) + timedelta(minutes=minutes))

    def one_call(self, number: int, at: datetime) -> None:
        session, chance = self.session, self.chance
        phone = f"+86138{chance.randrange(HOUSEHOLDS):08d}"
        talk = chance.random() < 0.2
        call = Call(
            carrier_sid=f"CA{number}", flow="inbound", started_at=at, caller_kind="known", phone=phone,
            answered_at=at + timedelta(seconds=chance.choice((1, 1, 2, 16))), taken_by=1 if talk else None,
            ended_at=at + timedelta(seconds=chance.randrange(10, 200)), test=chance.random() < 0.05,
        )  # fmt: skip
        session.add(call)
        session.flush()
        if not talk and chance.random() < 0.25:
            service.owe_ring_back(session, self.settings, at, phone=phone, call_id=call.id, short_calls=1, test=call.test)  # fmt: skip
            owed = session.scalars(select(Ticket).order_by(Ticket.id.desc()).limit(1)).one()
            if chance.random() < 0.7:
                owed.contacted_at = at + timedelta(minutes=chance.randrange(5, 300))
            return
        ticket = service.open_ticket(
            session, self.settings, at, kind=Kind.ERRAND, source=Source.TALK if talk else Source.MESSAGE,
            phone=phone, by=ledger.CALLER, call_id=call.id, taken_by=1 if talk else None, test=call.test,
        )  # fmt: skip
        if not talk:
            fetch = Fetch.STORED if chance.random() < 0.9 else Fetch.FAILED
            session.add(Recording(carrier_id=f"RE{number}", url="", made_at=at, call_id=call.id, ticket_id=ticket.id, fetch=fetch))  # fmt: skip
        self.work_on(ticket, at)

    def work_on(self, ticket: Ticket, at: datetime) -> None:
        chance = self.chance
        for _ in range(chance.randrange(1, 9)):
            at += timedelta(minutes=chance.choice((7, 45, 200, 900, 2500)))
            person = ledger.volunteer(chance.choice(self.people).id)
            acts = [a for a in possible(ticket.state) if a not in {Act.MERGE, Act.REOPEN}]
            wanted = [Act.ASSIGN, Act.ACCEPT, Act.FINISH, Act.CONFIRM]
            what = next((a for a in wanted if a in acts), None)
            if what is None or chance.random() < 0.15:
                what = chance.choice(acts) if acts else None
            if what is None:
                return
            if ticket.contacted_at is None and chance.random() < 0.6:
                ticket.contacted_at = at
            while what is Act.FINISH and chance.random() < 0.6:
                self.goes_out(ticket, at)
            if what is Act.CONFIRM:
                self.hears_of_it(ticket, at)
                continue
            given = {"why": "说明", "to": chance.choice(self.people), "missing": "身份证"}
            service.act(self.session, ticket, what, person, at, elsewhere="12345", **given)  # type: ignore[arg-type]

    def goes_out(self, ticket: Ticket, at: datetime) -> None:
        settled = self.chance.random() < 0.5
        footwork.log_outing(
            self.session, [ticket], ledger.volunteer(1), at, went=self.chance.choice([*Went]), place="窗口",
            settled=settled, reason=self.chance.choice([*Reason]),
        )  # fmt: skip

    def hears_of_it(self, ticket: Ticket, at: datetime) -> None:
        """The return call: heard or not, content or not; 没办好 opens it again."""
        promise = self.session.scalars(
            select(Promise).where(Promise.ticket_id == ticket.id, Promise.event == Event.DONE)
            .order_by(Promise.id.desc()).limit(1)
        ).one()  # fmt: skip
        attempt = return_calls.begin_try(self.session, promise, ticket.phone or "", at)
        outcome = self.chance.choice([Outcome.HEARD] * 5 + [*Outcome])
        return_calls.finish_try(self.session, self.settings, attempt, outcome, at)
        if outcome is Outcome.HEARD and self.chance.random() < 0.8:
            return_calls.rate(self.session, attempt, self.chance.choice((1, 1, 1, 2, 3)), at)
        if self.chance.random() < 0.3:
            ticket.resident_trips = self.chance.randrange(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The house after its month; October is over, it is 9 November."""
    folder = tmp_path_factory.mktemp("month")
    given = settings(folder)
    db = Database(given.database, synchronous="NORMAL")
    migration.upgrade(db)
    with db.writing() as session:
        Month(session, given).passes()
    with db.writing() as session:
        assert counting.count_past_days(session, NOW) > 30
    db.close()
    return folder


@pytest.fixture
def db(folder: Path) -> Iterator[Database]:
    opened = Database(settings(folder).database, synchronous="NORMAL")
    yield opened
    opened.close()


def hotline(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(
        cli.main, words, env={"HOTLINE_DATA_FOLDER": str(folder / "data")}, catch_exceptions=False
    )


def test_the_figures_are_what_the_committee_counts_from_its_export(
    folder: Path, db: Database
) -> None:
    sheets = {}
    for sheet in SHEETS:
        path = folder / f"{sheet.key}.csv"
        said = hotline(folder, "export", sheet.key, str(path), "--from", "2026-08-01", "--to", "2027-01-31")  # fmt: skip
        assert said.exit_code == 0, said.output
        with path.open(encoding="utf-8-sig", newline="") as file:
            sheets[sheet.key] = list(csv.DictReader(file))
    start, end, now = (i.astimezone(SHANGHAI).replace(tzinfo=None) for i in (MONTH.start, MONTH.end, NOW))  # fmt: skip
    counted = recount(sheets, start, end, now)
    with db.reading() as session:
        report = counting.report(session, MONTH, NOW)
        rolled = counting.total(session, MONTH, NOW)
        assert rolled == counting.scan(session, MONTH.start, MONTH.end, NOW)
        for value in report.values:
            assert (value.k, value.n) == counted[value.figure.key], value.figure.key
            assert value.n > 0, value.figure.key
            many = session.execute(behind(value.figure, MONTH.start, MONTH.end, NOW, counted=True))
            assert len(many.all()) == value.k
    assert report.trips_a_ticket == counted["trips"][0] / counted["trips"][1]
    assert {REASONS[reason]: many for reason, many in report.reasons} == counted["reasons"]
    assert (report.median_minutes, report.p90_minutes) == (counted["median"], counted["p90"])
    for rare in ("once", "redone", "overdue", "passed_on"):
        assert 0 < report[rare].k < report[rare].n  # the month had all of it
    everything = "".join(path.read_text("utf-8") for path in folder.glob("*.csv"))
    assert "+86138" not in everything
    assert "李桂芳" not in everything
    assert "138****0" in everything
    assert "李*芳" in everything


def test_a_workbook_holds_text_and_no_formulas(folder: Path, db: Database) -> None:
    with db.writing() as session:
        resident = session.get_one(Resident, 1)
        resident.name = "=1+1"
    path = folder / "tickets.xlsx"
    assert hotline(folder, "export", "tickets", str(path), "--from", "2026-10-01", "--to", "2026-10-31").exit_code == 0  # fmt: skip
    page = load_workbook(path).active
    assert page is not None
    assert [cell.value for cell in page[1]][:3] == ["序号", "编号", "类别"]
    assert page.max_row > 100
    assert all(cell.data_type != "f" for row in page.iter_rows() for cell in row)


def test_a_wrong_wish_is_one_sentence(folder: Path) -> None:
    span = ("--from", "2026-10-31", "--to", "2026-10-01")
    assert "前面" in hotline(folder, "export", "calls", str(folder / "x.csv"), *span).stderr
    assert ".xlsx" in hotline(folder, "export", "calls", str(folder / "x.pdf"), *span).stderr
    assert "还没有过完" in hotline(folder, "audit", "seal", "2099-01").stderr
    assert not (folder / "x.csv").exists()


def test_a_sealed_month_is_the_same_bytes_and_shows_a_change(
    folder: Path, db: Database, tmp_path: Path
) -> None:
    with db.reading() as session:
        made = [tmp_path / "one", tmp_path / "two"]
        for place in made:
            place.mkdir()
        first, second = (sealing.build(session, MONTH, place) for place in made)
    assert first.read_bytes() == second.read_bytes()
    assert sealing.check(first) is not None

    bundle = tmp_path / "2026-10.zip"
    said = hotline(folder, "audit", "seal", "2026-10", "--out", str(bundle))
    assert said.exit_code == 0, said.output
    assert bundle.read_bytes() == first.read_bytes()
    assert "还是原来那一份" in hotline(folder, "audit", "seal", "2026-10", "--out", str(tmp_path / "again.zip")).output  # fmt: skip
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()
    with zipfile.ZipFile(bundle) as parts:
        assert {f"{sheet.key}.csv" for sheet in SHEETS} | {"figures.csv", "manifest.json"} == {*parts.namelist()}  # fmt: skip
        figures = parts.read("figures.csv").decode("utf-8-sig")
        assert "最多跑一次达成率" in figures
        assert b"+86138" not in b"".join(map(parts.read, parts.namelist()))
        contents = {name: parts.read(name) for name in parts.namelist()}
    contents["tickets.csv"] = contents["tickets.csv"].replace(b"\xe4", b"\xe5", 1)
    with zipfile.ZipFile(tmp_path / "forged.zip", "w") as forged:
        for name, content in contents.items():
            forged.writestr(name, content)
    with pytest.raises(sealing.BrokenBundleError, match=r"tickets\.csv"):
        sealing.check(tmp_path / "forged.zip")
    assert "tickets.csv" in hotline(folder, "audit", "verify", str(tmp_path / "forged.zip")).stderr
    assert "台账完好" in hotline(folder, "audit", "verify", str(bundle)).output


def test_the_same_seed_draws_the_same_and_every_doubtful_one(db: Database) -> None:
    with db.writing() as session:
        drawn = spot_checks.suspects(session, MONTH, 7, NOW)
        assert drawn == spot_checks.suspects(session, MONTH, 7, NOW)
        assert drawn != spot_checks.suspects(session, MONTH, 8, NOW)
        by_reason = {why: {t for t, reasons in drawn.items() if why in reasons} for why in Suspicion}  # fmt: skip
        of_month = session.scalars(
            select(Ticket).where(
                Ticket.opened_at >= MONTH.start, Ticket.opened_at < MONTH.end, Ticket.kind == Kind.ERRAND,
                Ticket.test.is_(False), Ticket.state.not_in((State.VOID, State.MERGED)),
            )
        ).all()  # fmt: skip
        assert len(by_reason[Suspicion.RANDOM]) == -(-len(of_month) // 20)
        assert by_reason[Suspicion.DISSATISFIED] == {t.id for t in of_month if t.satisfaction == 3}
        assert by_reason[Suspicion.SECOND_TRIP] == {t.id for t in of_month if footwork.count(session, t).trips > 1}  # fmt: skip
        overdue = session.execute(behind(BY_KEY["overdue"], MONTH.start, MONTH.end, NOW, counted=True))  # fmt: skip
        assert by_reason[Suspicion.OVERDUE] == {row[0] for row in overdue}
        assert all(by_reason.values())

        checks = spot_checks.draw(session, MONTH, 7, ledger.volunteer(2), NOW)
        spot_checks.find(session, checks[0], Finding.RETURNED, ledger.volunteer(2), NOW, "没写清楚")
        again = spot_checks.draw(session, MONTH, 7, ledger.volunteer(2), NOW)
        assert [check.id for check in again] == [check.id for check in checks]
        assert again[0].finding is Finding.RETURNED
    with db.reading() as session:
        assert len(session.scalars(select(SpotCheck)).all()) == len(drawn)
        acts = session.scalars(select(LedgerLine.act).order_by(LedgerLine.sequence.desc()).limit(3))
        assert acts.all() == ["draw_spot_checks", "spot_check", "draw_spot_checks"]


def test_one_flipped_bit_in_the_database_file_is_named(folder: Path, tmp_path: Path) -> None:
    """Last of all: a copy of the file, one bit in it turned with no SQL at all."""
    source = Database(settings(folder).database)
    with source.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        hash_ = connection.exec_driver_sql("SELECT hash FROM ledger WHERE sequence = 40").scalar_one()  # fmt: skip
    source.close()
    bytes_ = bytearray((folder / "data" / "hotline.db").read_bytes())
    bytes_[bytes_.index(hash_.encode())] ^= 1  # where it stands first: in line 40 or 41
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hotline.db").write_bytes(bytes_)
    said = hotline(tmp_path, "audit", "verify")
    assert said.exit_code == 1
    assert "第 40 行被改过" in said.stderr or "第 41 行被改过" in said.stderr
    assert "台账完好" in hotline(folder, "audit", "verify").output
