"""The exchange's parts by themselves: TwiML, G.711, levels, speech, safety, REST, the self-test."""

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exchange_house import (
    ACCOUNT,
    OUR_NUMBER,
    TOKEN,
    House,
    files_no_larger_than,
    find,
    house,
    prompt,
)
from hypothesis import given
from hypothesis import strategies as st
from softphone import free_port, read_wav, write_wav
from sqlalchemy import event, select, text
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from ivr.exchange import g711, selftest, twiml
from ivr.exchange.audio import active_level_dbov, decode, levelled, tone
from ivr.exchange.keys import Keys
from ivr.exchange.leg import TakeLimits
from ivr.exchange.media import Media, RtpPorts
from ivr.exchange.recorder import Ear, Recorder
from ivr.exchange.retransmission import RetransmittingTransport
from ivr.exchange.safety import Gate, NotAllowedError, dialled
from ivr.exchange.settings import EngineKind, ExchangeSettings, Trunk, WrongExchangeSettingsError
from ivr.exchange.speech import Speaker
from ivr.exchange.store import NotKeptError, RecordingRow, Store

GOOD = ExchangeSettings(
    account_sid=ACCOUNT,
    auth_token=TOKEN,
    our_number=OUR_NUMBER,
    voice_url="http://127.0.0.1:8000/ivr/call",
    trunk=Trunk("127.0.0.1"),
)


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth_token": ""},
        {"account_sid": "AC1"},
        {"our_number": "057982345678"},
        {"rest_host": "0.0.0.0"},
        {"rest_host": "192.168.1.5"},
        {"sip_host": "0.0.0.0"},
        {"sip_host": "exchange.local"},
        {"peers": ("0.0.0.0/0",)},
        {"peers": ("box",)},
        {"trunk": None},
        {"rtp_ports": (40000, 40010)},
        {"trunk": Trunk("127.0.0.1", register=True)},
        {"engine": EngineKind.ASTERISK},
    ],
)
def test_settings_that_would_open_a_door_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(WrongExchangeSettingsError):
        replace(GOOD, **wrong)  # type: ignore[arg-type]


def test_no_secret_is_printed() -> None:
    assert TOKEN not in repr(GOOD)


# TwiML


@given(st.text(max_size=300))
def test_any_text_is_verbs_or_a_broken_document(text: str) -> None:
    for document in (text, f"<Response>{text}</Response>"):
        with suppress(twiml.BrokenTwimlError):
            assert isinstance(twiml.read(document), tuple)


def test_the_portable_subset() -> None:
    verbs = twiml.read(
        '<?xml version="1.0" encoding="UTF-8"?><Response><!-- a note --><Say>您好</Say><Play>/a.wav</Play>'
        '<Gather action="/t" numDigits="1" timeout="8" finishOnKey=""><Say>请按1</Say></Gather>'
        '<Record action="/r" maxLength="180" timeout="8" finishOnKey="" playBeep="false"/>'
        '<Dial timeout="25"><Number url="/w">+8613812345678</Number></Dial>'
        '<Redirect method="GET">/x</Redirect><Reject reason="busy"/><Hangup/></Response>'
    )
    assert [type(verb).__name__ for verb in verbs] == (
        ["Say", "Play", "Gather", "Record", "Dial", "Redirect", "Reject", "Hangup"]
    )
    assert verbs[2] == twiml.Gather((twiml.Say("请按1"),), "/t", "POST", 8, 1, "")


# Sound


def test_g711_is_what_the_standard_says() -> None:
    for law in g711.NAMES:
        table = g711.DECODE[law]
        codes = np.arange(256, dtype=np.uint8)
        # Every code comes back as itself, but for µ-law's two zeros.
        back = np.frombuffer(g711.encode(table, law), np.uint8)
        assert ((back == codes) | (table == 0)).all()
    assert g711.decode(b"\xd5\x55\xaa\x2a", g711.PCMA).tolist() == [8, -8, 32256, -32256]
    assert g711.decode(b"\xff\x80\x00", g711.PCMU).tolist() == [0, 32124, -32124]
    sound = prompt(1, 0.5)
    there = g711.convert(g711.encode(sound), g711.PCMA, g711.PCMU)
    assert find(sound, g711.decode(there, g711.PCMU))[0] > 0.999


def test_speech_is_levelled() -> None:
    for gain in (0.05, 0.5, 3.0):
        loud = (prompt(3, 2.0) * gain).clip(-32768, 32767).astype(np.int16)
        result = levelled(loud)
        assert active_level_dbov(result) == pytest.approx(-19, abs=0.5)
        assert np.abs(result).max() <= 32768 * 10 ** (-3 / 20)
    assert not levelled(np.zeros(8000, np.int16)).any()


def test_the_ear_tells_speech_from_noise() -> None:
    dice = np.random.default_rng(0)
    for level, quiet in ((-70, -70), (-50, -65), (-25, -45)):
        ear = Ear()
        noise = dice.standard_normal(5 * 8000) * 32768 * 10 ** (quiet / 20)
        _listen(ear, noise.astype(np.int16))
        before = ear.voiced_seconds
        speech = prompt(1, 2.0) * 10 ** ((level + 19) / 20)
        _listen(ear, (speech + noise[:16000]).clip(-32768, 32767).astype(np.int16))
        assert (ear.voiced_seconds - before > 1.0) is (level > -60), level
        assert _listen(ear, noise.astype(np.int16)) < 1.0


def _listen(ear: Ear, samples: np.ndarray) -> float:
    """Seconds that the ear takes for speech."""
    before = ear.voiced_seconds
    for at in range(0, len(samples), 160):
        ear.hears(g711.encode(samples[at : at + 160]), g711.PCMA)
    return ear.voiced_seconds - before


def test_packets_out_of_order_and_lost_ones_keep_their_places(tmp_path: Path) -> None:
    sound = prompt(2, 1.0)
    frames = [(at, g711.encode(sound[at : at + 160])) for at in range(0, 8000, 160)]
    frames[10], frames[11] = frames[11], frames[10]
    del frames[20]
    recorder = Recorder(tmp_path / "RE1.wav", g711.PCMA, TakeLimits(10, 10, ""))
    for at, payload in frames:
        recorder.put(payload, (4294960000 + at) & 0xFFFFFFFF)  # the time stamp runs over
    recorder.finish()
    kept = read_wav(tmp_path / "RE1.wav")
    expected = g711.decode(g711.encode(sound)).copy()
    lost = 20 * 160
    expected[lost : lost + 160] = 8
    score, at = find(expected, kept)
    assert (score, at) == (pytest.approx(1.0, abs=1e-3), 0)
    assert not list(tmp_path.glob("*.?law"))


def test_a_recording_takes_its_room_before_a_word_is_said(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "RE1.wav", g711.PCMA, TakeLimits(10, 10, ""))
    taken = sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir())
    assert taken >= 3 * 10 * 8000  # as it comes, and the wav made of it
    recorder.put(b"\x2a" * 8000, 0)
    recorder.finish()
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_size < 2.5 * 16_000
    with files_no_larger_than(100_000), pytest.raises(OSError, match="large"):
        Recorder(tmp_path / "RE2.wav", g711.PCMA, TakeLimits(10, 10, ""))
    assert list(tmp_path.iterdir()) == [kept]


def test_a_disk_that_failed_for_a_moment_costs_nothing(tmp_path: Path) -> None:
    sound = g711.encode(prompt(2, 4.0))
    recorder = Recorder(tmp_path / "RE1.wav", g711.PCMA, TakeLimits(10, 10, ""))
    with files_no_larger_than(8_000):
        recorder.put(sound[:16_000], 0)
        recorder.put(sound[16_000:], 16_000)  # waits in memory
        with pytest.raises(OSError, match="large"):
            recorder.finish()
    recorder.finish()
    assert recorder.kept_seconds == 4.0
    assert find(g711.decode(sound), read_wav(tmp_path / "RE1.wav"))[0] > 0.99


def test_what_is_written_at_once_is_written_together_and_one_fault_is_one_fault(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        store = Store(tmp_path)
        commits: list[object] = []
        event.listen(store._engine, "commit", commits.append)
        held = threading.Event()
        first = asyncio.create_task(store.do(lambda _: held.wait(10)))
        rows = [RecordingRow(sid=f"RE{n}", call_sid="CA1", started_at="") for n in range(20)]
        others = [asyncio.create_task(store.save(row)) for row in rows]
        await asyncio.sleep(0)  # all of them wait for the first
        held.set()
        await asyncio.gather(first, *others)
        assert len(commits) == 1  # the first wrote nothing
        wrong = store.do(lambda session: session.execute(text("no SQL")))
        for row in rows:
            row.status = "completed"
        saves = [store.save(row) for row in rows]
        fault, *none = await asyncio.gather(wrong, *saves, return_exceptions=True)
        assert isinstance(fault, NotKeptError)
        assert none == [None] * 20
        kept = await store.do(lambda session: session.scalars(select(RecordingRow.status)).all())
        assert list(kept) == ["completed"] * 20
        store.close()

    asyncio.run(work())


def test_words_are_spoken_once_and_kept(tmp_path: Path) -> None:
    async def work() -> None:
        speaker = Speaker(tmp_path / "cache", None, "cmn-latn-pinyin", 150)
        first, second = await asyncio.gather(speaker.say("请办三件事"), speaker.say("请办三件事"))
        assert first is second
        assert 0.8 < first.seconds < 4
        assert active_level_dbov(g711.decode(first.alaw)) == pytest.approx(-19, abs=1)
        (kept,) = (tmp_path / "cache").glob("*.wav")
        kept.write_bytes(b"RIFF")  # a crash in the middle of writing
        again = Speaker(tmp_path / "cache", None, "cmn-latn-pinyin", 150)
        assert (await again.say("请办三件事\n")).alaw == first.alaw
        assert (await again.say("")).alaw == b""

    asyncio.run(work())


def test_the_neighbours_own_recording_comes_first(tmp_path: Path) -> None:
    mine = prompt(5, 1.0)
    write_wav(tmp_path / "I01.wav", mine)
    (tmp_path / "I01.txt").write_text("您好，\n这里是助跑热线\n", encoding="utf-8")
    speaker = Speaker(tmp_path / "cache", tmp_path, "cmn-latn-pinyin", 150)
    sound = asyncio.run(speaker.say("您好， 这里是助跑热线"))
    assert find(levelled(mine), g711.decode(sound.alaw))[0] > 0.99


def test_any_sound_file_is_taken(tmp_path: Path) -> None:
    sound = tone(440, 1.0, -19)
    write_wav(tmp_path / "a.wav", sound)
    assert np.array_equal(decode((tmp_path / "a.wav").read_bytes()), sound)
    made = subprocess.run(
        ["espeak-ng", "--stdout", "hello"], capture_output=True, check=True
    ).stdout
    assert len(decode(made)) > 2000  # 22,050 Hz, and a header that names no length


def test_what_comes_late_for_the_call_before_is_left_out() -> None:
    """The next call has its port already, and knows nothing yet of who will speak on it."""

    async def work() -> None:
        ports = RtpPorts("127.0.0.1", (free_port(pair=True), 65000))
        media = await Media.create(
            local_addr=("127.0.0.1", 0), remote_addr=("127.0.0.1", 9), payload_type=g711.PCMA,
            port_allocator=ports,
        )  # fmt: skip
        assert isinstance(media, Media)
        packet = b"\x80\x08" + bytes(10 + g711.FRAME)
        media._handle_rtp(packet, ("127.0.0.1", 4000))
        media._handle_rtcp(b"\x80\xc8" + bytes(30), ("127.0.0.1", 4001))
        media.configure(Keys(), g711.PCMA, ())
        assert media.heard_at == 0
        media._handle_rtp(packet, ("127.0.0.1", 9))
        assert media.heard_at > 0
        await media.close()

    asyncio.run(work())


# Safety


def test_numbers_as_this_line_dials_them() -> None:
    assert dialled("+8613812345678", GOOD) == "13812345678"
    assert dialled("+8657982345678", GOOD) == "82345678"
    assert dialled("+8657182345678", GOOD) == "057182345678"
    assert dialled("+85221234567", replace(GOOD, outside_prefix="9")) == "90085221234567"


def test_only_allowed_and_known_numbers_are_rung() -> None:
    gate = Gate(GOOD)
    gate.check_outgoing("+8613812345678", 0, 0, known=True)
    for number, today, to_one, known in (
        ("+8613812345678", 0, 0, False),
        ("+14155550100", 0, 0, True),
        ("13812345678", 0, 0, True),
        ("+8613812345678", 300, 0, True),
        ("+8613812345678", 0, 12, True),
    ):
        with pytest.raises(NotAllowedError):
            gate.check_outgoing(number, today, to_one, known)


@given(st.binary(max_size=600))
def test_no_datagram_breaks_the_ear(data: bytes) -> None:
    transport = RetransmittingTransport(("127.0.0.1", 0), ())
    transport._is_peer = lambda host: True  # type: ignore[method-assign]
    transport._loop = asyncio.new_event_loop()
    try:
        transport.received(b"OPTIONS sip:a SIP/2.0\r\n" + data, ("127.0.0.1", 5060))
        transport.received(data, ("127.0.0.1", 5060))
    finally:
        transport._loop.close()


# REST


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as whole:
        yield whole


def test_the_unchanged_client_talks_to_it(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ivr.exchange.retransmission.NO_PROXY_SECONDS", 0.6)
    exchange = home.exchange()
    client = exchange.client
    placed = client.calls.create(
        to="+8613812345678", from_=OUR_NUMBER, url=f"{home.app.base}/x", timeout=20
    )
    assert placed.sid.startswith("CA")
    assert placed.direction == "outbound-api"
    assert [call.sid for call in client.calls.list(to="+8613812345678")] == [placed.sid]
    assert client.calls.list(to="+8613800000000") == []
    exchange.until(lambda: client.calls(placed.sid).fetch().status == "failed")
    for wrong in (
        lambda: client.calls("CA" + "0" * 32).fetch(),
        lambda: client.calls(placed.sid).update(status="canceled"),
        lambda: client.recordings("RE" + "0" * 32).fetch(),
        lambda: client.recordings("RE" + "0" * 32).delete(),
        lambda: client.calls.create(to="+8613812345678", from_=OUR_NUMBER, url="ftp://x"),
    ):
        with pytest.raises(TwilioRestException):
            wrong()
    stranger = Client(ACCOUNT, "not-the-secret-of-it")
    stranger.api.base_url = exchange.settings.rest_base
    with pytest.raises(TwilioException, match="401"):
        stranger.calls.list()


def test_the_exchange_rings_itself() -> None:
    findings = asyncio.run(selftest.run())
    assert [finding.name for finding in findings] == ["answer", "prompt", "key", "recording"]
    assert all(finding.passed for finding in findings), findings
