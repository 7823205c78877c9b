"""A disk that is full, or fails while somebody speaks: nothing is lost without a word."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from exchange_house import (
    MOST,
    OUR_NUMBER,
    House,
    came_through,
    files_no_larger_than,
    house,
    prompt,
    until,
    wav_bytes,
)
from raw_sip import RawCaller, listen_until_bye, press_five, send_sound
from sqlalchemy import text
from twilio.base.exceptions import TwilioRestException

REQUEST, THANKS = prompt(7, 1.0), prompt(8, 1.0)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as whole:
        yield whole


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
            send_sound(caller.rtp, caller.far_rtp, at, REQUEST[at : at + 160], 1)
        press_five(caller)
        heard = listen_until_bye(caller)
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
        folder = exchange.settings.data_folder / "recordings"  # until its room is taken
        until(lambda: any(half.stat().st_size for half in folder.glob("*.half")))
        with files_no_larger_than(4_000):
            for at in range(0, len(REQUEST), 160):
                send_sound(caller.rtp, caller.far_rtp, at, REQUEST[at : at + 160], 1)
            press_five(caller)
            heard = listen_until_bye(caller)
    assert came_through(THANKS, heard) >= MOST
    told = home.app.wait_for("/recorded").form
    assert "ErrorCode" not in told  # nothing is lost
    home.app.wait_for("/status", CallStatus="completed")
    assert came_through(REQUEST, exchange.recording(told["RecordingSid"])) >= MOST
    assert home.app.count("/kept") == 0
