"""The telephone in the browser, in a real browser, against the real house: one request, round and back.

The resident rings, presses nothing, speaks, hangs up; the volunteer finishes it; the resident is
called back through the carrier's twin and presses 1.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import HandClock
from desk_house import LI, PIN, DeskHouse, open_desk
from playwright.sync_api import Page, sync_playwright
from sounds import pcm16, voice, wav
from werkzeug.serving import make_server

from hotline.web.handset import WITHHELD
from ivr.carrier import CarrierError
from tickets import promises
from tickets.lifecycle import State
from tickets.models import Volunteer
from worker.jobs import Hands

TOKEN = "a token"
SECONDS = 20_000  # playwright counts in thousandths
ACCOUNT = "AC" + "0" * 32


@dataclass
class Served:
    """The demonstration's house behind a real socket."""

    desk: DeskHouse
    url: str

    def keeps_promises(self) -> None:
        """What the worker would do now."""
        hands, runtime = Hands(self.desk.runtime), self.desk.runtime
        for _ in range(4):
            with runtime.db.reading() as session:
                due = promises.due(session, self.desk.clock.now())
            for promise_id in due:
                hands.keep(promise_id)


@pytest.fixture
def served(tmp_path: Path, clock: HandClock) -> Iterator[Served]:
    server = make_server("127.0.0.1", 0, lambda _, __: [], threaded=True)
    url = f"http://127.0.0.1:{server.port}"
    desk = open_desk(tmp_path, clock, demo=True, public_url=url, carrier_api_url=f"{url}/twin")
    server.app = desk.app
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Served(desk, url)
    server.shutdown()
    thread.join()
    server.server_close()
    desk.runtime.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def phone(chromium: Any, served: Served) -> Iterator[Page]:
    """The page of the telephone; it may complain of nothing."""
    context = chromium.new_context(viewport={"width": 360, "height": 740}, locale="zh-CN")
    context.set_default_timeout(SECONDS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{served.url}/phone?hurry=20")
    yield page
    context.close()
    assert complaints == []


def hears(phone: Page, words: str) -> None:
    phone.locator("#heard li", has_text=words).last.wait_for()


def speaks(phone: Page, folder: Path) -> None:
    file = folder / "said.wav"
    file.write_bytes(wav(pcm16(voice(4))))
    phone.wait_for_selector("#speak:not([hidden])")
    phone.set_input_files("#file", file)
    hears(phone, "说了一段话")


def hangs_up(phone: Page) -> None:
    phone.click("#hang")
    phone.wait_for_selector("#dial:not([disabled])")


def test_one_request_goes_through_the_whole_house(
    phone: Page, served: Served, tmp_path: Path
) -> None:
    phone.select_option("#caller", LI)
    phone.click("#dial")
    hears(phone, "您好，这里是红色助跑热线")
    speaks(phone, tmp_path)
    hangs_up(phone)
    served.keeps_promises()

    desk = phone.context.new_page()
    desk.goto(served.url)
    desk.get_by_label("王秀兰").check()
    desk.fill("#pin", PIN)
    desk.click("text=进去")
    desk.click("text=办这件事")
    assert desk.evaluate("""async () => {
        const sound = document.querySelector("audio"); await sound.play(); return sound.duration;
    }""") == pytest.approx(4, abs=0.2)  # fmt: skip
    assert len(served.desk.ledger("listen")) == 1
    desk.click("text=我来办")
    desk.click("main button:text-is('办完了')")
    served.keeps_promises()

    phone.click("#answer")
    hears(phone, "您要办的事，已经办好了")
    phone.click("[data-key='1']")
    hears(phone, "办得好不好")
    phone.click("[data-key='1']")
    hears(phone, "再见")
    phone.wait_for_selector("#dial:not([disabled])")
    desk.reload()
    assert "已听完并按1" in desk.inner_text("main")
    assert "他本人说办得好" in desk.inner_text("main")
    assert served.desk.ticket(1).state is State.CLOSED
    assert served.desk.ticket(1).test


def test_own_words_are_played_back_and_can_be_said_again(
    phone: Page, served: Served, tmp_path: Path
) -> None:
    phone.select_option("#caller", LI)
    phone.click("#dial")
    speaks(phone, tmp_path)
    phone.click("#quiet")
    hears(phone, "记下了")
    phone.click("[data-key='2']")
    speaks(phone, tmp_path)
    phone.click("#quiet")
    hears(phone, "我们打这个电话找您")
    phone.wait_for_selector("#dial:not([disabled])")
    assert served.desk.ticket(1).kind == "errand"


def test_a_volunteer_takes_the_call(phone: Page, served: Served) -> None:
    with served.desk.runtime.db.writing() as session:
        session.get_one(Volunteer, 1).phone = "+8613800000001"
    phone.select_option("#caller", LI)
    phone.click("#dial")
    hears(phone, "想找人说话")
    phone.click("[data-key='0']")
    phone.click("#take")
    hears(phone, "接听请按1")
    phone.click("#press")
    hears(phone, "接通了")
    hangs_up(phone)
    assert served.desk.ticket(1).state is State.IN_HAND
    assert served.desk.ticket(1).assignee_id == 1


def test_a_withheld_caller_who_says_nothing_is_asked_to_come_by(phone: Page) -> None:
    phone.select_option("#caller", WITHHELD)
    phone.click("#dial")
    for _ in range(2):
        phone.wait_for_selector("#speak:not([hidden])")
        phone.click("#quiet")
    hears(phone, "到居委会来找我们")
    phone.wait_for_selector("#dial:not([disabled])")


def test_the_twin_knows_its_calls_and_only_its_own_account(served: Served) -> None:
    carrier, clock = served.desk.runtime.carrier, served.desk.clock
    sid = carrier.place_call(LI, "t0ken")
    assert carrier.look_up(sid).status == "under_way"  # type: ignore[union-attr]
    assert carrier.look_up("CA0") is None
    assert [call.sid for call in carrier.calls_to(LI, clock.now())] == [sid]
    clock.advance(60)
    assert carrier.look_up(sid).status == "no-answer"  # type: ignore[union-attr]
    carrier.delete_recording("RE0")
    client = served.desk.app.test_client()
    base = f"/twin/2010-04-01/Accounts/{ACCOUNT}"
    for path in ("/Calls.json", f"/Calls/{sid}.json", "/Recordings/RE1.wav"):
        assert client.get(base + path).status_code == 401
        assert client.get(base + path, auth=(ACCOUNT, "wrong")).status_code == 401
    assert (
        client.get(f"{base}/Recordings/..%2Fsecret.key", auth=(ACCOUNT, TOKEN)).status_code == 404
    )
    with pytest.raises(CarrierError):
        carrier.place_call("", "t0ken")


def test_the_page_reaches_our_own_webhooks_only(served: Served) -> None:
    client = served.desk.app.test_client()
    header = {"X-Telephone": "1"}
    ring = client.post("/phone/ring", json={"from": LI}, headers=header).json
    assert ring["status"] == 200
    for url in ("https://evil.test/ivr/turn", f"{served.url}/leave", f"{served.url}/ivr", ""):
        sent = client.post("/phone/send", json={"sid": ring["sid"], "url": url}, headers=header)
        assert sent.status_code == 400, url
    assert client.post("/phone/ring", json={"from": LI}).status_code == 403, "a foreign page's form"
    assert client.post("/phone/ring", data="x", headers=header).status_code == 400
    assert client.post("/phone/send", json={"sid": "../x"}, headers=header).status_code == 404
    html = client.post("/phone/message", data=b"<html>", content_type="text/html", headers=header)
    assert html.status_code == 415


def test_what_the_page_says_of_itself_is_not_believed(served: Served) -> None:
    client = served.desk.app.test_client()
    header = {"X-Telephone": "1"}
    sid = client.post("/phone/ring", json={"from": LI}, headers=header).json["sid"]
    form = {"From": "+8613900000000", "CallSid": "CAother", "Digits": "1"}
    url = f"{served.url}/ivr/turn?turn=1"
    sent = client.post("/phone/send", json={"sid": sid, "url": url, "form": form}, headers=header)
    assert sent.json["status"] == 200
    assert "<Record" in sent.json["document"]
