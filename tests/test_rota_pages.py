"""The roster changed by hand: what it would do is shown first, and every change has its way back."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import DeskHouse, Visit, open_desk
from sqlalchemy import select

from tickets.models import Shift


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    day = clock.now().replace(hour=8, minute=30) + timedelta(days=1)
    with house.runtime.db.writing() as session:
        for number, (name, second) in enumerate((("王秀兰", "陈国强"), ("陈国强", ""))):
            session.add(
                Shift(
                    starts_at=day + timedelta(days=number), ends_at=day + timedelta(days=number, hours=3),
                    volunteer_id=house.people[name], substitute_id=house.people.get(second),
                )
            )  # fmt: skip
    yield house
    house.runtime.close()


def sure(visit: Visit) -> Visit:
    """Press the button under what a change would do."""
    form = dict(re.findall(r'type="hidden" name="(?!csrf)(\w+)" value="([^"]*)"', visit.page.text))
    return visit.posts(visit.page.request.path, **form, sure="yes")


def on_duty(desk: DeskHouse) -> list[int]:
    with desk.runtime.db.reading() as session:
        return list(session.scalars(select(Shift.volunteer_id).order_by(Shift.starts_at)))


def test_two_shifts_change_hands_and_back(desk: DeskHouse) -> None:
    wang, chen = desk.people["王秀兰"], desk.people["陈国强"]
    leader = desk.visit("吴队长").opens("/rota/shift/2")
    assert "陈国强，11月25日（星期三）08:30–11:30" in leader.text
    assert "请先选一个人，或者选一班" in leader.posts("/rota/shift/2", do="swap").text
    leader.posts("/rota/shift/2", do="swap", other="3")
    assert "这一班陈国强来，11月25日（星期三）08:30–11:30王秀兰来" in leader.text
    assert "没有空班，也没有排重，行的" in leader.text
    assert on_duty(desk) == [wang, wang, chen]
    sure(leader)
    assert on_duty(desk) == [wang, chen, wang]
    assert "刚才换错了，换回来" in leader.text
    sure(leader.posts("/rota/shift/2", do="swap", other="3"))
    assert on_duty(desk) == [wang, wang, chen]
    assert len(desk.ledger("swap_shift")) == 4


def test_who_cannot_come_is_replaced_or_the_gap_is_shown(desk: DeskHouse) -> None:
    leader = desk.visit("吴队长")
    leader.posts("/rota/shift/2", do="absent")
    assert "王秀兰来不了，陈国强来顶班" in leader.text
    assert "王秀兰 ：2 班变成 1 班" in leader.text
    assert "陈国强 ：1 班变成 2 班" in leader.text
    sure(leader)
    assert "刚才换错了，还给王秀兰" in leader.text
    sure(leader.posts("/rota/shift/2", who=str(desk.people["王秀兰"]), second="", why="换一换"))
    assert "换好了：王秀兰" in leader.text
    assert [line.why for line in desk.ledger("assign_shift")] == ["", "换一换"]
    leader.posts("/rota/shift/3", do="remove")
    assert "11月25日（星期三）08:30–11:30还没有人值班，请补上" in leader.text
    sure(leader)
    assert "11月25日（星期三）08:30–11:30没人值班" in leader.text
    assert "13812341234" not in desk.visit("王秀兰").opens("/rota/board").page.text


def test_what_cannot_be_is_said_before_anything_is_done(desk: DeskHouse) -> None:
    chen = str(desk.people["陈国强"])
    with desk.runtime.db.writing() as session:
        row = session.get_one(Shift, 2)
        session.add(Shift(starts_at=row.starts_at, ends_at=row.ends_at, volunteer_id=int(chen)))
    leader = desk.visit("吴队长")
    assert "已经有班了" in leader.posts("/rota/shift/2", who=chen).text
    assert "不能这样改" in leader.posts("/rota/shift/1", do="swap", other="3").text
    slow = desk.visit("吴队长").posts("/rota/shift/3", do="remove")
    sure(leader.posts("/rota/shift/3", who=str(desk.people["王秀兰"])))
    assert "刚才有人排过了" in sure(slow).text
    assert len(on_duty(desk)) == 4
    assert desk.visit("王秀兰").posts("/rota/shift/2", do="absent").status == 403


def test_a_month_is_shared_out_and_taken_back(desk: DeskHouse) -> None:
    leader = desk.visit("吴队长").opens("/rota/plan?month=2026-12")
    assert "只补空着的 62 班" in leader.text
    assert re.search(r"王秀兰 ：31 班，夜班 0，休息日 \d+，替补 31", leader.text)
    (seal,) = re.findall(r'name="seal" value="(\w+)"', leader.page.text)
    assert len(on_duty(desk)) == 3
    leader.posts("/rota/plan?month=2026-12", seal="x")
    assert "结果和您看到的不一样了" in leader.text
    leader.posts("/rota/plan?month=2026-12", seal=seal)
    assert "12月排好了 62 班" in leader.text
    assert len(on_duty(desk)) == 65
    (ids,) = re.findall(r'name="back" value="([\d ]+)"', leader.page.text)
    assert "不用再排" in leader.opens("/rota/plan?month=2026-12").text
    leader.posts("/rota/plan?month=2026-12", back=ids)
    assert "撤掉了 62 班" in leader.text
    assert len(on_duty(desk)) == 3
    assert [line.facts["shifts"] for line in desk.ledger("generate_roster")] == [62]


def test_who_cannot_come_on_a_day_has_no_shift_that_day(desk: DeskHouse) -> None:
    chen = str(desk.people["陈国强"])
    leader = desk.visit("吴队长")
    plan = "/rota/plan?month=2026-12"
    assert (
        "请写成 2026-12-03 这样"
        in leader.posts("/rota/off?month=2026-12", who=chen, day="三号").text
    )
    assert "请先选一个人" in leader.posts("/rota/off?month=2026-12", day="2026-12-03").text
    leader.posts("/rota/off?month=2026-12", who=chen, day="2026-12-03")
    assert "陈国强12月3日来不了，记下了" in leader.text
    day = r"12月3日（星期四）(?:08:30–11:30|14:00–17:00) ：(\S+)"
    assert set(re.findall(day, leader.opens(plan).text)) == {"王秀兰"}
    leader.posts("/rota/off?month=2026-12", who=chen, day="2026-12-03", can="yes")
    assert "能来了" in leader.text
    assert [len(desk.ledger(act)) for act in ("day_off", "no_day_off")] == [1, 1]
