"""A month of the neighbourhood: then the committee counts by hand from what it exported, seals the
month, looks at some of it again, and somebody flips one bit."""

import csv
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import settings_for
from openpyxl import load_workbook
from recount import recount
from scripted_month import MONTH, Month
from sqlalchemy import select

from hotline import cli, migration
from hotline.clock import SHANGHAI, local
from hotline.db import Database
from tickets import (
    counting,
    footwork,
    ledger,
    return_calls,
    returns,
    sealing,
    spot_checks,
)
from tickets.books import Finding, SpotCheck, Suspicion
from tickets.figures import BY_KEY, behind
from tickets.lifecycle import State
from tickets.listings import REASONS, SHEETS
from tickets.models import (
    Duty,
    Kind,
    LedgerLine,
    Promise,
    PromiseState,
    Resident,
    ReturnTry,
    Shift,
    Ticket,
)

NOW = datetime(2026, 11, 9, 9, 0, tzinfo=SHANGHAI)


def settings(folder: Path) -> Any:
    return settings_for(folder / "data")


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
    for sheet in SHEETS[
        :-1
    ]:  # the workbooks say the same, cell by cell; the ledger has grown meanwhile
        path = folder / f"{sheet.key}.xlsx"
        said = hotline(folder, "export", sheet.key, str(path), "--from", "2026-08-01", "--to", "2027-01-31")  # fmt: skip
        assert said.exit_code == 0, said.output
        page = load_workbook(path).active
        assert page is not None
        rows = ["" if cell is None else str(cell) for row in page.iter_rows(values_only=True) for cell in row]  # fmt: skip
        assert rows == [*sheet.headings, *(cell for row in sheets[sheet.key] for cell in row.values())]  # fmt: skip
    everything = "".join(path.read_text("utf-8") for path in folder.glob("*.csv"))
    assert "+86138" not in everything
    assert "李桂芳" not in everything
    assert "138****0" in everything
    assert "李*芳" in everything


def test_the_holiday_week_rests_and_the_worked_weekend_does_not(db: Database) -> None:
    with db.reading() as session:
        days = Counter(local(shift.starts_at).date() for shift in session.scalars(select(Shift)))
        assert {days[date(2026, 10, day)] for day in range(1, 8)} == {1}, "国庆"
        assert (days[date(2026, 10, 10)], days[date(2026, 10, 17)]) == (2, 1), "调休 and a Saturday"
        rules = return_calls.rules(session, settings(Path()))
        tries = session.scalars(select(ReturnTry)).all()
        assert all(returns.may_ring(t.placed_at, 0, rules) == t.placed_at for t in tries)
        assert any(local(t.placed_at).date() < date(2026, 10, 8) for t in tries)
        acts = Counter(session.scalars(select(LedgerLine.act)))
        assert acts["swap_accepted"] > 2
        assert acts["assign_shift"] > 2


def test_who_never_picks_up_is_owed_a_visit_and_it_is_explained(db: Database) -> None:
    with db.reading() as session:
        owed = session.scalars(select(Promise).where(Promise.state == PromiseState.OWED, Promise.duty == Duty.RETURN_CALL)).all()  # fmt: skip
        never = [p for p in owed if p.ticket and int((p.ticket.phone or "0")[-8:]) % 20 == 0]
        assert never
        for promise in never:
            assert [attempt.outcome for attempt in promise.tries] == ["no_answer"] * 3
            assert return_calls.explain(promise).endswith(return_calls.VISIT_OWED)
            days = Counter(local(attempt.placed_at).date() for attempt in promise.tries)
            assert max(days.values()) <= 2


def test_whoever_has_no_smartphone_is_in_the_books_like_anybody(db: Database) -> None:
    with db.reading() as session:
        hers = session.scalars(select(LedgerLine).where(LedgerLine.person == "volunteer:1", LedgerLine.origin == "phone")).all()  # fmt: skip
        acts = Counter(line.act for line in hers)
        assert acts["finish"] == acts["see_number"] > 2
        assert acts["outing"] > 0
        assert acts["explain_outing"] > 0


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
