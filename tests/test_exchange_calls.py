"""Real calls: a softphone nobody here wrote rings the exchange, and is rung by it."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from exchange_house import (
    ACCOUNT,
    MOST,
    OUR_NUMBER,
    TOKEN,
    House,
    came_through,
    find,
    house,
    prompt,
    until,
    wait_for_recording,
    wav_bytes,
)
from softphone import RATE, Phone

from ivr.exchange import g711
from ivr.exchange.server import main
from ivr.exchange.settings import Trunk
from ivr.exchange.sounds import RINGBACK

GRANDMA = "13812345678"
GRANDMA_E164 = "+8613812345678"
GREETING, SPEAK, NEWS = prompt(1, 4.0), prompt(2, 1.0), prompt(3, 1.5)
REQUEST = prompt(7, 2.0)
SOFTLY = (prompt(8, 4.0) * 10 ** (-30 / 20)).astype(np.int16)  # an old person, far from the handset

ASK = (
    '<Gather action="/turn" method="POST" numDigits="1" timeout="4" finishOnKey="">'
    "<Play>{base}/greeting.wav</Play></Gather><Redirect>{base}/silent</Redirect>"
)
MESSAGE = (
    '<Play>{base}/speak.wav</Play><Record action="/kept" maxLength="60" timeout="8"'
    ' finishOnKey="" playBeep="false" trim="do-not-trim" recordingStatusCallback="/recorded"/>'
    "<Redirect>/empty</Redirect>"
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as whole:
        base = whole.app.base
        whole.app.sounds |= {
            "/greeting.wav": wav_bytes(GREETING),
            "/speak.wav": wav_bytes(SPEAK),
            "/news.wav": wav_bytes(NEWS),
        }
        whole.app.pages["/voice"] = lambda form: ASK.format(base=base)
        for path in ("/turn", "/silent"):
            whole.app.pages[path] = lambda form: MESSAGE.format(base=base)
        yield whole


def test_a_caller_hears_presses_speaks_and_hangs_up(home: House, tmp_path: Path) -> None:
    exchange = home.exchange()
    with Phone(tmp_path / "grandma", number=GRANDMA) as grandma:
        grandma.dials(exchange.sip_port)
        grandma.wait_for("CALL_ESTABLISHED")
        first = home.app.wait_for("/voice")
        assert first.form["CallStatus"] == "ringing"
        assert first.form["From"] == GRANDMA
        assert first.form["To"] == OUR_NUMBER
        assert first.form["Direction"] == "inbound"
        exchange.until(lambda: _heard_seconds(grandma) > 0.8)
        grandma.presses("1")
        assert home.app.wait_for("/turn").form["Digits"] == "1"
        exchange.wait_for_recording()
        grandma.says(REQUEST)
        grandma.hangs_up()

        kept = home.app.wait_for("/kept", Digits="hangup")
        recorded = home.app.wait_for("/recorded", RecordingStatus="completed")
        assert recorded.form["RecordingSid"] == kept.form["RecordingSid"]
        ended = home.app.wait_for("/status", CallStatus="completed")
        assert ended.form["CallSid"] == first.form["CallSid"]
        assert int(ended.form["CallDuration"]) >= 3
        assert ended.form["SequenceNumber"] == "0"
    assert all(request.signed for request in home.app.requests)

    recording = exchange.recording(kept.form["RecordingSid"])
    assert came_through(REQUEST, recording) >= MOST

    heard = grandma.heard()
    assert came_through(GREETING[: RATE // 2], heard) >= MOST
    assert came_through(SPEAK, heard) >= MOST
    assert came_through(GREETING[-RATE:], heard) == 0, "the key did not cut the greeting short"


def test_nobody_presses_anything_and_the_message_is_kept_all_the_same(
    home: House, tmp_path: Path
) -> None:
    home.app.pages["/voice"] = lambda form: ASK.replace('timeout="4"', 'timeout="1"').format(
        base=home.app.base
    )
    home.app.pages["/silent"] = lambda form: MESSAGE.replace('timeout="8"', 'timeout="1"').format(
        base=home.app.base
    )
    home.app.pages["/kept"] = lambda form: "<Hangup/>"
    exchange = home.exchange()
    with Phone(tmp_path / "grandma", number=GRANDMA, codec="PCMU") as grandma:
        grandma.dials(exchange.sip_port)
        exchange.wait_for_recording()
        grandma.says(SOFTLY)  # for longer than the silence that ends a message
        kept = home.app.wait_for("/kept")
        assert "Digits" not in kept.form  # a silence ended it, no key
        grandma.wait_for("CALL_CLOSED")
    assert home.app.count("/turn") == 0
    recording = exchange.recording(kept.form["RecordingSid"])
    assert came_through(SOFTLY, recording) >= MOST
    assert came_through(SOFTLY[-RATE:], recording) >= MOST  # to the end
    assert came_through(GREETING, grandma.heard()) >= MOST  # µ-law on the wire, whole


def test_an_empty_message_falls_through(home: House, tmp_path: Path) -> None:
    home.app.pages["/voice"] = lambda form: MESSAGE.replace('timeout="8"', 'timeout="1"').format(
        base=home.app.base
    )
    home.app.pages["/empty"] = lambda form: "<Hangup/>"
    exchange = home.exchange()
    with Phone(tmp_path / "grandma", number=GRANDMA) as grandma:
        grandma.dials(exchange.sip_port)
        home.app.wait_for("/empty")
        grandma.wait_for("CALL_CLOSED")
        home.app.wait_for("/status")
    assert home.app.count("/kept") == home.app.count("/recorded") == 0


def test_a_return_call_is_heard_and_confirmed(home: House, tmp_path: Path) -> None:
    home.app.pages["/news"] = lambda form: (
        '<Gather action="/confirmed" numDigits="1" timeout="5" finishOnKey="">'
        "<Play>/news.wav</Play></Gather>"
    )
    home.app.pages["/confirmed"] = lambda form: "<Hangup/>"
    with Phone(tmp_path / "grandma", number=GRANDMA) as grandma:
        exchange = home.exchange(trunk=Trunk("127.0.0.1", grandma.port))
        placed = exchange.client.calls.create(
            to=GRANDMA_E164,
            from_=OUR_NUMBER,
            url=f"{home.app.base}/news?attempt=7",
            status_callback=f"{home.app.base}/status",
            status_callback_event=["initiated", "ringing", "answered", "completed"],
        )
        grandma.wait_for("CALL_INCOMING")
        home.app.wait_for("/status", CallStatus="ringing")
        assert exchange.client.calls(placed.sid).fetch().status == "ringing"
        grandma.picks_up()
        asked = home.app.wait_for("/news")
        assert (asked.form["Direction"], asked.form["To"]) == ("outbound-api", GRANDMA_E164)
        exchange.until(lambda: _heard_seconds(grandma) > 1.8)
        grandma.presses("1")
        assert home.app.wait_for("/confirmed").form["Digits"] == "1"
        grandma.wait_for("CALL_CLOSED")
        home.app.wait_for("/status", CallStatus="completed")
    heard = grandma.heard()
    assert came_through(NEWS, heard) >= MOST
    told = [r.form for r in home.app.requests if r.path == "/status"]
    assert {form["SequenceNumber"]: form["CallStatus"] for form in told} == {
        "0": "initiated",
        "1": "ringing",
        "2": "in-progress",
        "3": "completed",
    }
    assert exchange.client.calls(placed.sid).fetch().status == "completed"


@pytest.mark.parametrize("outcome", ["busy", "no-answer", "failed", "canceled"])
def test_a_call_that_is_not_answered(home: House, tmp_path: Path, outcome: str) -> None:
    number = "13900000000" if outcome == "failed" else GRANDMA  # a wrong number: 404
    with Phone(tmp_path / "grandma", number=GRANDMA) as grandma:
        exchange = home.exchange(trunk=Trunk("127.0.0.1", grandma.port))
        placed = exchange.client.calls.create(
            to=f"+86{number}",
            from_=OUR_NUMBER,
            url=f"{home.app.base}/news",
            timeout=2 if outcome == "no-answer" else 30,
            status_callback=f"{home.app.base}/status",
        )
        if outcome != "failed":
            grandma.wait_for("CALL_INCOMING")
        if outcome == "busy":
            grandma.turns_away()
        if outcome == "canceled":
            exchange.client.calls(placed.sid).update(status="canceled")
        home.app.wait_for("/status", CallStatus=outcome)
        if outcome in {"no-answer", "canceled"}:
            grandma.wait_for("CALL_CLOSED")
        assert exchange.client.calls(placed.sid).fetch().status == outcome
    assert home.app.count("/news") == 0


def test_a_box_that_is_switched_off(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ivr.exchange.retransmission.NO_PROXY_SECONDS", 1.0)
    exchange = home.exchange()  # its trunk is a port where nobody listens
    exchange.client.calls.create(
        to=GRANDMA_E164,
        from_=OUR_NUMBER,
        url=f"{home.app.base}/news",
        status_callback=f"{home.app.base}/status",
    )
    # Asterisk asks for 32 s; a box it knows to be off it does not ask at all.
    home.app.wait_for("/status", CallStatus="failed", seconds=40)


def _heard_seconds(phone: Phone) -> float:
    return len(phone.heard()) / RATE


VOLUNTEER, VOLUNTEER_E164 = "13900000001", "+8613900000001"
DIAL = (
    '<Dial action="/dialled" timeout="{seconds}" callerId="+8657982345678">'
    '<Number url="/whisper">+8613900000001</Number></Dial>'
)
TALK = prompt(9, 2.0)


@pytest.fixture
def person(home: House) -> House:
    """A line whose caller is put through to a volunteer, who must press 1."""
    home.app.sounds["/whisper.wav"] = wav_bytes(NEWS)
    home.app.pages["/voice"] = lambda form: DIAL.format(seconds=10)
    home.app.pages["/whisper"] = lambda form: (
        '<Gather action="/taken" numDigits="1" timeout="3" finishOnKey="">'
        "<Play>/whisper.wav</Play></Gather><Hangup/>"
    )
    home.app.pages["/taken"] = lambda form: "" if form["Digits"] == "1" else "<Hangup/>"
    home.app.pages["/dialled"] = lambda form: '<Record action="/kept" playBeep="false"/>'
    return home


def test_a_volunteer_takes_the_call(person: House, tmp_path: Path) -> None:
    with (
        Phone(tmp_path / "volunteer", number=VOLUNTEER) as volunteer,
        Phone(tmp_path / "grandma", number=GRANDMA) as grandma,
    ):
        exchange = person.exchange(trunk=Trunk("127.0.0.1", volunteer.port))
        grandma.dials(exchange.sip_port)
        volunteer.wait_for("CALL_INCOMING")
        exchange.until(lambda: _heard_seconds(grandma) > 1.2)  # the ringing tone
        volunteer.picks_up()
        asked = person.app.wait_for("/whisper")
        assert asked.form["Direction"] == "outbound-dial"
        assert asked.form["ParentCallSid"] == person.app.wait_for("/voice").form["CallSid"]
        volunteer.presses("1")
        person.app.wait_for("/taken", Digits="1")
        exchange.until(
            lambda: any(c.row.parent_sid for c in exchange.exchange.board.calls.values())
        )
        grandma.says(TALK)
        volunteer.says(REQUEST)
        volunteer.hangs_up()
        dialled = person.app.wait_for("/dialled").form
        exchange.wait_for_recording()
        grandma.hangs_up()
        person.app.wait_for("/status", CallStatus="completed")
    assert (dialled["DialCallStatus"], dialled["DialBridged"]) == ("completed", "true")
    assert came_through(TALK, volunteer.heard()) >= MOST
    assert came_through(REQUEST, grandma.heard()) >= MOST
    tone = find(np.asarray(g711.decode(RINGBACK.alaw[:RATE])), grandma.heard())
    assert tone[0] >= 0.9


@pytest.mark.parametrize("how", ["refuses", "is busy", "does not answer", "caller gives up"])
def test_a_volunteer_who_does_not_take_it(person: House, tmp_path: Path, how: str) -> None:
    person.app.pages["/voice"] = lambda form: DIAL.format(
        seconds=1 if how == "does not answer" else 10
    )
    with (
        Phone(tmp_path / "volunteer", number=VOLUNTEER) as volunteer,
        Phone(tmp_path / "grandma", number=GRANDMA) as grandma,
    ):
        exchange = person.exchange(trunk=Trunk("127.0.0.1", volunteer.port))
        grandma.dials(exchange.sip_port)
        volunteer.wait_for("CALL_INCOMING")
        if how == "refuses":
            volunteer.picks_up()
            person.app.wait_for("/whisper")
            volunteer.presses("3")
        if how == "is busy":
            volunteer.turns_away()
        if how == "caller gives up":
            grandma.wait_for("CALL_ESTABLISHED")
            grandma.hangs_up()
        volunteer.wait_for("CALL_CLOSED")
        form = person.app.wait_for("/dialled").form
        if how != "caller gives up":
            exchange.wait_for_recording()  # the line goes on with the message
            grandma.hangs_up()
        person.app.wait_for("/status", CallStatus="completed")
    expected = {
        "refuses": ("completed", "false"),
        "is busy": ("busy", "false"),
        "does not answer": ("no-answer", "false"),
        "caller gives up": ("canceled", "false"),
    }
    assert (form["DialCallStatus"], form["DialBridged"]) == expected[how]


def test_a_withheld_number(home: House, tmp_path: Path) -> None:
    home.app.pages["/voice"] = lambda form: "<Hangup/>"
    exchange = home.exchange()
    with Phone(tmp_path / "grandma", number="anonymous") as grandma:
        grandma.dials(exchange.sip_port)
        assert home.app.wait_for("/voice").form["From"] == "anonymous"
        home.app.wait_for("/status")


def test_a_restart_ends_calls_and_reports_them(home: House, tmp_path: Path) -> None:
    home.app.pages["/voice"] = lambda form: MESSAGE.format(base=home.app.base)
    exchange = home.exchange()
    with Phone(tmp_path / "grandma", number=GRANDMA) as grandma:
        grandma.dials(exchange.sip_port)
        exchange.wait_for_recording()
        grandma.says(REQUEST)
        exchange.stop()
        grandma.wait_for("CALL_CLOSED")
    kept = home.app.wait_for("/kept", Digits="hangup", ErrorCode="507")  # she was not done
    home.app.wait_for("/status", CallStatus="completed")
    again = home.exchange()
    assert came_through(REQUEST, again.recording(kept.form["RecordingSid"])) >= MOST
    assert again.client.calls(kept.form["CallSid"]).fetch().status == "completed"
    assert again.client.recordings(kept.form["RecordingSid"]).delete()
    with pytest.raises(requests.HTTPError, match="404"):
        again.recording(kept.form["RecordingSid"])
    assert not list((again.settings.data_folder / "recordings").iterdir())


def test_a_crash_loses_two_seconds_and_no_call(home: House, tmp_path: Path) -> None:
    home.app.pages["/voice"] = lambda form: MESSAGE.format(base=home.app.base)
    settings = home.arranged()
    process = multiprocessing.get_context("spawn").Process(target=main, args=(settings,))
    process.start()
    try:
        with Phone(tmp_path / "grandma", number=GRANDMA) as grandma:
            _wait_for_rest(settings.rest_port)
            grandma.dials(settings.sip_port)
            home.app.wait_for("/voice")
            wait_for_recording(settings)
            grandma.says(np.concatenate([REQUEST, TALK]))
            process.kill()
            process.join()
    finally:
        process.kill()
        process.join()
        process.close()
    again = home.exchange()
    recorded = home.app.wait_for("/recorded", RecordingStatus="completed", ErrorCode="507")
    ended = home.app.wait_for("/status", CallStatus="completed")
    assert recorded.form["CallSid"] == ended.form["CallSid"]
    assert came_through(REQUEST, again.recording(recorded.form["RecordingSid"])) >= MOST


def _wait_for_rest(port: int) -> None:
    """Until calls are taken: REST is open a moment before the engine is."""

    def answers() -> bool:
        try:
            health = requests.get(
                f"http://127.0.0.1:{port}/health", auth=(ACCOUNT, TOKEN), timeout=5
            )
        except requests.RequestException:
            return False
        return health.status_code == 200

    until(answers)
