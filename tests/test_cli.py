"""The commands, as an installer types them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result
from processes import alive, end, family, until
from sqlalchemy import select
from test_household import free_port

from hotline import cli
from hotline.config import table
from hotline.db import Database
from tickets.models import LedgerLine, Shift, Volunteer

Run = Callable[..., Result]
A_LINE = {
    "HOTLINE_LINE_NUMBER": "+8657982000000",
    "HOTLINE_COMMITTEE_PHONE": "+8657982000001",
    "HOTLINE_CARRIER_ACCOUNT": "AC" + "0" * 32,
    "HOTLINE_CARRIER_TOKEN": "a token",
}


@pytest.fixture
def hotline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Types one command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def typed(*words: str, answers: str = "", **environment: str) -> Result:
        return CliRunner().invoke(cli.main, words, input=answers, env=environment)

    return typed


@pytest.fixture
def three_volunteers(hotline: Run) -> None:
    for name in ("甲", "乙", "丙"):
        assert hotline("people", "add", name, answers="250817\n250817\n").exit_code == 0


def opened(folder: Path) -> Database:
    return Database(f"sqlite:///{folder / 'data' / 'hotline.db'}")


def test_a_line_without_its_settings_names_them_all_and_starts_nothing(
    hotline: Run, tmp_path: Path
) -> None:
    said = hotline("serve")

    assert said.exit_code == 2
    for name in A_LINE:
        assert name in said.stderr
    assert not list(tmp_path.iterdir())


def test_every_wrong_setting_is_named_at_once(hotline: Run) -> None:
    said = hotline("config", HOTLINE_HANDS="many", HOTLINE_LISTEN="nowhere", HOTLINE_HNADS="1")

    assert said.exit_code == 2
    for name in ("HOTLINE_HANDS", "HOTLINE_LISTEN", "HOTLINE_HNADS"):
        assert name in said.stderr


def test_the_settings_are_printed_with_their_secrets_starred(hotline: Run) -> None:
    said = hotline("config", HOTLINE_CARRIER_TOKEN="hush", HOTLINE_HANDS="3")

    assert "hush" not in said.output
    assert "HOTLINE_CARRIER_TOKEN=***" in said.output
    assert "HOTLINE_HANDS=3" in said.output
    assert all(name in said.output for name, _, _ in table())


def test_a_volunteer_chooses_to_be_rung(hotline: Run, tmp_path: Path) -> None:
    for name, phone in (("王秀兰", "0579-82345678"), ("陈国庆", "")):
        hotline("people", "add", name, "--phone", phone, answers="250817\n250817\n")
    assert hotline("rings", "王秀兰", "yes").output == "王秀兰：有新的事打电话告诉。\n"
    assert "没有登记电话" in hotline("rings", "陈国庆", "yes").output
    assert "没有一位叫张三的人" in hotline("rings", "张三", "no").output
    db = opened(tmp_path)
    with db.reading() as session:
        rung = session.execute(select(Volunteer.name, Volunteer.ring_me)).all()
        assert {tuple(row) for row in rung} == {("王秀兰", True), ("陈国庆", None)}
    db.close()


def test_a_person_is_added_with_a_pin_typed_twice(hotline: Run, tmp_path: Path) -> None:
    said = hotline(
        "people", "add", "王秀兰", "--role", "lead", "--phone", "0579-82345678",
        answers="250817\n250817\n",
    )  # fmt: skip

    assert said.exit_code == 0, said.output
    assert "250817" not in said.output
    db = opened(tmp_path)
    with db.reading() as session:
        (person,) = session.scalars(select(Volunteer))
        assert (person.name, person.role, person.phone) == ("王秀兰", "lead", "+8657982345678")
        assert person.pin_hash
        assert "250817" not in person.pin_hash
        assert session.scalars(select(LedgerLine.act)).all() == ["seed", "add_person"]
    db.close()
    assert "0579-****5678" in hotline("people", "list").output


@pytest.mark.parametrize("pin", ["12345", "111111", "123456", "abcdef"])
def test_a_pin_that_is_easy_to_guess_is_refused(hotline: Run, pin: str) -> None:
    said = hotline("people", "add", "王秀兰", answers=f"{pin}\n{pin}\n")

    assert said.exit_code == 1
    assert "密码" in said.stderr
    assert hotline("people", "list").output == ""


def test_nobody_is_added_twice_or_with_an_unreadable_number(hotline: Run) -> None:
    assert hotline("people", "add", "甲", answers="250817\n250817\n").exit_code == 0
    assert "已经有" in hotline("people", "add", "甲", answers="250817\n250817\n").stderr
    unreadable = hotline("people", "add", "乙", "--phone", "12345", answers="250817\n250817\n")
    assert "看不懂" in unreadable.stderr


@pytest.mark.usefixtures("three_volunteers")
def test_the_roster_goes_round_and_is_never_doubled(hotline: Run, tmp_path: Path) -> None:
    first = hotline("roster", "fill", "--from", "2026-11-23", "--days", "2")
    again = hotline("roster", "fill", "--from", "2026-11-23", "--days", "3")

    assert "4 班" in first.output
    assert "2 班" in again.output
    db = opened(tmp_path)
    with db.reading() as session:
        shifts = session.scalars(select(Shift).order_by(Shift.starts_at)).all()
        assert "".join(shift.volunteer.name for shift in shifts) == "甲乙丙甲乙丙"
        # whoever is free that day stands in
        standing_in = [shift.substitute.name for shift in shifts if shift.substitute]
        assert "".join(standing_in) == "丙丙乙乙甲甲"
    db.close()
    shown = hotline("roster", "show", "--from", "2026-11-23", "--days", "1").output
    assert shown.splitlines() == [
        "2026-11-23 08:30–11:30  甲（替补 丙）",
        "2026-11-23 14:00–17:00  乙（替补 丙）",
    ]


@pytest.mark.usefixtures("three_volunteers")
def test_rest_days_may_be_left_out(hotline: Run) -> None:
    said = hotline("roster", "fill", "--from", "2026-11-27", "--days", "3", "--workdays")

    assert "2 班" in said.output  # Friday only


def test_a_roster_needs_somebody(hotline: Run) -> None:
    assert "还没有志愿者" in hotline("roster", "fill").stderr


def test_old_tables_are_never_touched_by_surprise(hotline: Run, tmp_path: Path) -> None:
    db = opened(tmp_path)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE calls (id INTEGER)")
    db.close()

    said = hotline("people", "list")

    assert said.exit_code == 2
    assert "hotline db upgrade" in said.stderr


def test_the_tables_are_brought_up_to_date_twice_without_harm(hotline: Run) -> None:
    assert hotline("db", "upgrade").exit_code == 0
    assert hotline("db", "upgrade").exit_code == 0


def test_a_call_is_rehearsed_to_its_goodbye(hotline: Run) -> None:
    said = hotline("rehearse", answers="\n我要交水费\n\n")

    assert said.exit_code == 0
    assert "听到嘀一声，请说" in said.output
    assert "〔keep〕" in said.output
    assert said.output.rstrip().endswith("（通话结束）")


def test_a_return_call_is_rehearsed_and_hung_up(hotline: Run) -> None:
    said = hotline("rehearse", "return", "--event", "done", answers="1\nh\n")

    assert "已经办好了" in said.output
    assert "〔heard〕" in said.output
    assert said.output.rstrip().endswith("（通话结束）")


def test_the_fallback_document_stands_by_itself(hotline: Run) -> None:
    said = hotline("fallback", **A_LINE, HOTLINE_PUBLIC_URL="https://line.example.org")

    assert said.output.startswith("<?xml")
    assert "对不起" in said.output
    assert "line.example.org" not in said.output  # the machine it would ask is the one that is off


def test_a_real_house_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    lines = A_LINE | {"HOTLINE_PUBLIC_URL": url, "HOTLINE_LISTEN": f"127.0.0.1:{port}"}
    (tmp_path / "hotline.env").write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
    with (tmp_path / "log").open("w") as log:
        house = subprocess.Popen(
            [sys.executable, "-m", "hotline.cli", "serve"], cwd=tmp_path, stdout=log, stderr=log, text=True,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip

    def serves() -> bool:
        assert house.poll() is None, (tmp_path / "log").read_text()
        try:
            return requests.get(f"{url}/ivr/fallback", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    until(serves, why="it serves")
    assert "hotline model install" in (tmp_path / "log").read_text()  # no official model is there
    members = list(family(house.pid))
    second = subprocess.run(
        [sys.executable, "-m", "hotline.cli", "serve"], cwd=tmp_path, capture_output=True, text=True
    )
    assert second.returncode == 2
    assert "已经有一条热线" in second.stderr
    # the telephone in the browser is an administrator's
    assert "/door" in requests.get(f"{url}/phone", timeout=5, allow_redirects=False).headers["Location"]  # fmt: skip

    assert end(house, signal.SIGTERM) == 0
    assert not [pid for pid in members if alive(pid)]


def test_a_house_keeps_its_folder_to_itself(hotline: Run, tmp_path: Path) -> None:
    assert hotline("people", "list").exit_code == 0

    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
