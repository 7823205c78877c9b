"""Any recording in, PCM out: what the ear makes of good, odd and lying files."""

import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import sounds

from asr import audio

SAID = sounds.voice(3.0)


def heard(
    folder: Path, content: bytes, name: str = "recording.wav", **limits: float
) -> audio.Sound:
    path = sounds.saved(folder, name, content)
    return audio.read(
        path, rate_hz=int(limits.get("rate_hz", 8000)), max_seconds=limits.get("max_seconds", 300)
    )


def speech_dbov(sound: audio.Sound) -> float:
    samples = sound.samples.astype(float) / 32768
    frames = samples[: samples.size // 160 * 160].reshape(-1, 160)
    power = (frames**2).mean(axis=1)
    return 10 * np.log10(power[power > power.max() / 100].mean())


@pytest.mark.parametrize("name", sounds.every_kind(sounds.silence(0.2)))
def test_each_kind_of_file_is_read_to_the_same_length_and_level(tmp_path: Path, name: str) -> None:
    sound = heard(tmp_path, sounds.every_kind(SAID)[name], name)
    assert sound.seconds == pytest.approx(3.0, abs=0.2)
    assert sound.speech_seconds == pytest.approx(1.3, abs=0.7)
    assert speech_dbov(sound) == pytest.approx(-20, abs=2.5)


def test_a_gsm_recording_is_read(tmp_path: Path) -> None:
    # 65 bytes are two frames of GSM 06.10, 320 samples; the format's own magic and zeros are a soft click and silence.
    content = sounds.wav(bytes(65) * 50, codec=0x31, bits=0, block_bytes=65)
    assert heard(tmp_path, content).seconds == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_the_sound_comes_at_the_rate_that_the_model_wants(tmp_path: Path, rate_hz: int) -> None:
    sound = heard(tmp_path, sounds.wav(sounds.pcm16(SAID)), rate_hz=rate_hz)
    assert sound.rate_hz == rate_hz
    assert sound.samples.dtype == np.int16
    assert sound.samples.size / rate_hz == pytest.approx(3.0, abs=0.4)


GOOD = sounds.pcm16(SAID)
LYING_HEADERS = {
    "sizes FFFFFFFF": sounds.wav(GOOD, data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF),
    "sizes nought": sounds.wav(GOOD, data_size=0, riff_size=0),
    "rate nought": sounds.wav(GOOD, rate_hz=0),
    "rate absurd": sounds.wav(GOOD, rate_hz=0xFFFFFFF0),
    "rate of one": sounds.wav(GOOD, rate_hz=1),
    "no channels": sounds.wav(GOOD, channels=0),
    "fmt size huge": sounds.wav(GOOD, fmt_size=0xFFFFFFF0),
    "big-endian mark": sounds.wav(GOOD, magic=b"RIFX"),
    "big-endian mark and samples": sounds.wav(
        np.frombuffer(GOOD, "<i2").astype(">i2").tobytes(), magic=b"RIFX"
    ),
}


@pytest.mark.parametrize("lie", LYING_HEADERS)
def test_a_header_that_lies_costs_no_speech(tmp_path: Path, lie: str) -> None:
    sound = heard(tmp_path, LYING_HEADERS[lie])
    honest = heard(tmp_path, sounds.wav(GOOD), "honest.wav")
    assert sound.seconds == pytest.approx(honest.seconds, abs=0.01)
    assert sound.speech_seconds == pytest.approx(honest.speech_seconds, abs=0.1)


def test_the_length_is_that_of_the_samples_not_of_the_header(tmp_path: Path) -> None:
    cut = sounds.wav(GOOD, data_size=len(GOOD))[: 44 + len(GOOD) // 2]
    assert heard(tmp_path, cut).seconds == pytest.approx(1.5, abs=0.01)


def test_two_recordings_glued_together_are_both_heard(tmp_path: Path) -> None:
    assert heard(tmp_path, sounds.wav(GOOD) * 2).seconds == pytest.approx(6.0, abs=0.05)


def test_a_broken_off_mp3_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = sounds.encoded(SAID, "mp3", "libmp3lame")
    assert heard(tmp_path, whole[: len(whole) // 2]).seconds == pytest.approx(1.5, abs=0.3)


def test_the_name_of_a_file_is_not_believed(tmp_path: Path) -> None:
    assert (
        heard(tmp_path, sounds.encoded(SAID, "mp3", "libmp3lame"), "really-mp3.wav").seconds > 2.8
    )


def test_a_header_without_sound_is_a_recording_of_nothing(tmp_path: Path) -> None:
    sound = heard(tmp_path, sounds.wav(b"", data_size=96_000))
    assert (sound.seconds, sound.speech_seconds, sound.samples.size) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        sounds.wav(b"")[:36],
        b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        os.urandom(64),
    ],
    ids=["empty", "error page", "no data chunk", "playlist", "list of files", "chance"],
)
def test_what_is_no_sound_is_said_to_be_unreadable(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(audio.Unreadable):
        heard(tmp_path, content)


def test_a_folder_a_missing_file_and_a_pipe_are_unreadable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "missing.wav", tmp_path / "pipe"):
        with pytest.raises(audio.Unreadable):
            audio.read(path, rate_hz=8000, max_seconds=10)


@pytest.mark.parametrize(
    "legs",
    [
        (SAID, -SAID),
        (SAID, SAID * 0),
        (SAID * 0, SAID),
        (sounds.busy_tone(3.0) * 4, SAID),
    ],
    ids=["anti-phase", "right silent", "left silent", "a loud tone on the left"],
)
def test_of_two_legs_the_one_that_speaks_is_heard(
    tmp_path: Path, legs: tuple[sounds.Sound, ...]
) -> None:
    alone = heard(tmp_path, sounds.wav(GOOD), "alone.wav")
    both = heard(tmp_path, sounds.wav(sounds.pcm16(np.array(legs)), channels=2))
    assert both.speech_seconds == pytest.approx(alone.speech_seconds, abs=0.05)
    assert speech_dbov(both) == pytest.approx(speech_dbov(alone), abs=1)


@pytest.mark.parametrize("level_dbov", [-60, -45, -30, -12])
def test_speech_is_brought_to_the_level_the_models_know(tmp_path: Path, level_dbov: float) -> None:
    sound = heard(tmp_path, sounds.wav(sounds.pcm16(sounds.voice(3.0, level_dbov=level_dbov))))
    assert speech_dbov(sound) == pytest.approx(-20, abs=2.5)


def test_a_constant_offset_is_taken_out(tmp_path: Path) -> None:
    sound = heard(tmp_path, sounds.wav(sounds.pcm16(SAID + 0.3)))
    assert abs(sound.samples.mean()) < 50
    assert speech_dbov(sound) == pytest.approx(-20, abs=2.5)


@pytest.mark.parametrize(
    "tail",
    [sounds.silence(5), sounds.busy_tone(5), sounds.noise(5)],
    ids=["silence", "busy", "noise"],
)
def test_what_follows_the_last_word_is_cut_off(tmp_path: Path, tail: sounds.Sound) -> None:
    sound = heard(tmp_path, sounds.wav(sounds.pcm16(np.concatenate([SAID, tail]))))
    assert sound.seconds == pytest.approx(8.0, abs=0.01)
    assert sound.samples.size / 8000 == pytest.approx(3.0, abs=0.4)


@pytest.mark.parametrize(
    "nothing",
    [sounds.silence(4), sounds.noise(4), sounds.noise(4, level_dbov=-25), sounds.busy_tone(4), sounds.ring_tone(12),
     sounds.busy_tone(4) + sounds.noise(4, level_dbov=-50), sounds.silence(4) + 0.2],
    ids=["silence", "noise", "loud noise", "busy tone", "ring tone", "busy tone in noise", "offset alone"],
)  # fmt: skip
def test_a_line_on_which_nobody_speaks_has_no_speech(tmp_path: Path, nothing: sounds.Sound) -> None:
    assert heard(tmp_path, sounds.wav(sounds.pcm16(nothing))).speech_seconds < 0.2


def test_a_short_word_without_any_pause_is_speech(tmp_path: Path) -> None:
    assert heard(tmp_path, sounds.wav(sounds.pcm16(sounds.voice(0.3)[240:900]))).speech_seconds > 0


def test_a_recording_longer_than_the_limit_is_cut_not_read(tmp_path: Path) -> None:
    sound = heard(tmp_path, sounds.wav(GOOD * 40), max_seconds=7.5)
    assert sound.seconds == pytest.approx(7.5, abs=0.01)


def test_a_float_file_of_impossible_values_is_read_as_numbers(tmp_path: Path) -> None:
    wild = (
        struct.pack("<8f", float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 1e-45, 0, 1)
        * 1000
    )
    sound = heard(tmp_path, sounds.wav(wild, codec=3, bits=32))
    assert sound.samples.size <= 8000


def test_the_original_is_never_altered(tmp_path: Path) -> None:
    for lie, content in LYING_HEADERS.items():
        path = sounds.saved(tmp_path, f"{lie}.wav", content)
        path.chmod(0o400)
        audio.read(path, rate_hz=8000, max_seconds=300)
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("channels", [2, 6, 9, 16, 40])
def test_a_file_of_many_legs_is_heard_by_its_first_two(tmp_path: Path, channels: int) -> None:
    legs = np.zeros((channels, SAID.size))
    legs[1] = SAID
    content = sounds.wav(sounds.pcm16(legs), channels=channels)
    assert heard(tmp_path, content).speech_seconds == pytest.approx(1.3, abs=0.5)
