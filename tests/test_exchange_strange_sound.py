"""Sound from strangers, none at all, and keys that are broken: ports that nobody else can use."""

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from exchange_house import (
    MOST,
    House,
    came_through,
    house,
    prompt,
)
from raw_sip import PLAIN, RawCaller, press_five, rtp_header, sdp, send_sound

WAIT = '<Gather action="/turn" numDigits="1" timeout="60" finishOnKey=""/>'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as whole:
        whole.app.pages["/voice"] = lambda form: WAIT
        yield whole


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
                send_sound(caller.rtp, caller.far_rtp, at, mine[at : at + 160], 1)
                send_sound(stranger, caller.far_rtp, at, theirs[at : at + 160], 2)
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
            caller.rtp.sendto(
                rtp_header(126, number, 160, 1) + payload, ("127.0.0.1", caller.far_rtp)
            )
        press_five(caller)  # the key goes down; no packet says that it comes up
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
            send_sound(caller.rtp, caller.far_rtp, 0, sound, 1)
        while not (line := dead.receive()[0]).startswith("BYE "):
            assert line.startswith("SIP/2.0 "), line
        exchange.until(lambda: exchange.exchange.engine.live == 1)
        assert held.bye() == 200
    home.app.wait_for("/status", count=2)
