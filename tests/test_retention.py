"""What is kept how long, what is never deleted, and what a resident may have and have deleted."""

import csv
import io
import os
import signal
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from conftest import ON_BOTH, DeafBell, HandClock, settings_for
from errand_house import LI, WANG, ZHANG, ErrandHouse, open_errands
from sqlalchemy import func, select, text, update

from hotline.clock import SHANGHAI
from hotline.runtime import build
from hotline.store import Store
from ivr.models import Call, Turn
from tickets import audit, counting, erasure, footwork, ledger, own_data, retention
from tickets.books import Receipt
from tickets.counting import Period
from tickets.dossier import Consent, ConsentBy, ConsentTo, ResidentNote
from tickets.lifecycle import Act, State
from tickets.models import (
    Duty,
    Fetch,
    LedgerLine,
    Promise,
    PromiseState,
    Recording,
    Resident,
    ResidentPhone,
    Ticket,
    Transcript,
)
from worker import night
from worker.jobs import Hands
from worker.sweep import owe_night_round, sweep

YEARS = timedelta(days=365)


@dataclass
class Archive:
    """A house with requests, their calls, sounds and texts."""

    errands: ErrandHouse
    store: Store

    def request(
        self, phone: str = LI, *, sound: bytes = b"", done: bool = True, resident: int | None = None
    ) -> int:
        """Li rang, said something, and it was done; returns the request's id."""
        house, now = self.errands, self.errands.clock.now()
        with house.db.writing() as session:
            number = session.scalar(select(func.count()).select_from(Call)) or 0
            call = Call(
                carrier_sid=f"CA{number}", flow="inbound", started_at=now, answered_at=now,
                ended_at=now + timedelta(minutes=1), caller_kind="known", phone=phone,
            )  # fmt: skip
            session.add(call)
            session.flush()
            session.add(Turn(call_id=call.id, number=1, step="speak", says=[], memory={"fact:phone": phone}, heard="ring", at=now))  # fmt: skip
            call_id = call.id
        ticket_id = house.asks(phone, call_id=call_id)
        stored = self.store.put([sound or b"sound"], ".wav", owner=str(ticket_id))
        with house.db.writing() as session:
            recording = Recording(
                carrier_id=f"RE{ticket_id}", url="https://x.test/RE", made_at=now, call_id=call_id,
                ticket_id=ticket_id, fetch=Fetch.STORED, key=stored.key, sha256=stored.sha256,
            )  # fmt: skip
            session.add(recording)
            session.flush()
            session.add(Transcript(recording_id=recording.id, outcome="heard", text="我是李桂芳", trusted=True, made_at=now))  # fmt: skip
            ticket = session.get_one(Ticket, ticket_id)
            ticket.note, ticket.resident_id = "三幢的李桂芳", resident
        if house.ticket(ticket_id).state is State.NEW:  # the roster ended long ago
            house.does(WANG, ticket_id, Act.ASSIGN, to=WANG)
        if done:
            house.does(WANG, ticket_id, Act.ACCEPT, Act.FINISH, Act.CONFIRM)
        return ticket_id

    def ages(self, span: timedelta) -> None:
        self.errands.clock.advance(span.total_seconds())

    def forgets(self) -> None:
        house = self.errands
        night.forget(house.db, self.store, house.settings, house.clock.now())

    def one(self, kind: Any, ticket_id: int) -> Any:
        column = {Ticket: Ticket.id, Recording: Recording.ticket_id}[kind]
        with self.errands.db.reading() as session:
            return session.scalars(select(kind).where(column == ticket_id)).one()

    def sums(self) -> Any:
        house, now = self.errands, self.errands.clock.now()
        with house.db.reading() as session:
            span = Period(datetime(2020, 1, 1, tzinfo=SHANGHAI).date(), now.date())
            return counting.scan(session, span.start, span.end, now)

    def receipts(self) -> list[tuple[str, int]]:
        with self.errands.db.reading() as session:
            return [
                (r.kind, r.count) for r in session.scalars(select(Receipt).order_by(Receipt.id))
            ]


@pytest.fixture
def archive(tmp_path: Path, clock: HandClock, database_url: str) -> Iterator[Archive]:
    # long ago, so that the database's own clock agrees that it is long ago
    clock.set(datetime(2023, 5, 15, 9, 0, tzinfo=SHANGHAI))
    house = open_errands(tmp_path, clock, database_url)
    yield Archive(house, Store(f"file://{tmp_path / 'sounds'}"))
    house.db.close()


@ON_BOTH
def test_sound_lives_a_year_and_words_two_and_the_figures_stay(archive: Archive) -> None:
    old = archive.request()
    archive.ages(YEARS)
    new = archive.request(ZHANG)
    archive.ages(timedelta(days=2))
    archive.forgets()

    assert archive.one(Recording, old).fetch is Fetch.DELETED
    assert archive.one(Recording, old).sha256  # what it was can still be proved
    assert archive.one(Recording, new).fetch is Fetch.STORED
    assert len(list(archive.store.keys())) == 1
    assert archive.one(Ticket, old).phone == LI
    assert archive.receipts() == [("audio", 1)]

    archive.ages(YEARS)
    before = archive.sums()
    assert before["registered"] == 2
    archive.forgets()

    forgotten = archive.one(Ticket, old)
    assert (forgotten.phone, forgotten.note, forgotten.nameless_at) == (None, "", archive.errands.clock.now())  # fmt: skip
    assert archive.one(Ticket, new).phone == ZHANG
    assert everything_said(archive).count(LI) == 0
    assert "我是李桂芳" not in everything_said(archive, of=old)
    assert archive.sums() == before
    assert archive.receipts()[1:] == [("audio", 1), ("text", 1)]


def everything_said(archive: Archive, of: int | None = None) -> str:
    """Every text of every table but the people's own, or the words of one request."""
    with archive.errands.db.reading() as session:
        if of is not None:
            asked = select(Transcript.text).join(Recording).where(Recording.ticket_id == of)
            return "".join(session.scalars(asked))
        tables = ("tickets", "calls", "turns", "transcripts", "return_tries", "recordings", "ledger", "ticket_rounds", "deeds", "receipts", "ledger", "carried", "spot_checks")  # fmt: skip
        return "".join(str(row) for name in tables for row in session.execute(text(f"SELECT * FROM {name}")))  # fmt: skip


@ON_BOTH
def test_a_second_night_and_one_that_was_killed_do_no_more(archive: Archive) -> None:
    archive.request(sound=b"the same")
    archive.ages(YEARS + timedelta(days=2))
    house = archive.errands
    with house.db.reading() as session:
        ids, keys = retention.audio_due(session, house.settings, house.clock.now())
    assert len(ids) == len(keys) == 1
    young = archive.request(sound=b"the same")  # said and stored after the hand has looked
    archive.forgets()
    archive.forgets()
    assert archive.receipts() == [("audio", 1)]
    with archive.store.open(archive.one(Recording, young).key) as sound:
        assert sound.read() == b"the same"


def test_a_hand_killed_between_the_sound_and_its_row_goes_on_the_next_time(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        archive.request()
    archive.ages(YEARS + timedelta(days=2))
    archive.errands.db.engine.dispose()
    delete = Store.delete

    def delete_and_die(self: Store, key: str) -> None:
        delete(self, key)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Store, "delete", delete_and_die)
    hand = get_context("fork").Process(target=archive.forgets)
    hand.start()
    hand.join(30)
    assert hand.exitcode == -signal.SIGKILL
    monkeypatch.undo()
    assert len(list(archive.store.keys())) == 2
    assert archive.receipts() == []
    archive.forgets()
    assert list(archive.store.keys()) == []
    assert archive.receipts() == [("audio", 3)]


@ON_BOTH
def test_what_is_disputed_or_not_done_is_kept(archive: Archive) -> None:
    disputed, open_ = archive.request(), archive.request(ZHANG, done=False)
    house = archive.errands
    with house.db.writing() as session:
        retention.hold(session, session.get_one(Ticket, disputed), "李桂芳说钱不对", ledger.volunteer(3), house.clock.now())  # fmt: skip
    archive.ages(3 * YEARS)
    archive.forgets()
    for kept, phone in ((disputed, LI), (open_, ZHANG)):
        assert archive.one(Ticket, kept).phone == phone
        assert archive.one(Recording, kept).fetch is Fetch.STORED

    with house.db.writing() as session:
        retention.hold(session, session.get_one(Ticket, disputed), "", ledger.volunteer(3), house.clock.now())  # fmt: skip
    archive.forgets()
    assert archive.one(Ticket, disputed).phone is None
    assert archive.one(Recording, disputed).fetch is Fetch.DELETED


@ON_BOTH
def test_the_ledger_loses_old_lines_only_and_is_still_whole(archive: Archive) -> None:
    """The setting says one day; the law says six months."""
    house = archive.errands
    settings = house.settings.model_copy(update={"keep_ledger_days": 1})
    archive.request()
    old = house.ledger_lines()
    archive.ages(timedelta(days=100))
    young = archive.request(ZHANG)
    archive.ages(timedelta(days=100))
    now = house.clock.now()
    with house.db.reading() as session:
        due = retention.plan(session, settings, now)
    assert due.ledger_lines == old
    night.forget(house.db, archive.store, settings, now)
    with house.db.reading() as session:
        assert session.scalar(select(func.min(LedgerLine.sequence))) == old + 1
        verdict = audit.verify(session)
        assert verdict.fault is None
        assert session.scalar(select(func.min(LedgerLine.at))) >= now - timedelta(days=181)
    assert house.acts(young)[:2] == ["open", "assign"]
    assert archive.receipts() == [("access_log", old)]


def test_the_worker_owes_itself_a_round_every_night(tmp_path: Path, clock: HandClock) -> None:
    house = open_errands(tmp_path, clock)
    runtime = build(settings_for(tmp_path), clock.now, DeafBell())
    hands = Hands(runtime)
    for _ in range(2):
        owe_night_round(hands)
    assert rounds(house) == [PromiseState.OPEN]
    sweep(hands, None)
    assert rounds(house) == [PromiseState.OPEN]  # by day there is nothing to do
    for night_number in (1, 2):
        clock.advance(24 * 3600)
        sweep(hands, None)
        assert rounds(house) == [PromiseState.KEPT] * night_number + [PromiseState.OPEN]
    with house.db.reading() as session:
        (due_at,) = session.scalars(select(Promise.due_at).where(Promise.state == PromiseState.OPEN, Promise.duty == Duty.NIGHT_ROUND))  # fmt: skip
        assert (due_at.hour, due_at.minute) == (2, 30)
    runtime.close()
    house.db.close()


def rounds(house: ErrandHouse) -> list[PromiseState]:
    with house.db.reading() as session:
        asked = select(Promise.state).where(Promise.duty == Duty.NIGHT_ROUND).order_by(Promise.id)
        return list(session.scalars(asked))


@pytest.fixture
def li(archive: Archive) -> int:
    """李桂芳, whose second number is her daughter's too."""
    with archive.errands.db.writing() as session:
        resident = Resident(name="李桂芳", building="3", phones=[ResidentPhone(phone=LI), ResidentPhone(phone=ZHANG)])  # fmt: skip
        session.add(resident)
        session.add(Resident(name="张敏", phones=[ResidentPhone(phone=ZHANG)]))
        session.flush()
        session.add(
            Resident(name="李桂方", merged_into_id=resident.id)
        )  # once written down wrongly
        now = archive.errands.clock.now()
        session.add(Consent(resident_id=resident.id, to=ConsentTo.RECORDING, by=ConsentBy.PHONE, given_at=now))  # fmt: skip
        session.add(ResidentNote(resident_id=resident.id, text="耳朵不好", written_at=now))
        return resident.id


@ON_BOTH
def test_a_resident_gets_everything_about_herself_and_nothing_of_others(
    archive: Archive, li: int, tmp_path: Path
) -> None:
    archive.request(sound=b"her voice", resident=li)
    archive.request()  # her own number, before anybody knew
    archive.request(ZHANG, sound=b"another's voice")
    path = tmp_path / "own.zip"
    with archive.errands.db.reading() as session:
        assert own_data.write(session, archive.store, session.get_one(Resident, li), path) == 2
    with zipfile.ZipFile(path) as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    assert "李桂芳" in parts["本人.json"].decode()
    assert len(rows(parts["求助.csv"])) == 2
    assert [row["号码"] for row in rows(parts["电话.csv"])] == [LI, LI]
    assert {row["谁"] for row in rows(parts["谁看过谁办过.csv"])} >= {"王秀兰", "caller"}
    assert [row["同意什么"] for row in rows(parts["同意过的.csv"])] == ["录音"]
    assert "耳朵不好" in parts["备注.csv"].decode()
    assert b"her voice" in parts.values()
    assert b"another's voice" not in parts.values()


def rows(part: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(part.decode("utf-8-sig"))))


@ON_BOTH
def test_a_resident_is_forgotten_and_the_figures_stay(
    archive: Archive, li: int, tmp_path: Path
) -> None:
    hers = archive.request(resident=li)
    shared = archive.request(ZHANG)
    house = archive.errands
    with house.db.writing() as session:
        other = session.get_one(Ticket, shared)
        other.note = "张敏"
        session.execute(
            update(Transcript)
            .where(Transcript.recording_id == other.recordings[0].id)
            .values(text="我是张敏")
        )
    house.does(WANG, hers, Act.REOPEN, why="她说李桂芳的证没拿到")
    house.does(WANG, hers, Act.ASK_MATERIALS, missing="李桂芳的身份证")
    house.does(WANG, hers, Act.RESUME, Act.ASK_MATERIALS, missing="李桂芳的户口本")
    house.does(WANG, hers, Act.RESUME, Act.FINISH)
    now = house.clock.now()
    with house.db.writing() as session:
        ledger.write(session, at=now, person=ledger.volunteer(3), act="find", object_kind="resident", object_id=None, why="李桂芳")  # fmt: skip
        footwork.take_along(session, session.get_one(Ticket, hers), "李桂芳的市民卡", ledger.volunteer(3), now)  # fmt: skip
        own_data.write(session, archive.store, session.get_one(Resident, li), tmp_path / "own.zip")
    with zipfile.ZipFile(tmp_path / "own.zip") as bundle:
        said = {name: bundle.read(name).decode() for name in bundle.namelist() if name.endswith(".csv")}  # fmt: skip
    assert "她说李桂芳的证没拿到" in said["谁看过谁办过.csv"]
    assert "她说李桂芳的证没拿到" in said["每一轮.csv"]
    assert "李桂芳的身份证" in said["办理经过.csv"]
    assert "李桂芳的市民卡" in said["交给我们的东西.csv"]
    archive.ages(timedelta(days=30))
    before, lines = archive.sums(), house.ledger_lines()
    now = house.clock.now()
    with house.db.reading() as session:
        _, recordings = erasure.of_resident(session, session.get_one(Resident, li))
        keys = retention.sounds_of(session, recordings)
    for key in keys:
        archive.store.delete(key)
    with house.db.writing() as session:
        erasure.erase(
            session, session.get_one(Resident, li), ledger.volunteer(3), now, "本人来说的"
        )
    assert archive.sums() == before
    assert everything_said(archive).count(LI) == 0
    assert everything_said(archive).count("李桂芳") == 0
    assert archive.one(Ticket, hers).resident_id is None
    assert archive.one(Recording, hers).fetch is Fetch.DELETED
    assert archive.one(Ticket, shared).phone == ZHANG
    assert [kind for kind, _ in archive.receipts()] == ["audio", "text", "person"]
    with house.db.reading() as session:
        assert session.scalars(select(Resident.name)).all() == ["张敏"]
        assert session.scalars(select(ResidentNote)).all() == []
        whole = audit.verify(session)
        assert whole.fault is None
        assert (whole.lines > lines, whole.erased) == (True, 2)
        assert session.scalars(select(LedgerLine.why).where(LedgerLine.act == "erase")).all() == [
            "本人来说的"
        ]


def test_what_is_not_done_is_not_erased(archive: Archive, li: int) -> None:
    archive.request(resident=li, done=False)
    with archive.errands.db.reading() as session, pytest.raises(erasure.HeldError):
        erasure.of_resident(session, session.get_one(Resident, li))


@pytest.mark.parametrize(
    ("months", "then"), [(1, "2026-09-30"), (8, "2026-02-28"), (12, "2025-10-31"), (32, "2024-02-29")]
)  # fmt: skip
def test_so_many_months_ago(months: int, then: str) -> None:
    now = datetime(2026, 10, 31, 12, tzinfo=SHANGHAI)
    assert f"{retention.months_before(now, months):%Y-%m-%d}" == then
