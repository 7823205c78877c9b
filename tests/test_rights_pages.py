"""What a resident may ask for, and a month that nobody can change any more."""

import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import DeskHouse, open_desk
from sqlalchemy import select, text

from hotline.clock import SHANGHAI
from tickets import ledger, service
from tickets.lifecycle import Act
from tickets.models import Recording, Resident, Ticket
from worker.jobs import Hands
from worker.sweep import sweep


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


def test_somebody_gets_all_that_is_known_of_them(desk: DeskHouse) -> None:
    desk.request()
    admin = desk.visit("管理员").opens("/residents/1/own")
    assert "谁来要的，怎么认出是本人的" in admin.posts("/residents/1/own", do="give").text
    assert desk.ledger("own_data") == []
    admin.posts("/residents/1/own", do="give", why="本人来要，看了身份证")
    names = zipfile.ZipFile(io.BytesIO(admin.page.data)).namelist()
    admin.page.close()
    assert {"本人.json", "求助.csv", "录音/1.wav"} <= set(names)
    assert [line.why for line in desk.ledger("own_data")] == ["本人来要，看了身份证"]
    assert desk.visit("李主任").opens("/residents/1/own").status == 403


def test_somebody_is_forgotten_after_a_second_look(desk: DeskHouse) -> None:
    ticket_id = desk.request()
    admin = desk.visit("管理员")
    admin.posts("/residents/1/own", do="look", why="本人来要")
    assert "还没办完" in admin.text
    with desk.runtime.db.writing() as session:
        service.act(session, session.get_one(Ticket, ticket_id), Act.WITHDRAW, ledger.SYSTEM, desk.clock.now(), why="本人说不用了")  # fmt: skip
    admin.posts("/residents/1/own", do="look", why="本人来要")
    assert "1 段录音，1 件求助里的字" in admin.text
    admin.posts("/residents/1/own", do="erase", why="本人来要", name="李桂")
    assert "写的姓名不对，什么也没有删" in admin.text
    assert "1 段录音" in admin.text
    with desk.runtime.db.reading() as session:
        assert session.get(Resident, 1)
    admin.posts("/residents/1/own", do="erase", why="本人来要", name="李桂芳")
    assert "删好了" in admin.text
    with desk.runtime.db.reading() as session:
        assert session.get(Resident, 1) is None
        assert session.get_one(Ticket, ticket_id).phone is None
        assert session.scalar(select(Recording.key)) is None
    assert list(desk.runtime.store.keys()) == []
    assert [line.why for line in desk.ledger("erase")] == ["本人来要"]
    assert admin.posts("/residents/1/own", do="erase", why="x", name="李桂芳").status == 404


def test_a_month_that_is_over_is_sealed_once(desk: DeskHouse) -> None:
    desk.request()
    reader = desk.visit("李主任")
    assert "还没有过完" in reader.posts("/audit/seal?month=2026-11").text
    assert reader.opens("/audit/sealed/2026-11.zip").status == 404
    desk.clock.set(datetime(2026, 12, 1, 9, tzinfo=SHANGHAI))
    reader = desk.visit("李主任").posts("/audit/seal?month=2026-11").posts("/audit/seal?month=2026-11")  # fmt: skip
    assert "正在封存" in reader.text
    sweep(Hands(desk.runtime), None)
    assert "以后怎么改都还是这一份" in reader.posts("/audit/seal?month=2026-11").text
    assert len(desk.ledger("seal")) == 1, "whoever asks again meanwhile or later gets the same"
    assert desk.ledger("seal")[0].person == f"volunteer:{desk.people['李主任']}"
    sealed = desk.ledger("seal")[0].facts["sha256"]
    assert sealed in reader.text
    reader.opens("/audit/sealed/2026-11.zip")
    assert "manifest.json" in zipfile.ZipFile(io.BytesIO(reader.page.data)).namelist()
    assert [line.facts["month"] for line in desk.ledger("give_bundle")] == ["2026-11"]


def test_a_broken_ledger_is_named_and_not_sealed(desk: DeskHouse) -> None:
    desk.request()
    with desk.runtime.db.engine.begin() as connection:
        names = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'"
        for (trigger,) in connection.execute(text(names)).all():
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text("UPDATE ledger SET why = 'x' WHERE sequence = 2"))
    desk.clock.set(datetime(2026, 12, 1, 9, tzinfo=SHANGHAI))
    reader = desk.visit("李主任").posts("/audit/seal?month=2026-11")
    sweep(Hands(desk.runtime), None)
    reader.opens("/audit?month=2026-11")
    assert "没有封成。台账不对，不封存。第 2 行被改过" in reader.text
    reader.posts("/audit/verify")
    sweep(Hands(desk.runtime), None)
    assert "台账有问题：第 2 行被改过" in reader.opens("/audit").text
    assert desk.ledger("seal") == []
