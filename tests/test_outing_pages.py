"""On foot, as the pages ask for it: the list, the number of the outing, and what was taken along."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import DeskHouse, Visit, open_desk

from tickets import footwork


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


@pytest.fixture
def wang(desk: DeskHouse) -> Visit:
    desk.request()
    visit = desk.visit("王秀兰")
    visit.posts("/request/1", act="accept", seen="assigned")
    return visit


WENT = {"went": "volunteer", "place": "医院", "settled": "yes", "seen": "0"}


def test_what_to_bring_is_read_and_ticked(wang: Visit, desk: DeskHouse) -> None:
    wang.posts("/request/1/about", matter="medical_claim")
    assert "一次说清：医保报销" in wang.text
    assert "待社区核对" in wang.text
    shown = ["医保卡", "身份证"]
    wang.posts("/request/1/list", shown=shown, there=["医保卡", "从别处来的"])
    assert 'value="医保卡" checked' in wang.page.text
    assert "从别处来的" not in wang.page.text
    wang.posts("/request/1/list", shown=shown, there=["身份证"])
    assert 'value="医保卡" checked' not in wang.page.text
    assert "单子上还有没点的" in wang.text
    assert len(desk.ledger("tick")) == 2


def test_the_second_outing_says_why_and_is_never_blocked(wang: Visit, desk: DeskHouse) -> None:
    assert "这是第 1 次出门" in wang.opens("/request/1/outing").text
    wang.posts("/request/1/outing", **WENT)
    assert "记下来了：第 1 次出门" in wang.text
    again = wang.opens("/request/1/outing").text
    assert "这是第 2 次出门" in again
    assert "先打电话问清要带什么" in again
    second = {**WENT, "seen": "1", "other_place": "中医院药房", "taken": "医保卡"}
    assert "请点一下为什么要再跑" in wang.posts("/request/1/outing", **second).text
    assert 'value="中医院药房"' in wang.page.text, "nothing typed is lost"
    wang.posts("/request/1/outing", **second, reason="materials")
    assert "出门 2 次，超过一次了" in wang.text
    assert "去了 中医院药房 ，办成了，上次没成是因为：东西没带齐" in wang.text
    assert "还没还： 医保卡" in wang.text
    wang.posts("/request/1/carried/1/back")
    assert "王秀兰说还了" in wang.text
    assert wang.posts("/request/1/carried/7/back").status == 404


def test_an_outing_is_taken_back_within_ten_minutes(wang: Visit, desk: DeskHouse) -> None:
    wang.posts("/request/1/outing", **WENT)
    wang.posts("/request/1/outing/1/back")
    assert "跟没记过一样" in wang.text
    assert "出门 0 次" in wang.text
    wang.posts("/request/1/outing", **WENT)
    assert "撤回第 1 次" in wang.text
    desk.clock.advance(600)
    assert "撤回第 1 次" not in wang.opens("/request/1").text
    assert "过了十分钟" in wang.posts("/request/1/outing/2/back").text
    with desk.runtime.db.reading() as session:
        assert footwork.count(session, desk.ticket(1)).trips == 1


MISSING = {"went": "请先点一下是谁去的", "place": "请先点一下去了哪里", "settled": "请先点一下办成了没有"}  # fmt: skip


@pytest.mark.parametrize("field", MISSING)
def test_what_was_not_chosen_is_asked_for(wang: Visit, field: str) -> None:
    form = {name: value for name, value in WENT.items() if name != field}
    assert MISSING[field] in wang.posts("/request/1/outing", **form).text
    assert wang.status == 409


def test_a_press_that_comes_twice_is_one_outing(wang: Visit, desk: DeskHouse) -> None:
    for _ in range(2):
        wang.posts("/request/1/outing", **WENT, taken="医保卡")
        assert "记" in wang.text
        assert "第 1 次出门" in wang.text
    wang.posts("/request/1/outing", **{**WENT, "seen": ""})
    assert wang.status == 409
    with desk.runtime.db.reading() as session:
        ticket = desk.ticket(1)
        assert footwork.count(session, ticket).trips == 1
        assert len(footwork.carried_open(session, ticket)) == 1


def test_two_who_log_at_once_see_each_other(wang: Visit, desk: DeskHouse) -> None:
    wang.posts("/request/1/outing", **WENT)
    leader = desk.visit("吴队长").posts("/request/1/outing", **WENT)
    assert "现在这是第 2 次" in leader.text


def test_who_only_reads_logs_nothing(wang: Visit, desk: DeskHouse) -> None:
    reader = desk.visit("李主任")
    for path, form in (("outing", WENT), ("about", {"matter": "repair"}), ("list", {})):
        assert "没有算数" in reader.posts(f"/request/1/{path}", **form).text
    assert desk.ledger("outing") == []
