"""The telephone in the browser, in a real browser, against the real house.

The resident rings, presses nothing, speaks, hangs up; a volunteer's telephone in a second window rings;
the resident is called back through the carrier's twin and presses 1. None of it is counted.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest
from browsers import PATIENCE, Served, chromium, serving
from conftest import HandClock
from desk_house import LI, PIN
from playwright.sync_api import Page
from sounds import pcm16, voice, wav
from sqlalchemy import select

from hotline.config import Settings
from hotline.phone import CallerKind, read_caller
from hotline.web import call_steps, callers, reader, visitors
from hotline.web.handset import SAMPLES
from ivr.carrier import CarrierError
from ivr.flow import FLOWS
from ivr.models import Call
from ivr.steps import Each, Fork, Tell
from tickets import counting, promises
from tickets.counting import Period
from tickets.lifecycle import State
from tickets.models import (
    Resident,
    ResidentPhone,
    ReturnTry,
    Ticket,
    Volunteer,
)
from worker.jobs import Hands

HEADER = {"X-Telephone": "1"}
WANG = "+8657988880201"


def keeps_promises(served: Served, ear: Any = None) -> None:
    """What the worker would do now."""
    hands, runtime = Hands(served.desk.runtime, ear), served.desk.runtime
    for _ in range(4):
        with runtime.db.reading() as session:
            due = promises.due(session, served.desk.clock.now())
        for promise_id in due:
            hands.keep(promise_id)


@pytest.fixture
def served(tmp_path: Path, clock: HandClock) -> Iterator[Served]:
    with serving(tmp_path, clock, demo=True) as house:
        with house.desk.runtime.db.writing() as session:
            session.get_one(Volunteer, 1).phone = WANG
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@contextmanager
def telephones(browser: Any, **how: Any) -> Iterator[Any]:
    """Opens pages of telephones; they may complain of nothing."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, locale="zh-CN", **how)
    context.set_default_timeout(PATIENCE)
    complaints: list[str] = []

    def opens(address: str) -> Page:
        page: Page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)  # fmt: skip
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield opens
    context.close()
    assert complaints == []


@pytest.fixture
def opens(browser: Any, served: Served) -> Iterator[Any]:
    with telephones(browser) as opening:
        yield lambda who="": opening(f"{served.url}/phone?hurry=20&who={who}")


@pytest.fixture
def phone(opens: Any) -> Page:
    found: Page = opens()
    return found


def is_held_by(phone: Page, name: str) -> None:
    key = phone.locator("#caller option", has_text=name).get_attribute("value")
    phone.select_option("#caller", key)


def quickly(phone: Page) -> None:
    """Nobody wants to press anything: what is waited for goes by ten times as fast."""
    phone.get_by_label("快十倍").check()


def unhurried(phone: Page) -> None:
    phone.get_by_label("跟真的一样").check()


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
    is_at_rest(phone)


def is_at_rest(phone: Page) -> None:
    phone.wait_for_selector("#dial:not([disabled])")


def test_one_request_goes_through_the_whole_house(
    phone: Page, opens: Any, served: Served, clock: HandClock
) -> None:
    volunteers = opens("v1")
    volunteers.click("#rings")
    volunteers.locator("#state", has_text="有新的事就打给他").wait_for()

    # she presses nothing, speaks, hangs up
    is_held_by(phone, "李桂芳")
    quickly(phone)
    phone.click("#dial")
    hears(phone, "您好，这里是红色助跑热线")
    phone.wait_for_selector("#speak:not([hidden])")
    assert phone.inner_text("#step") == "请说什么事"
    assert "挂断就算说完" in phone.inner_text("#waits")
    phone.select_option("#sample", label="您好，我家厨房水管漏水了，请来修一下")
    phone.click("#play")
    hears(phone, "说了一段话")
    hangs_up(phone)
    assert "等按键，没按" in phone.inner_text("#told")
    unhurried(phone)

    # the second window rings, takes it
    keeps_promises(served)
    volunteers.click("#answer")
    hears(volunteers, "有一件新的事")
    volunteers.click("[data-key='1']")
    hears(volunteers, "我来办，请按1")
    volunteers.click("[data-key='1']")
    hears(volunteers, "这件事归您了")
    hangs_up(volunteers)
    assert served.desk.ticket(1).state is State.IN_HAND

    desk = phone.context.new_page()
    desk.goto(served.url)
    desk.get_by_label("王秀兰").check()
    desk.fill("#pin", PIN)
    desk.click("text=进去")
    desk.click("text=办这件事")
    desk.click("main button:text-is('办完了')")
    desk.click("text=不等了，现在告诉他")

    # not at home at first: nobody waits two hours for the next try
    keeps_promises(served)
    phone.click("[data-refuse='no-answer']")
    phone.click("#sooner")
    phone.wait_for_selector("#ahead", state="hidden")
    _, line = served.desk.ledger("bring_forward")  # the first: whoever pressed 「办完了」 was sure
    assert (line.object_kind, line.object_id, line.why) == ("ticket", 1, "演示：不等了，现在就办")
    assert clock.now() < clock.now().fromisoformat(line.facts["was_due"])
    keeps_promises(served)
    phone.click("#answer")
    hears(phone, "您要办的事，已经办好了")
    phone.click("[data-key='1']")
    hears(phone, "办得好不好")
    phone.click("[data-key='1']")
    hears(phone, "再见")
    is_at_rest(phone)
    desk.reload()
    assert "已听完并按1" in desk.inner_text("main")
    assert "他本人说办得好" in desk.inner_text("main")
    assert served.desk.ticket(1).state is State.CLOSED

    # what was sent and answered stands beside it, with no number
    phone.locator("#told summary", has_text="/ivr/answered").click()
    sheet = phone.locator("#told details", has_text="/ivr/answered").inner_text()
    assert "CallStatus: in-progress" in sheet
    assert "To: 138****1234" in sheet
    assert "<Gather" in sheet
    assert LI.removeprefix("+86") not in phone.content()

    # and nothing of it is counted
    with served.desk.runtime.db.reading() as session:
        calls, tries = session.scalars(select(Call)).all(), session.scalars(select(ReturnTry)).all()
        assert len(calls) == 3
        assert len(tries) == 3
        assert all(row.test for row in (*calls, *tries, *session.scalars(select(Ticket))))
        report = counting.report(session, Period.month(2026, 11), clock.now())
    assert {value.n for value in report.values} == {0}


def test_own_words_are_played_back_and_can_be_said_again(
    phone: Page, served: Served, tmp_path: Path
) -> None:
    is_held_by(phone, "李桂芳")
    quickly(phone)
    phone.click("#dial")
    speaks(phone, tmp_path)
    unhurried(phone)
    phone.click("#quiet")
    hears(phone, "记下了")
    phone.click("[data-key='2']")
    quickly(phone)
    speaks(phone, tmp_path)
    phone.click("#quiet")
    hears(phone, "我们打这个电话找您")
    is_at_rest(phone)
    assert served.desk.ticket(1).kind == "errand"


def test_two_telephones_talk_with_each_other(phone: Page, opens: Any, served: Served) -> None:
    volunteers = opens("v1")
    is_held_by(phone, "李桂芳")
    phone.click("#dial")
    hears(phone, "想找人说话")
    phone.click("[data-key='0']")
    hears(phone, "志愿者的电话响了")
    volunteers.click("#answer")
    hears(volunteers, "接听请按1")
    hears(phone, "在听是什么事")
    volunteers.click("[data-key='1']")
    for both in (phone, volunteers):
        hears(both, "接通了")
    hangs_up(volunteers)
    is_at_rest(phone)
    assert served.desk.ticket(1).state is State.IN_HAND
    assert served.desk.ticket(1).assignee_id == 1
    assert WANG.removeprefix("+86") not in phone.content() + volunteers.content()

    # whoever leaves the page has hung up
    phone.click("#dial")
    hears(phone, "问上次的事")
    phone.click("[data-key='0']")
    volunteers.wait_for_selector("#answer")
    phone.goto("about:blank")
    volunteers.wait_for_selector("#answer", state="hidden")


def test_the_desk_has_the_line_connect_two_telephones(
    browser: Any, tmp_path: Path, clock: HandClock
) -> None:
    with serving(tmp_path, clock, demo=True, desk_calls="bridge") as house, telephones(browser) as opening:  # fmt: skip
        with house.desk.runtime.db.writing() as session:
            session.get_one(Volunteer, 1).phone = WANG
        ticket_id = house.desk.request(test=True)
        volunteers, residents = (
            opening(f"{house.url}/phone?hurry=20&who={who}") for who in ("v1", "p1")
        )
        house.desk.visit("王秀兰").posts(f"/request/{ticket_id}/call")
        keeps_promises(house)
        volunteers.click("#answer")
        hears(volunteers, "按1")
        volunteers.click("[data-key='1']")
        residents.click("#answer")
        for both in (volunteers, residents):
            hears(both, "接通了")
        hangs_up(residents)
        is_at_rest(volunteers)


def test_a_volunteer_who_is_busy_leaves_the_caller_to_the_beep(phone: Page, opens: Any) -> None:
    volunteers = opens("v1")
    phone.click("#dial")
    hears(phone, "想找人说话")
    phone.click("[data-key='0']")
    volunteers.click("[data-refuse='busy']")
    hears(phone, "志愿者都在忙")
    hangs_up(phone)


def test_a_withheld_caller_who_says_nothing_is_asked_to_come_by(phone: Page) -> None:
    is_held_by(phone, "不显示号码")
    quickly(phone)
    phone.select_option("#form", "bare")
    phone.click("#dial")
    for _ in range(2):
        phone.wait_for_selector("#speak:not([hidden])")
        phone.click("#quiet")
    hears(phone, "到居委会来找我们")
    is_at_rest(phone)


def test_an_iphones_recording_counts_and_a_letter_does_not(
    phone: Page, served: Served, tmp_path: Path
) -> None:
    spoken, letter = tmp_path / "said.m4a", tmp_path / "letter.wav"
    letter.write_text("这不是声音")
    with av.open(str(spoken), "w", format="mp4") as out:
        track = out.add_stream("aac", rate=16_000)
        with av.open(str(SAMPLES / "leaking-pipe.wav")) as sound:
            for frame in sound.decode(audio=0):
                out.mux(track.encode(frame))
        out.mux(track.encode(None))
    quickly(phone)
    phone.click("#dial")
    phone.wait_for_selector("#speak:not([hidden])")
    phone.set_input_files("#file", letter)
    phone.locator("#state", has_text="等于没有留言").wait_for()
    phone.set_input_files("#file", spoken)
    hears(phone, "说了一段话")
    hangs_up(phone)
    with served.desk.runtime.db.reading() as session:
        (ticket,) = session.scalars(select(Ticket))
        assert [recording.claimed_seconds for recording in ticket.recordings] == [4.0]


@pytest.mark.parametrize("voice", ["server", "browser", "text"])
def test_prompts_are_heard_or_read(
    browser: Any, served: Served, monkeypatch: pytest.MonkeyPatch, voice: str
) -> None:
    """By the house's voice where there is one, else by the browser's Chinese one, else as text."""
    if voice != "server":
        monkeypatch.setattr(reader.shutil, "which", lambda _: None)
    with telephones(browser) as opening:
        page = opening("about:blank")
        page.add_init_script(
            """window.played = []; window.spoke = [];
            window.Audio = class extends EventTarget { constructor(of) { super(); played.push(of); }
                play() { setTimeout(() => this.onended()); return Promise.resolve(); } pause() {} };
            speechSynthesis.getVoices = () => %s;
            speechSynthesis.speak = (said) => { spoke.push(said.text); setTimeout(() => said.onend()); };
            window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };"""
            % ('[{ lang: "zh-CN" }]' if voice == "browser" else "[]")
        )
        page.clock.install()
        page.goto(f"{served.url}/phone")
        page.click("#dial")
        hears(page, "您好，这里是红色助跑热线")
        page.clock.fast_forward(10_000)  # as long as it takes to read
        hears(page, "想找人说话")
        read = [each for each in page.evaluate("played") if each.startswith("blob:")]
        assert bool(read) is (voice == "server")
        assert bool(page.evaluate("spoke")) is (voice == "browser")
        hangs_up(page)


def test_every_step_that_waits_has_a_name() -> None:
    settings = Settings(_env_file=None)
    for flow, steps in FLOWS.items():
        for name, step in steps.items():
            if not isinstance(step, Fork | Tell | Each):
                said = call_steps.standing(settings, flow, name)
                assert said.step
                assert said.waits


def test_the_house_reads_a_prompt_aloud(served: Served) -> None:
    client = served.desk.app.test_client()
    said = client.get("/phone/say?text=您好，这里是红色助跑热线。")
    assert said.content_type == "audio/wav"
    seconds = client.post("/phone/message", data=said.data, content_type="audio/wav", headers=HEADER).json["seconds"]  # fmt: skip
    assert 2 <= seconds <= 6
    assert client.get("/phone/say?text=").status_code == 404


def test_every_way_a_carrier_writes_a_number_is_the_same_caller(served: Served) -> None:
    settings = served.desk.runtime.settings
    with served.desk.runtime.db.writing() as session:
        session.add(Resident(name="张德明", building="3", test=True, phones=[ResidentPhone(phone=LI)]))  # fmt: skip
        session.add(Resident(name="陈阿珍", test=True, phones=[ResidentPhone(phone="+8657988880102")]))  # fmt: skip
        session.add(Resident(name="真的人", phones=[ResidentPhone(phone="+8613811112222")]))
        session.flush()
        everybody = list(callers.callers(session, settings))
    assert "李桂芳、张德明" in {each.name for each in everybody}, "two who share a number"
    assert "真的人" not in {each.name for each in everybody}
    for caller in everybody:
        for form in callers.FORMS:
            sent = callers.written(caller, form, settings)
            read = read_caller(sent, country=settings.country, area=settings.area_code)
            assert (read.phone.e164 if read.phone else "") == caller.phone, (caller.key, sent)
            assert (read.kind is CallerKind.KNOWN) is bool(caller.phone)


def test_the_twin_knows_its_calls_and_only_its_own_account(served: Served) -> None:
    carrier, clock = served.desk.runtime.carrier, served.desk.clock
    account, token = carrier.settings.carrier_account, carrier.settings.carrier_token
    sid = carrier.place_call(LI, "t0ken")
    assert carrier.look_up(sid).status == "under_way"  # type: ignore[union-attr]
    assert carrier.look_up("CA0") is None
    assert [call.sid for call in carrier.calls_to(LI, clock.now())] == [sid]
    clock.advance(60)
    assert carrier.look_up(sid).status == "no-answer"  # type: ignore[union-attr]
    carrier.delete_recording("RE0")
    client = served.desk.app.test_client()
    base = f"/twin/2010-04-01/Accounts/{account}"
    for path in ("/Calls.json", f"/Calls/{sid}.json", "/Recordings/RE1.wav"):
        assert client.get(base + path).status_code == 401
        assert client.get(base + path, auth=(account, "wrong")).status_code == 401
    assert client.get(f"{base}/Recordings/..%2Fsecret.key", auth=(account, token)).status_code == 404  # fmt: skip
    with pytest.raises(CarrierError):
        carrier.place_call("", "t0ken")


def test_the_page_reaches_our_own_webhooks_only(served: Served) -> None:
    client = served.desk.app.test_client()
    ring = client.post("/phone/ring", json={"who": "p1"}, headers=HEADER)
    assert ring.status_code == 200
    sid = ring.json["sid"]
    for url in ("https://evil.test/ivr/turn", f"{served.url}/leave", f"{served.url}/ivr", ""):
        sent = client.post("/phone/send", json={"sid": sid, "url": url}, headers=HEADER)
        assert sent.status_code == 400, url
    assert client.post("/phone/ring", json={"who": "p1"}).status_code == 403, (
        "a foreign page's form"
    )
    assert client.post("/phone/ring", json={"who": LI}, headers=HEADER).status_code == 404
    assert client.post("/phone/ring", data="x", headers=HEADER).status_code == 400
    assert client.post("/phone/send", json={"sid": "../x"}, headers=HEADER).status_code == 404
    assert client.post("/phone/dial", json={"sid": sid}, headers=HEADER).status_code == 409
    html = client.post("/phone/message", data=b"<html>", content_type="text/html", headers=HEADER)
    assert html.json == {"seconds": 0}


def test_what_the_page_says_of_itself_is_not_believed(served: Served) -> None:
    client = served.desk.app.test_client()
    sid = client.post("/phone/ring", json={"who": "p1"}, headers=HEADER).json["sid"]
    form = {"From": "+8613900000000", "CallSid": "CAother", "Digits": "1"}
    url = f"{served.url}/ivr/turn?turn=1"
    sent = client.post("/phone/send", json={"sid": sid, "url": url, "form": form}, headers=HEADER)
    assert "<Record" in sent.json["document"]
    assert "CAother" not in json.dumps(sent.json)


def test_a_visitors_telephone_needs_the_code_of_the_day(tmp_path: Path, clock: HandClock) -> None:
    with serving(tmp_path, clock, demo=True, listen="192.0.2.7:8080") as house:
        key = str(house.desk.app.secret_key)
        visitor = house.desk.app.test_client()
        far = {"REMOTE_ADDR": "192.0.2.33"}
        refused = visitor.get("/phone", environ_base=far)
        assert refused.status_code == 403
        assert "再扫一次" in refused.text
        assert visitor.get("/phone?visit=x", environ_base=far).status_code == 403
        assert visitor.post("/phone/ring", json={"who": "p1"}, headers=HEADER, environ_base=far).status_code == 403  # fmt: skip
        good = visitor.get(f"/phone?visit={visitors.token(key)}", environ_base=far)
        assert good.status_code == 302
        assert good.headers["Location"] == "/phone"
        assert visitor.get("/phone", environ_base=far).status_code == 200
        page = house.desk.app.test_client().get("/phone").text
        assert "<svg" in page
        assert "http://192.0.2.7:8080/phone" in page


def test_the_address_for_others_is_none_of_this_machine_alone() -> None:
    assert visitors.net_address("127.0.0.1:8080") is None
    assert visitors.net_address("localhost:8080") is None
    assert visitors.net_address("192.168.1.9:80") == "192.168.1.9:80"
