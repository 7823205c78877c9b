"""Where volunteers may sign in, and the second step of those who see everything."""

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from click.testing import CliRunner
from conftest import HandClock
from desk_house import PIN, DeskHouse, Visit, open_desk

from hotline.cli import main
from hotline.web.totp import new_secret, step
from tickets.devices import CODE_LIVES
from tickets.models import Volunteer


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


def stranger(desk: DeskHouse) -> Visit:
    """A browser that nobody enrolled."""
    return Visit(desk.app.test_client(), house=desk)


def offered(desk: DeskHouse, name: str = "吴队长") -> str:
    page = desk.visit(name).posts("/devices").text
    return page.split("新机器的八个数字")[1][:10].strip()


def test_a_strange_device_lets_no_volunteer_in_and_locks_nobody_out(desk: DeskHouse) -> None:
    thief = stranger(desk).opens("/door")
    assert "这台机器还没有登记" in thief.text
    assert "王秀兰" not in thief.text, "who is on duty is nobody's business"
    for _ in range(6):
        assert "请用值班室的手机或电脑" in thief.signs_in("王秀兰").text
    assert "您是： 王秀兰" in desk.visit("王秀兰").text
    assert desk.ledger("wrong_pin") == []


def test_a_device_is_enrolled_once_and_ended_at_once(desk: DeskHouse) -> None:
    new = stranger(desk)
    code = offered(desk)
    assert "请给这台机器起个名字" in new.posts("/door/device", code=code).text
    assert code in new.page.text, "nothing typed is lost"
    assert "这八个数字不对" in new.posts("/door/device", code="0000 0000", name="手机").text
    assert "登记好了：阿明的手机" in new.posts("/door/device", code=code, name="阿明的手机").text
    assert "您是： 王秀兰" in new.signs_in("王秀兰").text
    again = stranger(desk).posts("/door/device", code=code, name="别人的手机")
    assert "这八个数字不对" in again.text, "a code is good once"
    leader = desk.visit("吴队长").opens("/devices")
    assert "阿明的手机" in leader.text
    leader.posts("/devices/2/end")
    assert "停用了：阿明的手机" in leader.text
    assert "您是哪一位" in new.opens("/").text, "whoever is signed in there is out"
    assert [line.object_id for line in desk.ledger("end_device")] == [2]


def test_a_code_for_a_device_grows_old(desk: DeskHouse) -> None:
    code = offered(desk)
    desk.clock.advance(CODE_LIVES.total_seconds())
    assert "过了十分钟" in stranger(desk).posts("/door/device", code=code, name="手机").text


def test_volunteers_enrol_nothing(desk: DeskHouse) -> None:
    for name, status in (("王秀兰", 403), ("李主任", 200), ("吴队长", 200), ("管理员", 200)):
        assert desk.visit(name).opens("/devices").status == status


def test_an_administrator_sets_up_the_second_step_before_anything_else(desk: DeskHouse) -> None:
    with desk.runtime.db.writing() as session:
        session.get_one(Volunteer, desk.people["管理员"]).totp_secret = None
    admin = desk.visit("管理员")
    assert "进门的第二步" in admin.text
    assert "进门的第二步" in admin.opens("/all").text
    secret = admin.text.split("就照着输：")[1].split("手机上的")[0].replace(" ", "")
    assert "这六个数字不对" in admin.posts("/second", code="000000").text
    admin.posts("/second", code=pyotp.TOTP(secret).at(desk.clock.now()))
    assert "设好了" in admin.text
    assert admin.opens("/all").status == 200
    admin.posts("/leave")
    assert "再看一眼手机" in admin.posts("/door", who=str(desk.people["管理员"]), pin=PIN).text
    assert "您是哪一位" in admin.opens("/all").text, "half way in is not in"
    desk.clock.advance(30)
    admin.posts("/door/code", code=pyotp.TOTP(secret).at(desk.clock.now()))
    assert "您是： 管理员" in admin.text


def test_a_code_is_good_once_and_wrong_ones_are_counted(desk: DeskHouse) -> None:
    code = desk.code("管理员")
    for status in (200, 401):
        admin = desk.visit()
        admin.posts("/door", who=str(desk.people["管理员"]), pin=PIN)
        assert admin.posts("/door/code", code=code).status == status
    for _ in range(3):
        admin.posts("/door/code", code="12345x")
        admin.posts("/door", who=str(desk.people["管理员"]), pin=PIN)
    assert "错了五次" in admin.posts("/door/code", code="123456").text
    assert len(desk.ledger("locked_out")) == 1


def test_the_second_step_waits_five_minutes(desk: DeskHouse) -> None:
    admin = desk.visit()
    admin.posts("/door", who=str(desk.people["管理员"]), pin=PIN)
    desk.clock.advance(301)
    assert "您是哪一位" in admin.posts("/door/code", code=desk.code("管理员")).text


def test_who_has_a_second_step_may_come_from_anywhere(desk: DeskHouse) -> None:
    admin = stranger(desk)
    assert "管理员" in admin.opens("/door").text
    assert "您是： 管理员" in admin.signs_in("管理员").text


def test_telephones_clocks_may_be_half_a_minute_off(desk: DeskHouse) -> None:
    secret, now = new_secret(), desk.clock.now()
    for seconds, taken in ((-30, True), (30, True), (-90, False), (90, False)):
        made = pyotp.TOTP(secret).at(int(now.timestamp()) + seconds)
        assert (step(secret, made, now) is not None) is taken
    assert step(secret, "１２３４５６", now) is None


def test_hammering_at_the_door_is_told_to_wait(desk: DeskHouse) -> None:
    thief = stranger(desk)
    token = thief.token()
    answers = [thief.posts("/door", token=False, csrf_token=token).status for _ in range(31)]
    assert answers[-1] == 429
    assert "点得太快了" in thief.text


def test_the_first_device_and_a_lost_telephone_are_matters_of_commands(
    desk: DeskHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = desk.runtime.settings
    monkeypatch.setenv("HOTLINE_DATA_FOLDER", str(settings.data_folder))
    from hotline import migration

    desk.runtime.db.engine.dispose()
    (settings.data_folder / "hotline.db").unlink()
    migration.upgrade(desk.runtime.db)
    ran = CliRunner().invoke(main, ["door", "code"])
    assert ran.exit_code == 0
    code = ran.output[:9]
    enrolled = stranger(desk).posts("/door/device", code=code, name="值班室电脑")
    # the command's clock is the real one; the page's stands in 2026-11-23
    assert "登记好了" in enrolled.text
    assert "没有叫谁的人" in CliRunner().invoke(main, ["door", "reset", "谁"]).output
