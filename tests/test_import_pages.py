"""Excel by the page: looked at first, then taken whole, and it is the very file that was looked at."""

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from conftest import HandClock
from desk_house import LI, DeskHouse, Visit, open_desk
from duty_house import xlsx
from sqlalchemy import select

from tickets import waiting_sheets
from tickets.models import Resident, Shift, Volunteer
from tickets.waiting_sheets import WaitingSheet

ZHANG: list[list[object]] = [
    ["姓名", "幢", "单元", "室", "电话"],
    ["张德明", 3, 2, 502, "13800000002"],
]


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


def sends(visit: Visit, what: str, content: bytes) -> Visit:
    return visit.posts(f"/import/{what}", sheet=(io.BytesIO(content), "表.xlsx"))


def takes(visit: Visit) -> Visit:
    """Press the button of the page that tells the fates."""
    form = dict(re.findall(r'name="(sha256|seal)" value="(\w+)"', visit.page.text))
    return visit.posts(visit.page.request.path, **form)


def residents(desk: DeskHouse) -> list[str]:
    with desk.runtime.db.reading() as session:
        return list(session.scalars(select(Resident.name).order_by(Resident.id)))


def test_residents_come_in_after_a_look(desk: DeskHouse) -> None:
    reader = sends(desk.visit("李主任"), "residents", xlsx([*ZHANG, ["李桂芳", 3, 2, 501, ""]]))
    assert "居民：新1行，不变1行，改0行，不行0行" in reader.text
    assert "第2行 张德明" in reader.text
    assert "13800000002" not in reader.page.text
    assert residents(desk) == ["李桂芳"]
    assert "居民都收下了" in takes(reader).text
    assert residents(desk) == ["李桂芳", "张德明"]
    with desk.runtime.db.reading() as session:
        assert session.scalar(select(WaitingSheet)) is None
    reader.posts("/import/residents/1", sha256="", seal="")
    assert "已经收下了" in reader.text


def test_one_wrong_row_keeps_all_of_it_out(desk: DeskHouse) -> None:
    reader = sends(desk.visit("李主任"), "residents", xlsx([*ZHANG, ["", 3, 2, 501, "=1+1"]]))
    assert "有 1 行不行，一行都不会收" in reader.text
    assert "第3行 （没写姓名）" in reader.text
    assert "看好了" not in reader.text
    with desk.runtime.db.reading() as session:
        sheet = session.get_one(WaitingSheet, 1)
        assert sheet.sha256
    takes_anyway = reader.posts("/import/residents/1", sha256=sheet.sha256, seal="x")
    assert takes_anyway.status == 409
    assert residents(desk) == ["李桂芳"]


def test_what_changed_since_the_look_is_told_before_anything_is_taken(desk: DeskHouse) -> None:
    slow, quick = (sends(desk.visit("李主任"), "residents", xlsx(ZHANG)) for _ in range(2))
    takes(quick)
    takes(slow)
    assert "结果和您看到的不一样了" in slow.text
    assert "没有什么要收的" in slow.text
    assert residents(desk) == ["李桂芳", "张德明"]


def test_the_look_shows_what_was_told_and_reads_no_file_again(desk: DeskHouse) -> None:
    reader = sends(desk.visit("李主任"), "residents", xlsx(ZHANG))
    told = reader.text
    with desk.runtime.db.writing() as session:
        session.get_one(WaitingSheet, 1).content = b"no sheet any more"
    assert reader.opens("/import/residents/1").text == told
    assert "张德明" in told


def test_a_file_is_its_own_and_waits_a_day(desk: DeskHouse) -> None:
    reader = sends(desk.visit("李主任"), "residents", xlsx(ZHANG))
    assert "放了一天以上" in desk.visit("管理员").opens("/import/residents/1").text
    assert desk.visit("李主任").opens("/import/roster/1").status == 409
    desk.clock.advance(86_400)
    assert "放了一天以上" in takes(reader).text
    with desk.runtime.db.writing() as session:
        assert waiting_sheets.forget_old(session, desk.clock.now()) == 1


def with_macro() -> bytes:
    file = io.BytesIO(xlsx(ZHANG))
    with zipfile.ZipFile(file, "a") as book:
        book.writestr("xl/vbaProject.bin", b"x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,phone", "这不是xlsx文件"),
        (b"", "这不是xlsx文件"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 600, "老的xls文件，或者加了密码"),
        (with_macro(), "文件里有宏"),
        (xlsx([["啥", "都", "没有"]]), "找不到表头"),
    ],
    ids=["csv", "empty", "xls", "macro", "no heading"],
)
def test_what_is_no_sheet_is_one_plain_sentence(desk: DeskHouse, content: bytes, said: str) -> None:
    reader = sends(desk.visit("李主任"), "residents", content)
    assert (reader.status, said in reader.text) == (409, True)
    assert "还没有选文件" in reader.posts("/import/residents").text


def test_a_month_is_planned_in_excel(desk: DeskHouse) -> None:
    leader = desk.visit("吴队长").opens("/import/roster/empty.xlsx?month=2026-12")
    book = openpyxl.load_workbook(io.BytesIO(leader.page.data))
    sheet: Any = book.active
    for row, name in ((2, "陈国强"), (3, "王秀兰")):
        sheet.cell(row, 4).value = name
    file = io.BytesIO()
    book.save(file)
    sends(leader, "roster", file.getvalue())
    assert "12月1日（星期二）08:30–11:30 ：陈国强" in leader.text
    assert "排班都收下了" in takes(leader).text
    with desk.runtime.db.reading() as session:
        assert len(session.scalars(select(Shift)).all()) == 3
    assert len(desk.ledger("add_shift")) == 2


def test_new_volunteers_get_a_pin_that_opens_the_door(desk: DeskHouse) -> None:
    admin = sends(desk.visit("管理员"), "volunteers", xlsx([["姓名", "电话", "身份"], ["何彩凤", "13800000004", "组长"]]))  # fmt: skip
    takes(admin)
    assert "只出现这一次" in admin.text
    pin = "".join(re.findall(r"(\d{3}) (\d{3})", admin.text)[0])
    with desk.runtime.db.reading() as session:
        person = session.scalars(select(Volunteer).where(Volunteer.name == "何彩凤")).one()
    desk.people["何彩凤"] = person.id
    assert "现在值班" in desk.visit().signs_in("何彩凤", pin).opens("/").text
    assert desk.visit("李主任").opens("/import/volunteers").status == 403


def test_whole_numbers_leave_with_a_reason_and_an_administrator(desk: DeskHouse) -> None:
    def cells(visit: Visit) -> str:
        book = openpyxl.load_workbook(io.BytesIO(visit.page.data))
        return str([cell for row in book.worksheets[0].values for cell in row])

    reader = desk.visit("李主任")
    assert "138****1234" in cells(reader.opens("/import/residents/all.xlsx"))
    assert reader.posts("/import/residents/all.xlsx", why="x").status == 403
    admin = desk.visit("管理员")
    assert "请写一句做什么用" in admin.posts("/import/residents/all.xlsx", why=" ").text
    assert LI[3:] in cells(admin.posts("/import/residents/all.xlsx", why="社区换系统"))
    assert [line.why for line in desk.ledger("export_residents")] == ["", "社区换系统"]
    assert "13800000009" not in cells(admin.opens("/import/volunteers/all.xlsx"))


def test_volunteers_join_change_and_leave(desk: DeskHouse) -> None:
    admin = desk.visit("管理员")
    assert "请写姓名" in admin.posts("/volunteers", name="").text
    assert "已经有一位" in admin.posts("/volunteers", name="王秀兰").text
    assert "看不懂" in admin.posts("/volunteers", name="何彩凤", phone="12").text
    admin.posts("/volunteers", name="何彩凤", phone="13800000004", role="lead")
    pin = "".join(re.findall(r"(\d{3}) (\d{3})", admin.text)[0])
    desk.people["何彩凤"] = he = 6
    visit = desk.visit().signs_in("何彩凤", pin).opens("/")
    assert "您是： 何彩凤" in visit.text
    page = f"/volunteers/{he}"
    admin.posts(page, role="volunteer", rings="yes")
    assert "何彩凤 ，志愿者" in admin.text
    assert "没有登记电话" in admin.posts(f"/volunteers/{desk.people['王秀兰']}", rings="yes").text
    admin.posts(page, do="pin")
    assert "您是哪一位" in visit.opens("/").text
    admin.posts(page, do="feed")
    (address,) = re.findall(r"https://line\.test(/roster/\S+\.ics)", admin.page.text)
    assert b"BEGIN:VCALENDAR" in visit.opens(address).page.data
    admin.posts(page, do="renew")
    assert visit.opens(address).status == 404
    admin.posts(page, do="end")
    assert "何彩凤不再参加了" in admin.text
    assert "又来了" in admin.posts(page, do="back").text
    acts = ("add_person", "change_person", "ring_me", "new_pin", "renew_feed")
    assert [len(desk.ledger(act)) for act in acts] == [1, 3, 1, 1, 2]


def test_the_last_administrator_and_who_has_shifts_stay(desk: DeskHouse) -> None:
    admin = desk.visit("管理员")
    me = f"/volunteers/{desk.people['管理员']}"
    assert "最后一位管理员" in admin.posts(me, do="end").text
    assert "最后一位管理员" in admin.posts(me, role="volunteer").text
    with desk.runtime.db.writing() as session:
        day = desk.clock.now() + timedelta(days=1)
        session.add(
            Shift(
                starts_at=day, ends_at=day + timedelta(hours=3), volunteer_id=desk.people["陈国强"]
            )
        )
    assert "后面还有 1 班" in admin.posts(f"/volunteers/{desk.people['陈国强']}", do="end").text
