"""A real microphone in a real browser: what is spoken into it becomes the text on the ticket.

Chromium's stand-in device plays a file as if somebody spoke. The voice is one of the demonstration's
samples; the path from there on (opus in webm, upload, fetch, decoding, libvosk) is the real one.
"""

import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import PATIENCE, Served
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import select
from test_handset import hangs_up, hears, is_at_rest, keeps_promises, quickly
from test_handset import served as served

from asr.recognizer import load
from hotline.demo import MODEL
from hotline.web.handset import SAMPLES
from tickets.models import Fetch, Kind, Recording

HEAD_START_SECONDS = 1.0  # recording has begun before the voice does


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """A sample with silence before and after it, as a person leaves."""
    with wave.open(str(SAMPLES / "leaking-pipe.wav")) as sample:
        rate, sound = sample.getframerate(), sample.readframes(sample.getnframes())
    file = tmp_path / "voice.wav"
    silence = bytes(int(rate * HEAD_START_SECONDS) * 2)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(silence + sound + silence)
    return file


@pytest.fixture
def phone(voice: Path, served: Served) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={voice}",
            ],
        )
        page = browser.new_context(permissions=["microphone"], locale="zh-CN").new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{served.url}/phone?hurry=20")
        yield page
        browser.close()


def test_what_is_spoken_into_the_microphone_becomes_the_text(phone: Page, served: Served) -> None:
    quickly(phone)
    phone.click("#dial")
    phone.wait_for_selector("#speak:not([hidden])")
    phone.click("#mic")
    phone.wait_for_timeout(6500)  # the speaking takes so long
    hangs_up(phone)
    hears(phone, "说了一段话")

    keeps_promises(served, load(MODEL))
    with served.desk.runtime.db.reading() as session:
        recording = session.get_one(Recording, 1)
        assert recording.fetch is Fetch.STORED
        assert "webm" in recording.media_type
        assert recording.transcript
        assert "水管" in recording.transcript.text


def test_whoever_hangs_up_as_the_recording_begins_has_left_no_message(
    phone: Page, served: Served
) -> None:
    phone.click("#dial")
    phone.wait_for_selector("#speak:not([hidden])")
    phone.evaluate("""() => {
        new MutationObserver(() => $("hang").click()).observe($("state"), { childList: true });
        $("mic").click();
    }""")
    is_at_rest(phone)
    served.desk.clock.advance(180)  # a recording might still have come
    keeps_promises(served)
    assert served.desk.ticket(1).kind is Kind.RING_BACK
    with served.desk.runtime.db.reading() as session:
        assert session.scalars(select(Recording)).all() == []
