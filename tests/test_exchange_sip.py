"""What boxes and trunks do that a softphone does not, by sipp."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sipp_lines as sipp
from exchange_house import MOST, House, came_through, house, prompt, wav_bytes

from ivr.exchange import g711

ASK = '<Gather action="/turn" numDigits="{count}" timeout="5" finishOnKey=""/><Redirect>/silent</Redirect>'
REQUEST = prompt(7, 2.0)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as whole:
        whole.app.pages["/voice"] = lambda form: ASK.format(count=1)
        whole.app.pages["/turn"] = lambda form: "<Hangup/>"
        yield whole


def test_keys_on_another_payload_type(home: House, tmp_path: Path) -> None:
    home.app.pages["/voice"] = lambda form: ASK.format(count=4)
    exchange = home.exchange()
    steps = sipp.INVITE + sipp.ANSWERED + sipp.KEY + sipp.THEIR_BYE
    sipp.run(tmp_path, exchange.sip_port, steps, events=96, key="12*0", pause=100)
    assert home.app.wait_for("/turn").form["Digits"] == "12*0"


def test_keys_as_sip_info(home: House, tmp_path: Path) -> None:
    exchange = home.exchange()
    steps = sipp.INVITE + sipp.ANSWERED + sipp.INFO + sipp.THEIR_BYE
    sipp.run(tmp_path, exchange.sip_port, steps, key=2)
    assert home.app.wait_for("/turn").form["Digits"] == "2"


def test_a_key_before_the_question_is_kept(home: House, tmp_path: Path) -> None:
    home.app.sounds["/speak.wav"] = wav_bytes(prompt(2, 1.5))
    home.app.pages["/voice"] = lambda form: f"<Play>/speak.wav</Play>{ASK.format(count=1)}"
    exchange = home.exchange()
    steps = sipp.INVITE + sipp.ANSWERED + sipp.INFO + sipp.THEIR_BYE
    sipp.run(tmp_path, exchange.sip_port, steps, key=0)
    assert home.app.wait_for("/turn").form["Digits"] == "0"


def test_a_number_that_the_trunk_tells_and_the_caller_withholds(
    home: House, tmp_path: Path
) -> None:
    exchange = home.exchange()
    hidden = "Privacy: id\nP-Asserted-Identity: <sip:13812345678@trunk>\nMax-Forwards"
    steps = sipp.INVITE.replace("Max-Forwards", hidden) + sipp.ANSWERED + sipp.BYE
    sipp.run(tmp_path, exchange.sip_port, steps)
    assert home.app.wait_for("/voice").form["From"] == "anonymous"


def test_a_caller_who_gives_up_while_it_rings(home: House, tmp_path: Path) -> None:
    gave_up = threading.Event()

    def slow(form: dict[str, str]) -> str:
        gave_up.wait(20)
        return "<Hangup/>"

    home.app.pages["/voice"] = slow
    exchange = home.exchange()
    ringing = sipp.INVITE.replace('<recv response="180" optional="true"/>', "")
    sipp.run(tmp_path, exchange.sip_port, ringing + sipp.CANCEL)
    gave_up.set()
    home.app.wait_for("/status", CallStatus="canceled")
    exchange.until(lambda: exchange.exchange.engine.live == 0)


def test_twenty_ring_at_once(home: House, tmp_path: Path) -> None:
    home.app.pages["/turn"] = lambda form: (
        '<Record action="/kept" maxLength="30" timeout="20" finishOnKey="" playBeep="false"/>'
    )
    exchange = home.exchange()
    (tmp_path / "request.alaw").write_bytes(g711.encode(REQUEST))
    steps = sipp.INVITE + sipp.ANSWERED + sipp.INFO + sipp.PAUSE + sipp.TALK + sipp.BYE
    steps = steps.replace("{pause}", "500", 1).replace("{pause}", "2500", 1)
    sipp.run(
        tmp_path,
        exchange.sip_port,
        steps,
        calls=20,
        sound="request.alaw",
        media="rtpstream_audio_port",
    )
    home.app.wait_for("/kept", count=20)
    kept = [r.form for r in home.app.requests if r.path == "/kept"]
    assert len({form["CallSid"] for form in kept}) == 20
    for form in kept:
        recording = exchange.recording(form["RecordingSid"])
        assert came_through(REQUEST, recording) >= MOST
    home.app.wait_for("/status", count=20)
    exchange.until(lambda: exchange.exchange.engine.live == 0)
