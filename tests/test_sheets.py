"""Excel files as people make them: each row is told what becomes of it, and nothing is half done."""

import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from conftest import ON_BOTH, DeafBell, HandClock, settings_for
from duty_house import DutyHouse, at, xlsx
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from hotline.runtime import build
from hotline.schema import metadata
from tickets import (
    cells,
    confidence,
    directory,
    ledger,
    resident_sheet,
    residents,
    roster_sheet,
    sheets,
    shifts,
    volunteer_sheet,
)
from tickets.dossier import ConsentBy, ConsentTo
from tickets.imports import Fate, NotAllError, Told, UnreadableSheetError, WrongCellError
from tickets.models import Dialect, LedgerLine, Resident, Role, Shift, Volunteer
from tickets.residents import Particulars

LI, ZHANG = "+8613800001234", "+8657988885678"
HEAD: list[object] = ["姓名", "幢", "单元", "室", "电话", "方言", "慢一点"]


@pytest.fixture
def here(clock: HandClock, tmp_path: Path, database_url: str) -> Iterator[DutyHouse]:
    runtime = build(settings_for(tmp_path, database_url=database_url), clock.now, DeafBell())
    metadata.create_all(runtime.db.engine)
    yield DutyHouse(runtime, clock)
    runtime.close()


def told(here: DutyHouse, content: bytes) -> Told:
    with here.reading() as session:
        return resident_sheet.plan(session, here.runtime.settings, content, here.now).told


def taken(here: DutyHouse, content: bytes) -> Told:
    with here.writing() as session:
        return resident_sheet.apply(session, here.runtime.settings, content, ledger.SYSTEM, here.now)  # fmt: skip


def everything(here: DutyHouse) -> tuple[int, ...]:
    """How much there is of everything an import could touch."""
    with here.reading() as session:
        return tuple(session.scalar(select(func.count()).select_from(table)) or 0 for table in (Resident, Volunteer, Shift, LedgerLine))  # fmt: skip


def refusals(said: Told) -> dict[int, str]:
    return {each.number: each.sentence for each in said.fates if each.fate is Fate.REFUSED}


# --- residents


@ON_BOTH
def test_a_first_file_a_second_time_and_a_changed_one(here: DutyHouse) -> None:
    rows: list[list[object]] = [
        HEAD,
        ["李桂芳", 3, 2, 501, 13800001234, "金华话", "是"],
        ["张德明", "３幢", "2单元", "502室", "138 0000 1234、0579-8888 5678", None, None],
        [None] * 7,
        ["单爱国", 11, 1, "0101", None, "", ""],
    ]
    first = told(here, xlsx(rows))
    assert [each.fate for each in first.fates] == [Fate.NEW] * 3
    assert first.fates[1].sentence == "138****1234和第2行李桂芳的一样"
    assert first.summary == "新3行，不变0行，改0行，不行0行"
    assert everything(here) == (0, 0, 0, 0)

    taken(here, xlsx(rows))
    with here.reading() as session:
        (li,) = directory.find(session, "lgf")
        assert (li.building, li.unit, li.room, li.dialect, li.slow) == ("3", "2", "501", Dialect.JINHUA, True)  # fmt: skip
        (zhang,) = directory.find(session, "zdm")
        assert {row.phone for row in zhang.phones} == {LI, ZHANG}
        assert directory.find(session, "sag")[0].room == "101"

    before = everything(here)
    again = taken(here, xlsx(rows))
    assert [each.fate for each in again.fates] == [Fate.SAME] * 3
    assert again.fates[1].sentence.startswith("138****1234也是李桂芳的电话")
    assert everything(here) == (*before[:3], before[3] + 1)  # that somebody read a file in

    rows[1] = ["李桂芳", 3, 2, 501, "13900001111", "普通话", None]  # an empty cell leaves it so
    rows[4] = ["单爱国", 12, 1, 101, None, None, None]  # another door, no number: another person
    changed = taken(here, xlsx(rows))
    assert [each.fate for each in changed.fates] == [Fate.CHANGED, Fate.SAME, Fate.NEW]
    assert changed.fates[0].sentence == "方言：金华话→普通话，加电话139****1111"
    with here.reading() as session:
        (li,) = directory.find(session, "lgf")
        assert ([row.phone for row in li.phones], li.slow) == ([LI, "+8613900001111"], True)
        assert len(directory.find(session, "sag")) == 2


def test_one_bad_row_and_nothing_is_taken(here: DutyHouse) -> None:
    content = xlsx([HEAD, ["李桂芳", 3, 2, 501, 13800001234], ["张德明", 3, 2, 502, 12345]])
    assert refusals(told(here, content)) == {3: "电话看不懂（有5位数字），请查一查。"}
    with pytest.raises(NotAllError):
        taken(here, content)
    assert everything(here) == (0, 0, 0, 0)


def test_every_bad_row_is_told_why_in_plain_words(here: DutyHouse) -> None:
    content = xlsx(
        [
            ["第二平安小区住户", None, None, None, None, None, None],
            ["姓 名*", "幢", "单元", "室", "联系电话（手机）", "方言", "慢一点"],
            ["李桂芳", 3, 2, 501, "138****1234", None, None],
            ["张德明", 3, 2, 502, "1.38E+10", None, None],
            ["", 3, 2, 502, "13800001234", None, None],
            ["陈阿珍", "=1+2", 2, 101, None, None, None],
            ["徐根土", 1, 3, "五楼", None, None, None],
            ["何彩凤", 9, 1, 201, None, "上海话", None],
            ["金水根", 9, 1, 202, None, None, "也许"],
            ["方玉仙", 9, 1, 203, "110", None, None],
            ["楼小英", 9, 1, 204, None, None, None],
            ["楼小英", 9, 1, 204, None, None, None],
            ["叶春花", 9, 1, 205, None, None, None],
            ["叶春香", None, 1, 205, None, None, None],
        ],
        merged=["A1:G1", "B13:B14"],
    )
    assert refusals(told(here, content)) == {
        3: "电话是打了星号的，请写完整的号码，或者把这一格留空。",
        4: "电话变成了科学计数，请把这一栏设成「文本」，重新写号码。",
        5: "没写姓名。",
        6: "B6是公式，请复制后「粘贴为数值」。",
        7: "室「五楼」看不懂，只写数字就行。",
        8: "方言写着「上海话」，只能是普通话或金华话。",
        9: "「也许」不知道是「是」还是「否」。",
        10: "电话看不懂（有3位数字），请查一查。",
        12: "和第11行是同一个人，请只留一行。",
        13: "第13到14行有合并的格子，请取消合并，每一行都写上。",
        14: "第13到14行有合并的格子，请取消合并，每一行都写上。",
    }


def test_two_of_one_name_are_told_apart_or_asked_about(here: DutyHouse) -> None:
    with here.writing() as session:
        for room, phone in (("101", LI), ("102", ZHANG)):
            residents.add(session, Particulars("李桂芳", "3", "2", room, phones=(phone,)), ledger.SYSTEM, here.now)  # fmt: skip
    said = told(here, xlsx([HEAD, ["李桂芳"]]))
    assert refusals(said) == {2: "叫李桂芳的有2位（3幢2单元101室和3幢2单元102室），写上幢、单元、室和电话才分得清。"}  # fmt: skip
    by_door = told(here, xlsx([HEAD, ["李桂芳", 3, 2, 101, None, "金华话"]]))
    assert by_door.fates[0].fate is Fate.CHANGED
    moved = told(here, xlsx([HEAD, ["李桂芳", 5, 1, 301, "0579-88885678"]]))
    assert moved.fates[0].sentence == "幢：3→5，单元：2→1，室：102→301"


def test_an_address_in_one_cell_a_consent_and_a_note_in_confidence(here: DutyHouse) -> None:
    committee = here.people("李主任", role=Role.COMMITTEE)[0]
    head: list[object] = ["姓名", "住址", "同意日期", "怎么同意的", "备注", "生肖"]
    content = xlsx([head, ["李桂芳", "3幢2单元501室", 46330, "签字", "耳朵不好", "鼠"], ["张德明", "3-2-502", "2026年11月1日", None, None, None]])  # fmt: skip
    said = taken(here, content)
    assert said.remarks == ["「生肖」这一栏不认识，没有读。"]
    with here.writing() as session:
        (li,) = directory.find(session, "3-2-501")
        consent = confidence.consents(session, li)[ConsentTo.RECORDS]
        assert (consent.by, consent.given_at) == (ConsentBy.PAPER, at("11-04 00:00"))
        (note,) = confidence.read_notes(session, li, ledger.volunteer(committee), here.now)
        assert note.text == "耳朵不好"
    assert [each.fate for each in told(here, content).fates] == [Fate.SAME, Fate.SAME]
    late = told(here, xlsx([["姓名", "同意日期"], ["何彩凤", "2026-12-24"]]))
    assert refusals(late) == {2: "同意登记日期还没到。"}


def test_out_and_in_again_nothing_changes_and_numbers_are_masked(here: DutyHouse) -> None:
    admin, wang = here.people("管理员", role=Role.ADMIN)[0], here.people("王秀兰")[0]
    with here.writing() as session:
        li = residents.add(session, Particulars("=HYPERLINK(1)", "3", "2", "501", Dialect.JINHUA, slow=True, phones=(LI, ZHANG)), ledger.SYSTEM, here.now)  # fmt: skip
        confidence.agree(session, li, ConsentTo.RECORDS, ConsentBy.FAMILY, ledger.SYSTEM, here.now)
        with pytest.raises(residents.ReasonMissingError):
            resident_sheet.export(session, ledger.volunteer(admin), here.now, whole=True)
        for by in (ledger.volunteer(wang), ledger.SYSTEM):
            with pytest.raises(resident_sheet.OnlyAdminsError):
                resident_sheet.export(session, by, here.now, whole=True, why="搬家")
        masked = resident_sheet.export(session, ledger.volunteer(wang), here.now)
        whole = resident_sheet.export(session, ledger.volunteer(admin), here.now, whole=True, why="换电脑")  # fmt: skip
    assert [each.value for each in openpyxl.load_workbook(io.BytesIO(masked)).active[2]] == ["=HYPERLINK(1)", "3", "2", "501", "138****1234、0579-****5678", "金华话", "是", "2026-11-23", "家人"]  # fmt: skip
    assert openpyxl.load_workbook(io.BytesIO(masked)).active["A2"].data_type == "s"
    assert refusals(told(here, masked)) == {2: "电话是打了星号的，请写完整的号码，或者把这一格留空。"}  # fmt: skip
    assert [each.fate for each in told(here, whole).fates] == [Fate.SAME]
    with here.reading() as session:
        lines = session.scalars(select(LedgerLine).where(LedgerLine.act == "export_residents")).all()  # fmt: skip
        assert [(line.facts["whole"], line.why) for line in lines] == [(False, ""), (True, "换电脑")]  # fmt: skip


# --- whole files


def test_the_empty_files_can_be_read_back(here: DutyHouse) -> None:
    assert [each.fate for each in told(here, resident_sheet.template()).fates] == [Fate.NEW]
    with here.reading() as session:
        settings = here.runtime.settings
        people = volunteer_sheet.plan(session, settings, volunteer_sheet.template(), here.now).told
        assert [each.fate for each in people.fates] == [Fate.NEW]
        empty = roster_sheet.template(session, settings, date(2026, 12, 1), 31)
        month = roster_sheet.plan(session, settings, empty, here.now).told
        assert [(each.fate, each.sentence) for each in month.fates] == [(Fate.SAME, "没写谁值班，不动")] * 62  # fmt: skip


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "这不是xlsx文件。请在Excel里另存为xlsx。"),
        (b"PK\x03\x04 half a file", "这不是xlsx文件。请在Excel里另存为xlsx。"),
        ("姓名,电话\n李桂芳,13800001234".encode(), "这不是xlsx文件。请在Excel里另存为xlsx。"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "这是老的xls文件，或者加了密码。请另存为不带密码的xlsx。"),
        (bytes(sheets.MAX_BYTES + 1), "文件有5兆，太大了，最多5兆。"),
        (xlsx([["姓 铭", "电话"], ["李桂芳", 1]]), "少了「姓名」这一栏。表里写的是「姓铭」，是不是「姓名」？请改好再来。"),
        (xlsx([["甲", "乙"], ["李桂芳", 1]]), "前10行里找不到表头。表头里要有：姓名。可以先下载空表，照着填。"),
        (xlsx([["姓名", "名字"], ["李桂芳", 1]]), "「姓名」有两栏，请只留一栏。"),
        (xlsx([["姓名"], *([["李桂芳"]] * 5000)]), "表格有5001行，一次最多5000行。请删掉后面的空行，或者分成几个文件。"),
    ],
    ids=["empty", "torn", "csv", "xls", "large", "near miss", "no heading", "twice", "long"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_what_to_do(here: DutyHouse, content: bytes, sentence: str) -> None:  # fmt: skip
    with pytest.raises(UnreadableSheetError) as refused:
        told(here, content)
    assert refused.value.sentence == sentence


def test_a_file_that_unpacks_to_far_too_much_is_not_unpacked(here: DutyHouse) -> None:
    file = io.BytesIO(xlsx([["姓名"]]))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/media/bomb.bin", bytes(sheets.MAX_UNPACKED_BYTES + 1))
    with pytest.raises(UnreadableSheetError) as refused:
        told(here, file.getvalue())
    assert "展开来太大" in refused.value.sentence


def test_a_torn_worksheet_is_said_to_be_torn(here: DutyHouse) -> None:
    whole, torn = zipfile.ZipFile(io.BytesIO(xlsx([["姓名"]]))), io.BytesIO()
    with zipfile.ZipFile(torn, "w") as packed:
        for part in whole.namelist():
            packed.writestr(part, whole.read(part)[: 100 if "sheet1" in part else None])
    with pytest.raises(UnreadableSheetError) as refused:
        told(here, torn.getvalue())
    assert refused.value.sentence == "这个文件坏了，打不开。请在Excel里另存一份再试。"


# --- cells


def or_said(read: Callable[[], object]) -> object:
    """What is read, or the sentence that refuses it."""
    try:
        return read()
    except WrongCellError as error:
        return error.sentence


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (datetime(2026, 12, 1), "2026-12-01"), (date(2026, 12, 1), "2026-12-01"), ("2026-12-1", "2026-12-01"), ("2026/12/01", "2026-12-01"),  # noqa: DTZ001
        ("2026年12月1日", "2026-12-01"), ("20261201", "2026-12-01"), ("12月1日", "2026-12-01"), ("12.1", "2026-12-01"), ("1月3号", "2027-01-03"),
        (46357, "2026-12-01"), (46357.0, "2026-12-01"), ("2026-12-01 00:00:00", "2026-12-01"),
        ("2026-02-30", "「2026-02-30」没有这一天。"), ("明天", "「明天」看不出是哪一天，请写成 2026-12-01 这样。"), (None, "「」看不出是哪一天，请写成 2026-12-01 这样。"),
    ],
)  # fmt: skip
def test_days_as_people_write_them(written: object, read: str) -> None:
    assert str(or_said(lambda: cells.day(written, date(2026, 11, 24)))) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [("08:30-11:30", "08:30 11:30"), ("8：30—11：30", "08:30 11:30"), ("8点半到11点", "08:30 11:00"), ("14:00～17:00", "14:00 17:00"), ("20:00-次日8:00", "20:00 08:00"),
     ("16:00-24:00", "16:00 23:59"), ("8:00-8:00", ""), ("25:00-26:00", ""), ("上午", ""), ("", "")],
)  # fmt: skip
def test_hours_as_people_write_them(written: str, read: str) -> None:
    try:
        assert " ".join(f"{each:%H:%M}" for each in cells.hours(written)) == read
    except WrongCellError:
        assert read == ""


@given(st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.booleans(), st.none()))
@settings(max_examples=400, deadline=None)
def test_whatever_stands_in_a_cell_is_read_or_refused_with_a_sentence(value: object) -> None:
    text = "" if value is None else str(value)
    for read in (
        lambda: cells.day(value, date(2026, 11, 24)),
        lambda: cells.hours(value),
        lambda: cells.phones(text, country="CN", area="579"),
        lambda: cells.yes(text),
        lambda: cells.door(text),
        lambda: (cells.door_part(text, "幢"),),
    ):
        assert or_said(read) != ""


# --- volunteers and the roster


def test_sixteen_volunteers_come_in_one_file_and_keep_what_is_left_empty(here: DutyHouse) -> None:
    here.people("郑国强", role=Role.LEAD)
    head: list[object] = ["姓名", "手机", "身份"]
    content = xlsx([head, ["郑国强", 13900000001, None], *([f"志愿者{n}", 13900000010 + n, "志愿者"] for n in range(15))])  # fmt: skip
    with here.writing() as session:
        said, new = volunteer_sheet.apply(session, here.runtime.settings, content, ledger.SYSTEM, here.now)  # fmt: skip
        assert len(new) == 15
        assert said.fates[0].sentence == "电话：空→139****0001"
    with here.reading() as session:
        lead = session.scalars(select(Volunteer).where(Volunteer.name == "郑国强")).one()
        assert (lead.role, lead.phone) == (Role.LEAD, "+8613900000001")
        wrong = volunteer_sheet.plan(session, here.runtime.settings, xlsx([head, ["甲", "1", ""], ["乙", None, "班长"], ["丙", "13900000001 13900000002", None]]), here.now).told  # fmt: skip
    assert refusals(wrong) == {
        2: "电话看不懂（有1位数字），请查一查。",
        3: "身份写着「班长」，只能是志愿者、值班组长、居委会、管理员。",
        4: "志愿者只写一个电话。",
    }


ROSTER: list[object] = ["日期", "星期", "时间", "值班", "替补"]


@ON_BOTH
def test_a_roster_comes_in_goes_out_and_comes_in_again_unchanged(here: DutyHouse) -> None:
    wang, chen = here.people("王秀兰", "陈国庆")
    settings = here.runtime.settings
    here.shift("12-01 08:30", "12-01 11:30", chen)
    with here.writing() as session:
        rows: list[list[object]] = [
            ROSTER,
            ["2026-12-01", "二", "08:30-11:30", "王秀兰", "陈国庆"],
            [46357, "星期二", "下午", " 陈国庆", None],
            ["12月2日", None, "20:00-次日8:00", "王秀兰", None],
            ["12月3日", None, "上午", None, None],
        ]
        shifts.day_off(session, session.get_one(Volunteer, wang), date(2026, 12, 2), ledger.SYSTEM, here.now)  # fmt: skip
        said = roster_sheet.apply(session, settings, xlsx(rows), ledger.SYSTEM, here.now)
    assert [(each.fate, each.sentence) for each in said.fates] == [
        (Fate.CHANGED, "陈国庆→王秀兰（替补陈国庆）"),
        (Fate.NEW, "陈国庆"),
        (Fate.NEW, "王秀兰；王秀兰说过那天来不了，请再问一声"),
        (Fate.SAME, "没写谁值班，不动"),
    ]
    with here.reading() as session:
        stands = [(row.starts_at, row.ends_at, row.volunteer_id, row.substitute_id) for row in session.scalars(select(Shift).order_by(Shift.starts_at))]  # fmt: skip
        assert stands == [
            (at("12-01 08:30"), at("12-01 11:30"), wang, chen),
            (at("12-01 14:00"), at("12-01 17:00"), chen, None),
            (at("12-02 20:00"), at("12-03 08:00"), wang, None),
        ]
        out = roster_sheet.export(session, date(2026, 12, 1), 31)
        again = roster_sheet.plan(session, settings, out, here.now).told
        assert [each.fate for each in again.fates] == [Fate.SAME] * 3


def test_every_bad_row_of_a_roster_is_told_and_nothing_is_taken(here: DutyHouse) -> None:
    wang, _ = here.people("王秀兰", "陈国庆")
    here.shift("12-05 08:00", "12-05 10:00", wang)
    here.shift("11-20 08:30", "11-20 11:30", wang)
    content = xlsx(
        [
            ROSTER,
            ["2026-12-01", "一", "08:30-11:30", "王秀兰", None],
            ["2026-12-01", None, "08:30-11:30", "王秀蓝", None],
            ["2026-12-01", None, "08:30-11:30", "李大钊", None],
            ["2026-12-01", None, None, "王秀兰", None],
            ["2026-12-02", None, "08:30-11:30", "王秀兰", "王秀兰"],
            ["2026-12-03", None, "08:30-11:30", "王秀兰", None],
            ["2026-12-03", None, "11:00-12:00", "陈国庆", None],
            ["2026-12-05", None, "08:30-11:30", "陈国庆", None],
            ["2026-11-20", None, "08:30-11:30", "陈国庆", None],
            ["2026-11-20", None, "14:00-17:00", "陈国庆", None],
            ["腊月初八", None, "14:00-17:00", "陈国庆", None],
            ["2026-12-06", None, "晚上", "陈国庆", None],
        ]
    )
    before = everything(here)
    with here.writing() as session:
        said = roster_sheet.plan(session, here.runtime.settings, content, here.now).told
        with pytest.raises(NotAllError):
            roster_sheet.apply(session, here.runtime.settings, content, ledger.SYSTEM, here.now)
    assert refusals(said) == {
        2: "12-01是星期二，不是星期一。",
        3: "没有叫「王秀蓝」的志愿者，是不是「王秀兰」？",
        4: "没有叫「李大钊」的志愿者？",
        5: "这一天不止一班，请写上几点到几点。",
        6: "值班和替补是同一个人。",
        8: "和第7行的时间重叠。",
        9: "和已经排好的12月5日（星期六）08:00–10:00王秀兰重叠。",
        10: "这一班已经开始或者过去了，不能再从表里改。",
        11: "这一班已经开始或者过去了，不能再从表里改。",
        12: "「腊月初八」看不出是哪一天，请写成 2026-12-01 这样。",
        13: "晚上是几点到几点？请写成 08:30-11:30 这样。",
    }
    assert everything(here) == before
