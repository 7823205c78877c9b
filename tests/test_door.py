"""The door: who comes in, who does not, and what stands in the ledger afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import BASE, PIN, DeskHouse, open_desk

from hotline.web import guard
from hotline.web.auth import secret_key
from hotline.web.pins import WeakPinError, set_pin
from tickets.models import Role, Volunteer


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


def test_own_name_and_pin_open_the_door(desk: DeskHouse) -> None:
    wang = desk.visit("王秀兰")
    assert "现在没有要办的事" in wang.text
    assert "您是： 王秀兰" in wang.text
    assert [line.person for line in desk.ledger("sign_in")] == [
        f"volunteer:{desk.people['王秀兰']}"
    ]
    wang.posts("/leave")
    assert "您已经退出了" in wang.text
    assert "您是哪一位" in wang.opens("/").text
    assert len(desk.ledger("sign_out")) == 1


def test_the_page_asked_for_comes_after_the_door(desk: DeskHouse) -> None:
    someone = desk.visit().opens("/done")
    assert "您是哪一位" in someone.text
    assert 'name="next" value="/done"' in someone.page.text
    assert "已经办完的" in someone.signs_in("王秀兰", next="/done").text
    for elsewhere in ("https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:x"):
        answer = desk.visit().signs_in("王秀兰", next=elsewhere).page
        assert answer.request.url == f"{BASE}/"


def test_every_mistake_at_the_door_has_its_sentence(desk: DeskHouse) -> None:
    someone = desk.visit()
    assert "请先点一下您的名字" in someone.posts("/door", pin="1").text
    assert "请把密码填上" in someone.signs_in("王秀兰", "").text
    for left in (4, 3, 2, 1):
        assert f"密码不对，请再试一次。还可以试 {left} 次" in someone.signs_in("王秀兰", "0").text
    assert "密码错了五次，先歇 10 分钟" in someone.signs_in("王秀兰", "0").text
    assert "密码错了五次" in someone.signs_in("王秀兰", PIN).text, "the right one is too late now"
    assert "您是： 陈国强" in desk.visit("陈国强").text, "nobody else is locked out"
    desk.clock.advance(601)
    assert "您是： 王秀兰" in someone.signs_in("王秀兰").text
    assert len(desk.ledger("wrong_pin")) == 4
    assert len(desk.ledger("locked_out")) == 1


def test_unknown_names_are_answered_like_wrong_pins(desk: DeskHouse) -> None:
    someone = desk.visit()
    for who in ("999", "0"):
        assert "密码不对" in someone.posts("/door", who=who, pin=PIN).text
    assert "请先点一下您的名字" in someone.posts("/door", who="'; drop", pin=PIN).text


def test_whoever_left_is_out_at_once(desk: DeskHouse) -> None:
    wang = desk.visit("王秀兰")
    with desk.runtime.db.writing() as session:
        session.get_one(Volunteer, desk.people["王秀兰"]).active = False
    assert "您是哪一位" in wang.opens("/").text
    assert "王秀兰" not in wang.text


def test_a_new_pin_ends_the_old_sessions(desk: DeskHouse) -> None:
    wang = desk.visit("王秀兰")
    with desk.runtime.db.writing() as session:
        set_pin(session.get_one(Volunteer, desk.people["王秀兰"]), "860219")
    assert "您是哪一位" in wang.opens("/").text


@pytest.mark.parametrize(
    "pin", ["", "12345", "123456", "654321", "111111", "901234", "abcdef", "１２３４５６"]
)
def test_easy_pins_are_refused(pin: str) -> None:
    with pytest.raises(WeakPinError):
        set_pin(Volunteer(name="x"), pin)


def test_only_the_demonstration_has_easy_pins() -> None:
    person = Volunteer(name="x")
    set_pin(person, "123456", demo=True)
    assert person.pin_hash
    assert "123456" not in person.pin_hash


def test_every_view_says_who_may_use_it(tmp_path: Path, clock: HandClock) -> None:
    for demo in (False, True):
        house = open_desk(tmp_path / str(demo), clock, demo=demo)
        assert guard.unmarked(house.app) == []
        house.runtime.close()


def test_a_view_without_a_mark_is_refused(desk: DeskHouse) -> None:
    desk.app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    assert guard.unmarked(desk.app) == ["forgotten"]
    assert desk.visit("管理员").opens("/forgotten").status == 403


def test_pages_of_the_committee_are_not_for_volunteers(desk: DeskHouse) -> None:
    assert desk.visit().opens("/all").page.request.path == "/door"
    for name, role in (("王秀兰", 403), ("吴队长", 403), ("李主任", 200), ("管理员", 200)):
        assert desk.visit(name).opens("/all").status == role
    assert "这一页不是给您看的" in desk.visit("王秀兰").opens("/all").text
    assert guard.may(Role.ADMIN, Role.COMMITTEE)
    assert not guard.may(Role.LEAD, Role.COMMITTEE)


def test_a_form_without_its_token_changes_nothing(desk: DeskHouse) -> None:
    ticket = desk.request()
    wang = desk.visit("王秀兰")
    wang.posts(f"/request/{ticket}", token=False, act="accept", seen="assigned", why="写好的话")
    assert wang.status == 400
    assert "这一页开得太久了" in wang.text
    assert "写好的话" in wang.text
    assert desk.ticket(ticket).state == "assigned"


def test_pages_are_closed_to_everything_foreign(desk: DeskHouse) -> None:
    headers = desk.visit().opens("/door").page.headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "microphone=()" in headers["Permissions-Policy"]


def test_the_cookie_is_secure_where_the_way_is(desk: DeskHouse) -> None:
    client = desk.app.test_client()
    for base, secure in (("https://line.test", True), ("http://192.168.1.9:8080", False)):
        cookie = client.get("/door", base_url=base).headers["Set-Cookie"]
        assert ("Secure" in cookie) is secure
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


def test_all_processes_sign_with_one_key(desk: DeskHouse) -> None:
    settings = desk.runtime.settings
    assert secret_key(settings) == secret_key(settings) == desk.app.secret_key
    assert (settings.data_folder / "secret.key").stat().st_mode & 0o077 == 0


def test_pages_that_are_not_there_say_so(desk: DeskHouse) -> None:
    assert "没有这一页" in desk.visit("王秀兰").opens("/request/99").text
    assert "没有这一页" in desk.visit().opens("/nothing").text
    assert desk.visit("王秀兰").opens("/phone").status == 403, "the telephone is an administrator's"
    assert desk.visit().opens("/twin/2010-04-01/Accounts/x/Calls.json").status == 404
