"""What comes in broken, hostile or not at all: refused or ended politely, and other calls go on."""

import json
import socket
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
    files_no_larger_than,
    house,
    prompt,
    wav_bytes,
)
from flask import Response
from raw_sip import PLAIN, RawCaller, sdp
from softphone import RATE, Phone
from sqlalchemy import text
from twilio.base.exceptions import TwilioRestException

from ivr.exchange import g711

WAIT = '<Gather action="/turn" numDigits="1" timeout="60" finishOnKey=""/>'
REQUEST, THANKS = prompt(7, 1.0), prompt(8, 1.0)
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


def test_nothing_listens_beyond_the_configured_addresses(home: House) -> None:
    exchange = home.exchange()
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        ours = {exchange.sip_port, exchange.settings.rest_port, caller.far_rtp, caller.far_rtp + 1}
        listening = set()
        for kind in ("udp", "tcp", "udp6", "tcp6"):
            for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
                host, port = line.split()[1].split(":")
                if int(port, 16) in ours:
                    listening.add((int(port, 16), host))
        assert listening == {(port, "0100007F") for port in ours}
        assert caller.bye() == 200


def test_a_stranger_is_told_nothing_about_where_he_is(home: House) -> None:
    """The RTP library would answer STUN, whoever asks."""
    exchange = home.exchange()
    stun = struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)
    with RawCaller(exchange.sip_port) as caller, RawCaller(exchange.sip_port) as other:
        assert caller.invite() == 200
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            stranger.sendto(stun, ("127.0.0.1", caller.far_rtp))
            for number in (1, 2):
                assert other.answer_to(other.request("OPTIONS", number=number)) == 200
            with pytest.raises(BlockingIOError):
                stranger.recv(100)
        assert caller.bye() == 200


def test_sound_from_a_stranger_is_left_out(home: House) -> None:
    home.app.pages["/voice"] = lambda form: (
        '<Record action="/kept" maxLength="20" timeout="10" playBeep="false"/>'
    )
    exchange = home.exchange()
    mine, theirs = prompt(5, 1.5), prompt(6, 1.5)
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        exchange.wait_for_recording()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            began = time.monotonic()
            for at in range(0, len(mine), 160):
                time.sleep(max(0.0, began + at / 8000 - time.monotonic()))  # a phone's pace
                _rtp(caller.rtp, caller.far_rtp, at, mine[at : at + 160], 1)
                _rtp(stranger, caller.far_rtp, at, theirs[at : at + 160], 2)
        assert caller.bye() == 200
        kept = home.app.wait_for("/kept")
    recording = exchange.recording(kept.form["RecordingSid"])
    middle = slice(2000, 10000)  # the first and last frames depend on when the recording began
    assert came_through(mine[middle], recording) >= MOST
    assert came_through(theirs[middle], recording) == 0


def test_keys_whose_end_is_lost_and_broken_ones(home: House) -> None:
    exchange = home.exchange()
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        home.app.wait_for("/voice")
        for number, payload in enumerate([b"", b"\x05", struct.pack("!BBH", 77, 10, 160)]):
            caller.rtp.sendto(_header(126, number, 160, 1) + payload, ("127.0.0.1", caller.far_rtp))
        _press_five(caller)  # the key goes down; no packet says that it comes up
        assert home.app.wait_for("/turn").form["Digits"] == "5"


def test_no_sound_at_all(home: House) -> None:
    exchange = home.exchange(no_media_seconds=0.5)
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        assert caller.receive()[0].startswith("BYE ")
        home.app.wait_for("/status", CallStatus="completed")


def test_sound_that_stops_for_ever(home: House) -> None:
    """A box that loses its power says no BYE; a telephone on hold is waited for."""
    exchange = home.exchange(lost_media_seconds=0.5)
    sound = np.zeros(160, np.int16)
    with RawCaller(exchange.sip_port) as dead, RawCaller(exchange.sip_port) as held:
        for caller in (dead, held):
            assert caller.invite() == 200
        hold = held.request("INVITE", sdp(held.rtp_port, lines=PLAIN + "a=sendonly\r\n"), number=2)
        assert held.answer_to(hold) == 200
        for caller in (dead, held):
            _rtp(caller.rtp, caller.far_rtp, 0, sound, 1)
        while not (line := dead.receive()[0]).startswith("BYE "):
            assert line.startswith("SIP/2.0 "), line
        exchange.until(lambda: exchange.exchange.engine.live == 1)
        assert held.bye() == 200
    home.app.wait_for("/status", count=2)


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
        heard = _listen_until_bye(caller)
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


def test_a_full_disk(home: House) -> None:
    home.app.pages["/voice"] = lambda form: (
        '<Record action="/kept" playBeep="false"/><Redirect>/empty</Redirect>'
    )
    home.app.pages["/fallback"] = lambda form: "<Hangup/>"
    exchange = home.exchange(min_free_bytes=1 << 60, fallback_url=f"{home.app.base}/fallback")
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        home.app.wait_for("/fallback")
        assert caller.receive()[0].startswith("BYE ")
    assert home.app.count("/kept") == home.app.count("/empty") == 0


def test_a_disk_that_no_longer_takes_anything(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What she said is safe and her call goes on; when the disk is well again, all of it is told."""
    home.app.pages["/voice"] = lambda form: (
        '<Record action="/kept" playBeep="false" finishOnKey="5" timeout="60"'
        ' recordingStatusCallback="/recorded"/>'
    )
    home.app.sounds["/thanks.wav"] = wav_bytes(THANKS)
    home.app.pages["/kept"] = lambda form: "<Play>/thanks.wav</Play>"
    exchange = home.exchange()
    monkeypatch.setattr("ivr.exchange.call.FULL_DISK_SECONDS", 0.05)

    def takes_nothing(so: bool) -> None:
        pragma = text(f"PRAGMA query_only={int(so)}")
        exchange.ask(exchange.exchange.store.do(lambda session: session.execute(pragma)))

    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        exchange.wait_for_recording()
        takes_nothing(True)
        for at in range(0, len(REQUEST), 160):
            _rtp(caller.rtp, caller.far_rtp, at, REQUEST[at : at + 160], 1)
        _press_five(caller)
        heard = _listen_until_bye(caller)
    assert came_through(THANKS, heard) >= MOST
    sid = home.app.wait_for("/kept", Digits="5").form["RecordingSid"]
    assert home.app.count("/recorded") == home.app.count("/status") == 0
    with pytest.raises(TwilioRestException) as refused:
        exchange.client.calls.create(to="+8613812345678", from_=OUR_NUMBER, url=home.app.base)
    assert refused.value.status == 500
    takes_nothing(False)
    home.app.wait_for("/recorded", RecordingSid=sid)
    home.app.wait_for("/status", CallStatus="completed")
    assert came_through(REQUEST, exchange.recording(sid)) >= MOST


def test_a_disk_that_fails_while_she_speaks(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """She is asked again; what she said waits in memory and is kept when the disk is well."""
    home.app.pages["/voice"] = lambda form: (
        '<Record action="/kept" playBeep="false" finishOnKey="5" timeout="60"'
        ' recordingStatusCallback="/recorded"/><Redirect>/empty</Redirect>'
    )
    home.app.sounds["/thanks.wav"] = wav_bytes(THANKS)
    home.app.pages["/empty"] = lambda form: "<Play>/thanks.wav</Play>"
    monkeypatch.setattr("ivr.exchange.call.FULL_DISK_SECONDS", 0.05)
    exchange = home.exchange()
    with RawCaller(exchange.sip_port) as caller:
        assert caller.invite() == 200
        exchange.wait_for_recording()
        with files_no_larger_than(4_000):
            for at in range(0, len(REQUEST), 160):
                _rtp(caller.rtp, caller.far_rtp, at, REQUEST[at : at + 160], 1)
            _press_five(caller)
            heard = _listen_until_bye(caller)
    assert came_through(THANKS, heard) >= MOST
    told = home.app.wait_for("/recorded").form
    assert "ErrorCode" not in told  # nothing is lost
    home.app.wait_for("/status", CallStatus="completed")
    assert came_through(REQUEST, exchange.recording(told["RecordingSid"])) >= MOST
    assert home.app.count("/kept") == 0


def _press_five(caller: RawCaller) -> None:
    for number in range(10, 15):
        event = struct.pack("!BBH", 5, 10, 160 * (number - 9))
        caller.rtp.sendto(_header(126, number, 320, 1) + event, ("127.0.0.1", caller.far_rtp))


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


def _header(kind: int, number: int, stamp: int, source: int) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, number, stamp, source)


def _rtp(end: socket.socket, port: int, at: int, samples: np.ndarray, source: int) -> None:
    payload = g711.encode(samples)
    end.sendto(_header(8, at // 160, at, source) + payload, ("127.0.0.1", port))


def _listen_until_bye(caller: RawCaller) -> np.ndarray:
    caller.sip.setblocking(False)
    caller.rtp.settimeout(0.2)
    heard = bytearray()
    while True:
        try:
            if caller.sip.recv(65536).startswith(b"BYE "):
                return g711.decode(bytes(heard))
        except BlockingIOError:
            pass
        try:
            heard += caller.rtp.recv(2000)[12:]
        except TimeoutError:
            continue
