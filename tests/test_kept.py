"""What was typed outlives the session, an old page and a wrong PIN, by plain forms alone."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import BASE, PIN, DeskHouse, Visit, open_desk

from tickets.lifecycle import State
from tickets.models import Recording, Ticket

LONG = "我要交水费，还有电费。" * 454 + "就这些了"  # 4,998 characters
FORM = re.compile(r'(?s)<form method="post" action="([^"]+)">(.*?)</form>')
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    house.request()
    yield house
    house.runtime.close()


def presses(visit: Visit, button: str, **typed: str) -> None:
    """Send the form of the page that holds this button, as a browser without scripts would."""
    action, inner = next(f for f in FORM.findall(visit.page.text) if f">{button}<" in f[1])
    fields = [(name, html.unescape(value)) for name, value in FIELD.findall(inner)]
    sent: dict[str, list[str]] = {}
    for name, value in (*fields, *typed.items()):
        sent.setdefault(name, []).append(value)
    visit.page = visit.client.post(html.unescape(action), data=sent, base_url=BASE, follow_redirects=True)  # fmt: skip


def comes_in(visit: Visit, name: str, pin: str = PIN) -> None:
    assert visit.house
    presses(visit, "进去", who=str(visit.house.people[name]), pin=pin)


def text_of(desk: DeskHouse) -> str | None:
    with desk.runtime.db.reading() as session:
        heard = session.get_one(Recording, 1).transcript
        assert heard
        return heard.corrected_text


def test_a_session_that_ended_in_the_midst_of_a_long_correction(desk: DeskHouse) -> None:
    wang = desk.visit("王秀兰")
    desk.clock.advance(13 * 3600)
    wang.client.delete_cookie("hotline", domain="line.test")  # as a browser does when it is over
    wang.posts("/recording/1/text", text=LONG, seen_text="我要交水费")
    assert wang.status == 401
    assert "您刚才写的没有丢" in wang.text
    comes_in(wang, "王秀兰", pin="000000")
    assert "密码不对" in wang.text
    comes_in(wang, "王秀兰")
    assert "您写的还在，还没有记下来" in wang.text
    assert LONG in wang.page.text
    assert text_of(desk) is None, "nothing is done that nobody has pressed"
    assert wang.page.request.full_path in {"/door?", "/door"}, "nothing of it in an address"
    presses(wang, "接着记下来")
    assert text_of(desk) == LONG
    assert "改好了，记下来了" in wang.text


def test_what_another_has_written_meanwhile_is_not_written_over(desk: DeskHouse) -> None:
    wang = desk.visit("王秀兰")
    wang.posts("/leave")
    wang.posts("/recording/1/text", text="王的话", seen_text="我要交水费")
    desk.visit("吴队长").posts("/recording/1/text", text="吴的话", seen_text="我要交水费")
    comes_in(wang, "王秀兰")
    presses(wang, "接着记下来")
    assert text_of(desk) == "吴的话"
    assert "刚才有人先改过了" in wang.text
    assert "王的话</textarea>" in wang.page.text


def test_a_page_from_before_another_sign_in_is_one_press_from_being_recorded(
    desk: DeskHouse,
) -> None:
    wang = desk.visit("王秀兰")
    wang.posts("/request/1", token=False, csrf_token="an old one", act="withdraw", seen="assigned", why="他说不用了，儿子来办")  # fmt: skip
    assert wang.status == 400
    assert "您写的还在" in wang.text
    assert "他说不用了，儿子来办" in wang.text
    assert desk.ticket(1).state is State.ASSIGNED
    presses(wang, "不用办了")
    assert desk.ticket(1).state is State.WITHDRAWN


def test_the_second_step_carries_it_too(desk: DeskHouse) -> None:
    admin = desk.visit()
    admin.posts("/case/1/again", why="他说没办好")
    comes_in(admin, "管理员")
    presses(admin, "进去", code="000000")
    assert "这六个数字不对" in admin.text
    presses(admin, "进去", code=desk.code("管理员"))
    assert "他说没办好" in admin.text


def test_a_walk_in_is_kept_and_a_number_stays_masked(desk: DeskHouse) -> None:
    wang = desk.visit()
    wang.posts("/walkin", name="张大爷，2幢", phone="13812345678", note="要办老年卡")
    comes_in(wang, "王秀兰")
    assert "138****5678" in wang.text
    assert "13812345678" not in wang.text
    presses(wang, "接着记下来")
    with desk.runtime.db.reading() as session:
        made = session.get_one(Ticket, 2)
        assert (made.phone, made.note) == ("+8613812345678", "张大爷，2幢：要办老年卡")


def test_nothing_of_a_foreign_page_is_kept_and_no_pin_ever(desk: DeskHouse) -> None:
    wang = desk.visit("王秀兰")
    wang.page = wang.client.post("/request/1", data={"why": "坏人写的"}, base_url=BASE, headers={"Sec-Fetch-Site": "cross-site"})  # fmt: skip
    assert wang.status == 400
    assert "坏人写的" not in wang.page.text
    desk.visit().posts(
        "/door", token=False, who="1", pin="204816", kept='["//evil.test",[["a","b"]]]'
    )
    strange = desk.visit()
    strange.posts(
        "/door", who=str(desk.people["王秀兰"]), pin=PIN, kept='["//evil.test",[["a","b"]]]'
    )
    assert "evil" not in strange.page.text
    strange.posts("/leave")
    strange.posts("/request/1", why="写的", pin="204816")
    assert "204816" not in strange.page.text
