"""Walk-ins, the roster and residents, as the pages ask for them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import LI, DeskHouse, open_desk
from sqlalchemy import select

from tickets import handover
from tickets.lifecycle import State
from tickets.models import Promise, Resident, ResidentPhone, Shift, Ticket, Volunteer


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


def test_who_stands_in_the_room_is_found_by_a_few_keys_and_registered(desk: DeskHouse) -> None:
    chen = desk.visit("陈国强").opens("/walkin?who=lgf")
    assert "可能是： 李桂芳 ，3幢2单元501室，138****1234" in chen.text
    assert "请写一句是什么事" in chen.posts("/walkin", resident="1", name="").text
    chen.posts("/walkin", resident="1", note="想问医保卡", matter="medical_claim")
    assert "登记好了，这件事归您办" in chen.text
    assert "一次说清：医保报销" in chen.text
    ticket = desk.ticket(1)
    assert (ticket.state, ticket.assignee_id, ticket.in_person) == (State.IN_HAND, desk.people["陈国强"], True)  # fmt: skip
    assert (ticket.phone, ticket.resident_id) == (LI, 1)
    assert [line.why for line in desk.ledger("find_resident")] == ["lgf"]


def test_a_stranger_is_registered_by_name_and_nothing_typed_is_lost(desk: DeskHouse) -> None:
    wang = desk.visit("王秀兰")
    assert "请先点一下是谁" in wang.posts("/walkin", note="修灯").text
    assert "修灯</textarea>" in wang.page.text
    wang.posts("/walkin", name="老徐，5幢", note="楼道灯<b>坏了", phone="12")
    assert "这个电话号码看不懂" in wang.text
    assert 'value="老徐，5幢"' in wang.page.text
    wang.posts("/walkin", name="老徐，5幢", note="楼道灯坏了", phone="138 0000 0002")
    assert desk.ticket(1).note == "老徐，5幢：楼道灯坏了"
    assert desk.ticket(1).phone == "+8613800000002"


def test_the_roster_says_who_is_rung_and_what_is_wrong(desk: DeskHouse) -> None:
    leader = desk.visit("吴队长").opens("/rota")
    assert "王秀兰在值班，但是没有登记电话" in leader.text
    with desk.runtime.db.writing() as session:
        session.get_one(Volunteer, desk.people["王秀兰"]).phone = "+8613800000009"
    assert "现在打进来会找谁？ 王秀兰 。" in leader.opens("/rota").text
    assert "13800000009" not in leader.page.text
    assert "11月24日（星期二）08:30–11:30没人值班" in leader.text
    gap = {"starts": "2026-11-24T08:30:00+08:00", "ends": "2026-11-24T11:30:00+08:00"}
    assert "请先选一个人" in leader.posts("/rota/gap", **gap).text
    leader.posts("/rota/gap", **gap, who=str(desk.people["陈国强"]))
    assert "排好了：11月24日（星期二）08:30–11:30，陈国强" in leader.text
    assert "11月24日（星期二）08:30–11:30没人值班" not in leader.text
    again = leader.posts("/rota/gap", **gap, who=str(desk.people["王秀兰"]))
    assert "刚才有人排过了" in again.text
    assert desk.visit("王秀兰").posts("/rota/gap", **gap).status == 403


def test_a_note_waits_for_the_next_shift(desk: DeskHouse) -> None:
    wang = desk.visit("王秀兰")
    assert "还没有写字" in wang.posts("/handover", note=" ").text
    assert "下一班一进来就看到" in wang.posts("/handover", note="老张的药在抽屉里").text
    assert "不是您的班" in desk.visit("陈国强").posts("/handover", note="x").text
    desk.request()
    now = desk.clock.now() + timedelta(minutes=1)
    with desk.runtime.db.writing() as session:
        shift = session.get_one(Shift, 1)
        shift.ends_at = now
        session.add(Shift(starts_at=now, ends_at=now + timedelta(hours=8), volunteer_id=desk.people["陈国强"]))  # fmt: skip
        session.flush()
        (owed,) = handover.owe(session, now)
        handover.keep(session, session.get_one(Promise, owed), now)
    chen = desk.visit("陈国强")
    assert "上一班留的话 老张的药在抽屉里" in chen.text
    assert "听听转来的1件" in chen.text
    chen.opens("/handover/1")
    assert '<audio controls preload="none" src="/recording/1"' in chen.page.text
    assert wang.opens("/handover/1").status == 404
    chen.posts("/handover/1/heard")
    assert "老张的药" not in chen.text
    assert wang.posts("/handover/1/heard").status == 404


def test_a_whole_number_is_shown_to_whoever_says_what_for(desk: DeskHouse) -> None:
    reader = desk.visit("李主任").opens("/residents?who=1234")
    assert "李桂芳 ，3幢2单元501室" in reader.text
    assert "13812341234" not in reader.page.text
    assert "请写一句为什么" in reader.posts("/residents/1/number", phone_id="1").text
    assert desk.ledger("see_number") == []
    reader.posts("/residents/1/number", phone_id="1", why="核对地址")
    assert "138 1234 1234" in reader.text
    assert [line.why for line in desk.ledger("see_number")] == ["核对地址"]
    assert "138 1234 1234" not in reader.opens("/residents/1").text
    assert desk.visit("王秀兰").opens("/residents").status == 403


def test_residents_are_added_changed_and_made_one(desk: DeskHouse) -> None:
    reader = desk.visit("李主任")
    assert "姓名不能空着" in reader.posts("/residents", name="", building="3").text
    reader.posts("/residents", name="李桂芳", building="3", unit="2", room="501", phone="8234 5678", dialect="金华话")  # fmt: skip
    assert "登记好了：李桂芳" in reader.text
    assert "可能是同一个人" in reader.text
    reader.posts("/residents/2", name="李桂芬", building="3", unit="2", room="502", dialect="普通话", slow="yes")  # fmt: skip
    assert "李桂芬 ，3幢2单元502室" in reader.text
    assert "看不懂" in reader.posts("/residents/2", do="attach", phone="12345").text
    reader.posts("/residents/2", do="attach", phone="13800000003")
    assert "138****0003" in reader.text
    reader.posts("/residents/1", do="merge", twin="2")
    assert "并成一个人了" in reader.text
    with desk.runtime.db.reading() as session:
        assert session.get_one(Resident, 2).merged_into_id == 1
        assert len(session.scalars(select(ResidentPhone).where(ResidentPhone.resident_id == 1)).all()) == 3  # fmt: skip
        assert session.scalar(select(Ticket.id)) is None
