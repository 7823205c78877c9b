"""A volunteer's day in Chromium: with scripts, without them, and by keyboard alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from browsers import Looking, Served, chromium, looking, serving
from conftest import HandClock
from desk_house import PIN

from tickets.lifecycle import State

TAPS = 8  # from the door to 「办完了」 at most


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def served(tmp_path: Any, clock: HandClock) -> Iterator[Served]:
    with serving(tmp_path, clock, demo=True) as house:
        house.desk.request()
        yield house


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_from_the_door_to_done_in_eight_taps(browser: Any, served: Served, scripts: bool) -> None:
    with looking(browser, served, java_script_enabled=scripts, has_touch=True) as look:
        taps = 0

        def tap(what: str) -> None:
            nonlocal taps
            taps += 1
            served.desk.clock.advance(5)
            look.page.locator(what).first.tap()

        look.page.goto(served.url)
        tap("label:text-is('王秀兰')")
        tap("#pin")
        look.page.keyboard.type(PIN)
        tap("button:text-is('进去')")
        tap("a:has-text('办这件事')")
        tap("button:has-text('打电话')")
        assert look.page.locator("a[href^='tel:']").inner_text().split() == ["138", "1234", "1234"]
        tap("label:has-text('打通了，已经说清楚')")
        tap("button:text-is('记下来')")
        look.page.wait_for_selector("text=记下来了：打通了")
        tap("main button:text-is('办完了')")
        look.page.wait_for_selector("text=电脑会打电话告诉他")
        assert taps <= TAPS
        assert served.desk.ticket(1).state is State.DONE
        tap("button:has-text('撤回刚才的「办完了」')")
        look.page.wait_for_selector("text=撤回了，跟没点过一样")
        assert served.desk.ticket(1).state is State.IN_HAND
        assert look.complaints == []


class Keys:
    """Somebody who has no mouse: Tab, the arrows, Space and Enter."""

    def __init__(self, look: Looking) -> None:
        self.look, self.page = look, look.page

    def choose(self, words: str) -> None:
        goes_to(self.look, words, " ")

    def write(self, field: str, text: str) -> None:
        goes_to(self.look, field)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def pick(self, field: str, value: str) -> None:
        goes_to(self.look, field)
        self.page.keyboard.press("Home")
        while self.page.input_value(f"#{field}") != value:
            self.page.keyboard.press("ArrowDown")

    def press(self, words: str) -> None:
        self.look.served.desk.clock.advance(5)
        goes_to(self.look, words, "Enter")

    def listens(self) -> None:
        goes_to(self.look, "听录音")
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("button:text-is('停一停')")


class Taps:
    """Somebody with an old telephone on which no script runs."""

    def __init__(self, look: Looking) -> None:
        self.look, self.page = look, look.page

    def choose(self, words: str) -> None:
        self.page.locator(f"label:has-text('{words}')").first.tap()

    def write(self, field: str, text: str) -> None:
        self.page.fill(f"#{field}", text)

    def pick(self, field: str, value: str) -> None:
        self.page.select_option(f"#{field}", value)

    def press(self, words: str) -> None:
        self.look.served.desk.clock.advance(5)
        with self.page.expect_navigation():
            self.page.locator(f":is(a, button):has-text('{words}')").first.tap()

    def listens(self) -> None:
        """The browser's own buttons; they are no elements of ours to tap."""
        sound = self.page.locator("audio[controls]").first
        assert sound.bounding_box()["height"] >= 60
        address = self.look.served.url + sound.get_attribute("src")
        assert self.look.context.request.get(address).body()[:4] == b"RIFF"


@pytest.mark.parametrize(("hands", "scripts"), [(Keys, True), (Keys, False), (Taps, False)], ids=["keys", "keys, no scripts", "no scripts"])  # fmt: skip
def test_a_whole_day(browser: Any, served: Served, hands: type[Keys | Taps], scripts: bool) -> None:
    desk = served.desk
    with looking(browser, served, java_script_enabled=scripts, has_touch=True) as look:
        me, page = hands(look), look.page
        page.goto(served.url)
        me.choose("王秀兰")
        me.write("pin", PIN)
        me.press("进去")
        me.press("办这件事")
        if scripts or hands is Taps:
            me.listens()
            assert len(desk.ledger("listen")) == 1
        me.write("text1", "我要报销医药费")
        me.press("改好了")
        me.pick("matter", "medical_claim")
        me.press("就是这件事")
        assert desk.ticket(1).matter == "medical_claim"
        me.choose("医保卡")
        me.press("点好了")
        assert len(desk.ledger("tick")) == 1
        me.press("给李桂芳打电话")
        me.choose("打通了，还要出门办")
        me.press("记下来")
        me.press("出门记一笔")
        for said in ("我去的", "医院", "办成了"):
            me.choose(said)
        me.press("记下来")
        assert len(desk.ledger("outing")) == 1
        me.press("办完了")
        assert desk.ticket(1).state is State.DONE
        me.press("撤回刚才的「办完了」")
        assert desk.ticket(1).state is State.IN_HAND
        me.press("办完了")
        me.press("返回今天的事")
        me.press("当面来登记")
        me.write("find", "lgf")
        me.press("找")
        me.choose("李桂芳，3幢2单元501室，138****1234")
        me.write("note", "顺便问老年卡")
        me.press("登记")
        assert desk.ticket(2).note == "顺便问老年卡"
        me.press("返回今天的事")
        me.press("给下一班留句话")
        me.write("note", "李阿姨的老年卡明天去办")
        me.press("留下")
        assert len(desk.ledger("hand_over_note")) == 1
        me.press("下班，退出")
        page.wait_for_selector("text=您已经退出了")
        assert look.complaints == []


FOCUS = """() => {
    const node = document.activeElement, label = node.closest("label");
    return [node.id, (label || node).innerText.trim(), node.matches("input[type=radio]")];
}"""


def goes_to(look: Looking, words: str, key: str = "") -> None:
    """Press Tab until the focus is there, then the key; the arrows go from one choice to the next."""
    for _ in range(60):  # a page has fewer stops
        look.page.keyboard.press("Tab")
        named, said, is_choice = look.page.evaluate(FOCUS)
        for _ in range(20 if is_choice else 0):
            if said == words:
                break
            look.page.keyboard.press("ArrowDown")
            named, said, _ = look.page.evaluate(FOCUS)
        if named == words or said.startswith(words):
            if key == "Enter":
                with look.page.expect_navigation():
                    look.page.keyboard.press(key)
            elif key:
                look.page.keyboard.press(key)
            return
    raise AssertionError(f"{words} is not reached by Tab")


def test_what_is_typed_survives_leaving_and_signing_in_again(browser: Any, served: Served) -> None:
    with looking(browser, served) as look:
        look.signs_in("王秀兰")
        look.opens("/request/1")
        look.page.fill("#text1", "我要交水费和电费")
        look.page.locator("#text1").blur()
        look.page.click("text=下班，退出")
        look.signs_in("王秀兰")
        look.opens("/request/1")
        assert look.page.input_value("#text1") == "我要交水费和电费"
        look.page.click("text=改好了，记下来")
        look.page.wait_for_selector("text=机器听写的原话")
        assert look.page.evaluate("sessionStorage.length") == 0
        look.page.click("text=下班，退出")
        look.signs_in("陈国强")
        look.opens("/request/1")
        assert look.page.evaluate("sessionStorage.length") == 0
        assert look.complaints == []


def test_what_another_wrote_meanwhile_is_not_written_over(browser: Any, served: Served) -> None:
    with looking(browser, served) as look:
        look.signs_in("王秀兰")
        look.opens("/request/1")
        look.page.fill("#text1", "王的话")
        served.desk.visit("吴队长").posts(
            "/recording/1/text", text="吴的话", seen_text="我要交水费"
        )
        look.opens("/request/1")
        assert look.page.input_value("#text1") == "吴的话"
        assert "您上次写的：王的话" in look.page.inner_text("main")


def test_what_is_new_is_a_button_and_moves_nothing(browser: Any, served: Served) -> None:
    with looking(browser, served) as look:
        look.page.clock.install()
        look.signs_in("王秀兰")
        assert not look.page.is_visible("#news")
        served.desk.request(text="刚打来的")
        look.page.clock.fast_forward(61_000)
        look.page.wait_for_selector("text=有1件新的，点这里看")
        assert "还有 1 件事要办" in look.page.inner_text("main"), "nothing changes by itself"
        look.page.click("#news")
        look.page.wait_for_selector("text=还有 2 件事要办")
        assert look.complaints == []


def test_three_buttons_to_listen_with(browser: Any, served: Served) -> None:
    with looking(browser, served) as look:
        look.signs_in("王秀兰")
        look.opens("/request/1")
        sound = "document.querySelector('audio')"
        play = look.page.locator(".player button").first
        assert play.inner_text().startswith("听录音")
        play.click()
        look.page.evaluate(
            f"new Promise((heard) => {{ {sound}.ontimeupdate = () => {sound}.currentTime > 0 && heard() }})"
        )
        assert play.inner_text() == "停一停"
        look.page.click("text=放慢")
        assert look.page.evaluate(f"{sound}.playbackRate") == 0.75
        look.page.evaluate(
            f"new Promise((heard) => {{ {sound}.ended ? heard() : {sound}.onended = heard }})"
        )
        look.page.click("text=往回5秒")
        assert look.page.evaluate(f"{sound}.currentTime") == 0
        assert len(served.desk.ledger("listen")) == 1
        assert look.complaints == []


def test_paper_is_large_and_holds_no_number(browser: Any, served: Served) -> None:
    with looking(browser, served) as look:
        look.signs_in("王秀兰")
        for path, points in (("/request/1/slip", 18), ("/paper/today", 14), ("/paper/card", 28)):
            look.opens(path)
            look.page.emulate_media(media="print")
            smallest = look.page.evaluate("""() => Math.min(...[...document.querySelectorAll("main *")]
                .filter((n) => n.checkVisibility() && n.innerText?.trim()).map((n) => parseFloat(getComputedStyle(n).fontSize)))""")  # fmt: skip
            assert smallest >= points / 0.75 - 0.01, "a point is four thirds of a px"
            assert "1381234" not in look.page.content()
            assert "138****" not in look.page.inner_text("main")
        assert len(served.desk.ledger("print")) == 1
