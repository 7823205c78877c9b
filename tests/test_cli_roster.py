"""Sixteen volunteers, a month and the residents, as a committee types them in."""

from pathlib import Path

import pytest
from duty_house import xlsx
from sqlalchemy import select
from test_cli import Run, hotline, opened

from tickets.models import LedgerLine, Resident, Shift, Volunteer

__all__ = ["hotline"]  # the fixture

NAMES = [
    "王秀兰",
    "陈国庆",
    "李爱华",
    "周建国",
    "吴美华",
    "单爱国",
    "仇大伟",
    "曾桂香",
    "徐根土",
    "何彩凤",
    "金水根",
    "方玉仙",
    "叶春花",
    "胡德明",
    "楼小英",
]


@pytest.fixture
def sixteen(hotline: Run, tmp_path: Path) -> None:
    rows: list[list[object]] = [["第二平安小区值班名单"], ["姓 名", "手机号", "身份"]]
    rows += [[name, 13900000000 + n, None] for n, name in enumerate(NAMES)] + [["郑国强", 13900000099, "值班组长"]]  # fmt: skip
    (tmp_path / "people.xlsx").write_bytes(xlsx(rows, merged=["A1:C1"]))
    tried = hotline("people", "import", "people.xlsx")
    assert "新16行，不变0行，改0行，不行0行" in tried.output
    assert "还没有改" in tried.output
    assert hotline("people", "list").output == ""
    done = hotline("people", "import", "people.xlsx", "--apply")
    assert done.exit_code == 0, done.output
    assert all(f"{name}  " in done.output.partition("抄给本人")[2] for name in NAMES)
    assert "13900000000" not in done.output


@pytest.mark.usefixtures("sixteen")
def test_a_month_is_shared_out_shown_first_and_then_written(hotline: Run, tmp_path: Path) -> None:
    assert "记下了 2 天" in hotline("roster", "off", "王秀兰", "2099-12-01", "2099-12-02").output

    tried = hotline("roster", "generate", "2099-12")
    assert "这是试排" in tried.output
    assert "没有排班" in hotline("roster", "show", "--from", "2099-12-01").output
    done = hotline("roster", "generate", "2099-12", "--apply")
    assert "排好了 62 班。" in done.output
    assert tried.output.splitlines()[:62] == done.output.splitlines()[:62]
    assert not [line for line in done.output.splitlines()[:4] if "王秀兰" in line]
    assert "没有空班" in hotline("roster", "gaps", "--from", "2099-12-01").output

    assert hotline("roster", "export", "2099-12", "out.xlsx").exit_code == 0
    assert "已经在了" in hotline("roster", "export", "2099-12", "out.xlsx").stderr
    again = hotline("roster", "import", "out.xlsx", "--apply")
    assert "不变62行" in again.output
    db = opened(tmp_path)
    with db.reading() as session:
        assert len(session.scalars(select(Shift)).all()) == 62
        acts = session.scalars(select(LedgerLine.act)).all()
        assert acts[-3:] == ["day_off", "generate_roster", "import_roster"]
    db.close()


@pytest.mark.usefixtures("sixteen")
def test_a_shift_is_given_away_and_its_new_owner_falls_ill(hotline: Run) -> None:
    hotline("roster", "fill", "--from", "2099-12-01", "--days", "2")
    first = hotline("roster", "show", "--from", "2099-12-01", "--days", "1").output
    giver = first.split()[2].partition("（")[0]

    given = hotline("roster", "swap", "2099-12-01 08:30", "楼小英")
    assert "2099-12-01 08:30–11:30  楼小英" in given.output
    assert "本来就是" in hotline("roster", "swap", "2099-12-01 08:30", "楼小英").stderr
    assert "没有叫甲的人" in hotline("roster", "swap", "2099-12-01 08:30", "甲").stderr
    assert "开始的有0班" in hotline("roster", "swap", "2099-12-01 08:45", giver).stderr
    assert "后面还有" in hotline("people", "change", "楼小英", "--stop").stderr
    ill = hotline("roster", "absent", "2099-12-01 08:30", "楼小英", "--why", "发烧")
    assert "来顶" in ill.output
    assert "改好了" in hotline("people", "change", "楼小英", "--stop").output

    assert "已经不值班" in hotline("roster", "swap", "2099-12-02 08:30", "楼小英").stderr
    assert "楼小英" not in hotline("roster", "show", "--from", "2099-12-01", "--days", "2").output

    assert "记下了" in hotline("roster", "day", "2099-12-05", "work", "--name", "补班").output
    feed = hotline("roster", "feed", giver).output
    assert feed == hotline("roster", "feed", giver).output
    assert feed != hotline("roster", "feed", giver, "--renew").output


def test_residents_come_in_all_or_none_and_are_found(hotline: Run, tmp_path: Path) -> None:
    head: list[object] = ["姓名", "幢", "单元", "室", "电话"]
    good: list[object] = ["李桂芳", 3, 2, 501, "13800001234"]
    (tmp_path / "bad.xlsx").write_bytes(xlsx([head, good, ["张德明", 3, 2, 502, "12345"]]))
    (tmp_path / "good.xlsx").write_bytes(xlsx([head, good]))

    refused = hotline("residents", "import", "bad.xlsx", "--apply")
    assert refused.exit_code == 1
    assert "第3行  不行  张德明：电话看不懂（有5位数字），请查一查。" in refused.output
    assert "没有找到" in hotline("residents", "find", "lgf").output
    assert "都改好了" in hotline("residents", "import", "good.xlsx", "--apply").output
    assert hotline("residents", "find", "lgf").output == "李桂芳  3幢2单元501室  138****1234\n"

    assert "写明做什么用" in hotline("residents", "export", "all.xlsx", "--whole").stderr
    assert "只有管理员" in hotline("residents", "export", "all.xlsx", "--whole", "--why", "搬家").stderr  # fmt: skip
    assert not (tmp_path / "all.xlsx").exists()
    assert hotline("people", "add", "管理员", "--role", "admin", answers="250817\n250817\n").exit_code == 0  # fmt: skip
    assert hotline("residents", "export", "all.xlsx", "--whole", "--why", "搬家", "--as", "管理员").exit_code == 0  # fmt: skip
    assert "不变1行" in hotline("residents", "import", "all.xlsx").output
    for kind in ("residents", "people"):
        assert hotline(kind, "template", f"{kind}.xlsx").exit_code == 0
    assert "打不开" in hotline("residents", "import", "nowhere.xlsx").stderr
    db = opened(tmp_path)
    with db.reading() as session:
        assert len(session.scalars(select(Resident)).all()) == 1
        assert len(session.scalars(select(Volunteer)).all()) == 1
    db.close()
