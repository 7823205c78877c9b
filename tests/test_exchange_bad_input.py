"""What comes in broken, hostile or not at all: refused or ended politely, and other calls go on."""

import json
import struct
import time
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
    TwimlApp,
    came_through,
    house,
    prompt,
    wav_bytes,
)
from flask import Response
from raw_sip import RawCaller, listen_until_bye, sdp
from softphone import RATE, Phone

from ivr.exchange import g711

WAIT = '<Gather action="/turn" numDigits="1" timeout="60" finishOnKey=""/>'
BAD_SDP = sdp(4000, "8", "a=rtpmap:x PCMA\r\nm=audio none RTP/AVP 8\r\n")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as whole:
        whole.app.pages["/voice"] = lambda form: WAIT
        yield whole


MALFORMED = [
    b"\r\n\r\n",
    b"\0" * 400,
    b"INVITE\r\n\r\n",
    b"INVITE sip:x SIP/2.0\r\n\r\n",
    b"SIP/2.0 abc\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: x\r\nCSeq: one INVITE\r\n\r\n",
    b"INVITE sip:x SIP/2.0\r\n" + b"A: b\r\n" * 3000 + b"\r\n",
    b"\xff\xfe" + bytes(range(256)) * 20,
    b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP :99999999;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n",
    b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4\r\nFrom: <\r\nTo: >\r\nCall-ID: \r\nCSeq: 1 BYE\r\n\r\n",
    b"A" * 65000,
]


def test_nothing_of_it_disturbs_another_call(home: House, tmp_path: Path) -> None:
    """A grandmother listens to a prompt while everything bad is thrown at the exchange."""
    music = prompt(4, 6.0)
    home.app.sounds["/music.wav"] = wav_bytes(music)
    home.app.pages["/voice"] = lambda form: (
        f"<Play>/music.wav</Play>{WAIT}" if form["From"] == "13700000000" else WAIT
    )
    exchange = home.exchange(max_new_calls_a_second=10)
    with Phone(tmp_path / "grandma", number="13700000000") as grandma:
        grandma.dials(exchange.sip_port)
        grandma.wait_for("CALL_ESTABLISHED")
        with RawCaller(exchange.sip_port) as rude:
            for data in MALFORMED:
                rude.send(data)
            assert _status(exchange.sip_port, sdp(4000, "9 18", "")) == 488  # no common codec
            assert _status(exchange.sip_port, "") == 488
            assert _status(exchange.sip_port, BAD_SDP) == 400
            assert _status(exchange.sip_port, sdp(65535)) == 488
            assert _status(exchange.sip_port, sdp(4000).replace("127.0.0.1", "example.org")) == 488
            assert _status(exchange.sip_port, sdp(4000).replace("RTP/AVP", "RTP/SAVP")) == 488
            assert rude.answer_to(rude.request("BYE")) == 481
            assert rude.answer_to(rude.request("REFER", number=2)) == 405
            assert rude.answer_to(rude.request("OPTIONS", number=3)) == 200
        _flood(exchange.sip_port)
        exchange.until(lambda: len(grandma.heard()) > 6.5 * RATE)
        grandma.hangs_up()
        home.app.wait_for("/status", From="13700000000", CallStatus="completed")
    heard = grandma.heard()
    assert came_through(music, heard) >= MOST


def _status(port: int, body: str) -> int:
    with RawCaller(port) as caller:
        return caller.answer_to(caller.request("INVITE", body))


def _flood(port: int) -> None:
    """A hundred new calls in one moment: some are taken, the rest told to come later."""
    codes = []
    callers = [RawCaller(port).__enter__() for _ in range(100)]
    for caller in callers:
        caller.send(caller.request("INVITE", sdp(caller.rtp_port)))
    for caller in callers:
        line = caller.receive()[0]
        codes.append(int(line.split()[1]))
    turned_away = codes.count(503) + codes.count(486)
    assert 0 < turned_away < 100
    assert turned_away + codes.count(180) + codes.count(200) == 100
    for caller in callers:
        caller.send(caller.request("CANCEL", branch=f"z9hG4bK{caller.call_id}INVITE1"))
        caller.__exit__()


def test_all_lines_busy(home: House) -> None:
    exchange = home.exchange(max_calls=1)
    with RawCaller(exchange.sip_port) as first, RawCaller(exchange.sip_port) as second:
        assert first.invite() == 200
        assert second.invite() == 486
        assert first.bye() == 200
    home.app.wait_for("/status")


def test_no_peer_gets_no_answer(home: House) -> None:
    exchange = home.exchange()
    with RawCaller(exchange.sip_port, host="127.0.0.2") as stranger:
        stranger.send(stranger.request("OPTIONS"))
        with RawCaller(exchange.sip_port) as peer:
            assert peer.answer_to(peer.request("OPTIONS")) == 200
        stranger.sip.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.sip.recv(100)


def test_a_call_without_end(home: House) -> None:
    exchange = home.exchange(max_call_seconds=1)
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        assert caller.receive()[0].startswith("BYE ")
        home.app.wait_for("/status", CallStatus="completed")


BROKEN = {
    "no XML": Response("<Response><Say>", mimetype="text/xml"),
    "another verb": Response("<Response><Pause/></Response>", mimetype="text/xml"),
    "entities": Response(
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><Response><Say>&a;</Say></Response>', mimetype="text/xml"
    ),
    "an error": Response("no", 500),
    "a redirect": Response("", 302, {"Location": "https://example.org/"}),
    "a picture": Response(b"\x89PNG", mimetype="image/png"),
    "too long": Response(f"<Response>{' ' * 70_000}</Response>", mimetype="text/xml"),
    "a circle": Response("<Response><Redirect>/voice</Redirect></Response>", mimetype="text/xml"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_application_and_its_fallback(home: House, kind: str) -> None:
    home.app.pages["/voice"] = lambda form: BROKEN[kind]
    home.app.pages["/fallback"] = lambda form: '<Record action="/kept" playBeep="false"/>'
    exchange = home.exchange(fallback_url=f"{home.app.base}/fallback")
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        if kind != "a circle":
            form = home.app.wait_for("/fallback").form
            assert form["ErrorCode"] in {"11200", "12100", "12300"}
            assert form["ErrorUrl"] == f"{home.app.base}/voice"
            exchange.wait_for_recording()
            assert caller.bye() == 200
        else:
            assert caller.receive()[0].startswith("BYE ")
        home.app.wait_for("/status")


def test_a_dead_application_is_apologised_for(home: House) -> None:
    sorry = "对不起"
    exchange = home.exchange(voice_url="http://127.0.0.1:9/voice", apology=sorry, webhook_seconds=1)
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        heard = listen_until_bye(caller)
        home.app.wait_for("/status", CallStatus="completed")
    spoken = g711.decode(exchange.ask(exchange.exchange.sounds.say(sorry)).alaw)
    assert came_through(spoken, heard) >= MOST


def test_an_application_that_does_not_answer(home: House) -> None:
    done = []

    def slow(form: dict[str, str]) -> str:
        while not done:
            time.sleep(0.02)
        return ""

    home.app.pages["/voice"] = slow
    home.app.pages["/fallback"] = lambda form: "<Hangup/>"
    exchange = home.exchange(webhook_seconds=0.5, fallback_url=f"{home.app.base}/fallback")
    try:
        with RawCaller(exchange.sip_port) as caller:
            assert caller.invite() == 480  # never answered, so turned away
            assert home.app.wait_for("/fallback").form["ErrorCode"] == "11205"
    finally:
        done.append(1)


def test_the_application_dies_in_mid_call_and_hears_the_end_when_it_is_back(
    home: House, tmp_path: Path
) -> None:
    home.app.pages["/voice"] = lambda form: (
        '<Record action="/kept" maxLength="60" timeout="30" finishOnKey="" playBeep="false"'
        ' recordingStatusCallback="/recorded"/>'
    )
    words = prompt(8, 2.0)
    exchange = home.exchange()
    with Phone(tmp_path / "grandma", number="13812345678") as grandma:
        grandma.dials(exchange.sip_port)
        exchange.wait_for_recording()
        home.app.stop()
        grandma.says(words)
        grandma.hangs_up()
        exchange.until(lambda: not exchange.exchange.board.calls)
    home.app = TwimlApp(home.app.port)
    home.app.start()
    kept = home.app.wait_for("/kept", Digits="hangup")
    home.app.wait_for("/recorded")
    home.app.wait_for("/status", CallStatus="completed")
    assert came_through(words, exchange.recording(kept.form["RecordingSid"])) >= MOST
    assert all(request.signed for request in home.app.requests)


def test_a_prompt_that_is_no_sound_is_left_out(home: House) -> None:
    junk = {
        "/empty.wav": b"",
        "/html.wav": b"<html>not found</html>",
        "/cut.wav": wav_bytes(prompt(1, 1.0))[:30],
        "/zero.wav": wav_bytes(np.zeros(0, np.int16)),
        "/rate.wav": wav_bytes(prompt(1, 1.0)).replace(struct.pack("<I", RATE), b"\0\0\0\0", 1),
    }
    home.app.sounds |= junk
    plays = "".join(f"<Play>{path}</Play>" for path in [*junk, "/missing.wav"])
    home.app.pages["/voice"] = lambda form: f"{plays}<Redirect>/after</Redirect>"
    home.app.pages["/missing.wav"] = lambda form: ("", 404)
    home.app.pages["/after"] = lambda form: "<Hangup/>"
    exchange = home.exchange()
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        home.app.wait_for("/after")


def test_numbers_that_are_not_rung(home: House) -> None:
    exchange = home.exchange(
        is_known=lambda number: number == "+8613812345678", max_outgoing_a_day=1
    )
    for number in (
        "+14155550100",
        "110",
        "+8657996315",
        "+8613812345679",
        "",
        "sip:a@b",
        "+86 138",
    ):
        answer = _post_call(exchange.settings.rest_base, number, home.app.base)
        assert answer == 400, number
    assert _post_call(exchange.settings.rest_base, "+8613812345678", home.app.base) == 201
    assert _post_call(exchange.settings.rest_base, "+8613812345678", home.app.base) == 429


def _post_call(base: str, to: str, app: str) -> int:
    answer = requests.post(
        f"{base}/2010-04-01/Accounts/{ACCOUNT}/Calls.json",
        data={"To": to, "From": OUR_NUMBER, "Url": f"{app}/news"},
        auth=(ACCOUNT, TOKEN),
        timeout=5,
    )
    json.loads(answer.text)
    return answer.status_code
