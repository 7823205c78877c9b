"""`hotline asr report`: what people corrected, counted."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import HandClock
from desk_house import DeskHouse, open_desk
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from asr import errors
from hotline import accuracy, cli, clock, migration
from hotline.db import Database
from tickets.models import LedgerLine


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("水费", "水费", 0),
        ("水费", "水肥", 1),
        ("交水费", "水费", 1),
        ("", "水费", 2),
        ("我要交水费", "", 5),
    ],
)
def test_characters_are_counted(said: str, heard: str, wrong: int) -> None:
    assert errors.distance(said, heard) == wrong


@pytest.mark.parametrize(
    ("said", "words", "pairs"),
    [
        ("我要交水费。", ["我", "要", "交", "水肥"], [("水费", "水肥")]),
        ("我要交水费", ["我要", "焦", "水费"], [("交", "焦")]),
        ("老年优待证", ["老年", "有", "带", "正"], [("优待证", "有带正")]),
        ("我要取药", ["我", "要", "去", "取药"], [("", "去")]),
        ("我要取药", ["我", "取药"], [("要", "")]),
        ("报销", ["[unk]", "报", "小"], [("销", "小")]),
        ("报销", ["报销"], []),
        ("", ["报销"], [("", "报销")]),
        ("化粪池满了", ["花", "粪池", "慢", "了"], [("化", "花"), ("满", "慢")]),
        ("医保卡", ["一包卡"], [("医保卡", "一包卡")]),
    ],
)
def test_whole_words_are_named(said: str, words: list[str], pairs: list[tuple[str, str]]) -> None:
    assert list(errors.mistaken(said, words)) == pairs


@given(st.text("水电费肥交焦我要", max_size=12), st.lists(st.text("水电费肥交焦我要", min_size=1, max_size=3), max_size=6))  # fmt: skip
def test_what_is_right_is_never_named_and_everything_wrong_is(said: str, words: list[str]) -> None:
    pairs = list(errors.mistaken(said, words))
    assert all(one != other for one, other in pairs)
    assert bool(pairs) == (said != "".join(words))


def corrects(desk: DeskHouse, machine: str, person: str, matter: str = "", **more: object) -> None:
    ticket = desk.request(text=machine, **more)
    wang = desk.visit("王秀兰")
    # every request here has one recording, of the same number
    wang.posts(f"/recording/{ticket}/text", text=person, seen_text=machine)
    if matter:
        wang.posts(f"/request/{ticket}/about", matter=matter)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A month in which somebody corrected."""
    hand = HandClock()
    hand.set(clock.now().replace(day=1, hour=9, minute=10))
    db = Database(f"sqlite:///{tmp_path / 'hotline.db'}")
    migration.upgrade(db)
    db.close()
    desk = open_desk(tmp_path, hand)
    corrects(desk, "我要交水肥", "我要交水费。", "utility_bills")
    corrects(desk, "我要交水肥", "我要交水费", "utility_bills")
    corrects(desk, "看病的钱怎么报销", "看病的钱怎么报销", "medicine")
    corrects(desk, "今天天气蛮好的", "今天天气蛮好的", "other")
    corrects(desk, "打错", "试一试", "repair", test=True)  # a rehearsal is no figure
    desk.runtime.close()
    return tmp_path


def test_the_report_is_read_by_anybody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    said = CliRunner().invoke(cli.main, ["asr", "report"], env={"HOTLINE_DATA_FOLDER": str(folder)})
    assert said.exit_code == 0, said.output
    month = f"{clock.now():%Y-%m}"
    assert f"{month}  demo-cn：4 段，说了 25 个字，错 2 个，错字率 8.0%" in said.output
    assert "水费 → " in said.output
    assert "　2 次" in said.output
    assert (
        "选定 4 件，一猜就中 2 件（50.0%），后面几个里有 0 件，没猜 1 件，猜错 1 件" in said.output
    )
    assert "试一试" not in said.output
    db = Database(f"sqlite:///{folder / 'hotline.db'}")
    with db.reading() as session:
        assert (
            session.scalars(select(LedgerLine.act).order_by(LedgerLine.sequence.desc())).first()
            == "asr_report"
        )
    db.close()


def test_a_house_that_has_corrected_nothing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(cli.main, ["asr", "report"])
    assert "还没有人改过听写" in said.output
    assert "还没有人选定过" in said.output
    assert list(accuracy.lines(accuracy.Report()))
