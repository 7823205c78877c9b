"""What in a sound is speech: which leg, how long, how loud, and where it ends.

Levels are in dBov: 0 is the loudest full-scale square wave (ITU-T G.100.1), so an int16 RMS of 3277 is −20.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

TARGET_DBOV = -20.0  # the level telephone speech is trained at; the line's own prompts sit at −19
MOST_GAIN_DB = 50.0  # peaks of −50 dBFS are still words; beyond that 16-bit samples hold only steps
TAIL_SECONDS = 0.3  # kept after the last word, so that its last sound is whole

FRAME_SECONDS = 0.02
VOICE_BAND_HZ = (250.0, 3400.0)  # above mains hum, below the line's edge
FLOOR_PERCENTILE = 10  # a tenth of any message is breath or pause
ABOVE_FLOOR_DB = 8.0
QUIETEST_DBOV = -80.0  # under this, 16-bit samples hold a step or two of noise
VOICED_DBOV = (
    -52.0
)  # a sound without a pause has no floor; louder than this and peaky, it is a voice
NOISE_FLATNESS = (
    0.42  # a hiss that starts half-way is loud too; one frame in a hundred of white noise is lower
)
VOICED_FLATNESS = 0.22  # voiced speech is under it
TONE_SHARE = 0.85  # of a frame's energy beside one frequency: a voice has harmonics
TONE_HOLD_SECONDS = 0.3  # a busy pulse lasts 0.35 s; no voice holds one bare frequency so long
SPEECH_FRAMES = 3  # 60 ms in a row: a shorter burst is a click


@dataclass(frozen=True, eq=False)
class Cleaned:
    """One leg made fit for the recogniser, and how much of it is speech."""

    samples: NDArray[np.int16]
    speech_seconds: float


def clean(legs: Samples, rate_hz: int) -> Cleaned:
    """Choose the leg that speaks, centre it, bring its speech to the target level and cut what follows it.

    The legs are never added up: a leg and its inverse, as some gateways hand them over, would cancel.
    """
    if not legs.size:
        return Cleaned(np.zeros(0, dtype=np.int16), 0.0)
    legs = legs - legs.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    heard = [(leg, speech_frames(leg, rate_hz)) for leg in legs]
    frame = _frame_samples(rate_hz)
    leg, speech = max(heard, key=lambda each: _speech_energy(each[0], each[1], frame))
    if not speech.any():
        return Cleaned(_int16(leg), 0.0)
    end = (int(np.flatnonzero(speech)[-1]) + 1) * frame + int(TAIL_SECONDS * rate_hz)
    gain = 10 ** (min(TARGET_DBOV - _speech_dbov(leg, speech, frame), MOST_GAIN_DB) / 20)
    return Cleaned(_int16(leg[:end] * np.float32(gain)), float(speech.sum()) * FRAME_SECONDS)


def speech_frames(leg: Samples, rate_hz: int) -> NDArray[np.bool_]:
    """Say for each 20 ms whether someone speaks. When in doubt, someone does: a person will listen."""
    frame = _frame_samples(rate_hz)
    count = leg.size // frame
    if count == 0:
        return np.zeros(0, dtype=bool)
    power = (
        np.abs(np.fft.rfft(leg[: count * frame].reshape(count, frame) * _window(frame), axis=1))
        ** 2
    )
    hertz = np.fft.rfftfreq(frame, 1 / rate_hz)
    power = power[:, (hertz >= VOICE_BAND_HZ[0]) & (hertz <= VOICE_BAND_HZ[1])]
    total = power.sum(axis=1) + 1e-20
    level = 10 * np.log10(total * 2 / (frame * float((_window(frame) ** 2).sum())))

    audible = level[level > QUIETEST_DBOV]
    if not audible.size:
        return np.zeros(count, dtype=bool)
    floor = max(float(np.percentile(level, FLOOR_PERCENTILE)), QUIETEST_DBOV)
    flatness = np.exp(np.log(power + 1e-20).mean(axis=1)) / (total / power.shape[1])
    loud = (level > floor + ABOVE_FLOOR_DB) & (flatness < NOISE_FLATNESS)
    voiced = (level > VOICED_DBOV) & (flatness < VOICED_FLATNESS)
    return _held((loud | voiced) & ~_tone(power, total), SPEECH_FRAMES)


def _tone(power: NDArray[np.floating], total: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Find frames of a call-progress tone (in China 450 Hz, GB/T 3380): one frequency, held."""
    peak = power.argmax(axis=1)
    rows = np.arange(len(peak))
    beside = sum(power[rows, np.clip(peak + step, 0, power.shape[1] - 1)] for step in (-1, 0, 1))
    pure = beside > TONE_SHARE * total
    hold = round(TONE_HOLD_SECONDS / FRAME_SECONDS)
    tone = np.zeros(len(peak), dtype=bool)
    for each in np.unique(peak[pure]):
        same = pure & (np.abs(peak - each) <= 1)
        if _held(same, hold).any():
            tone |= same  # also the pulse that the end of the recording cut short
    # The frame in which a tone starts or stops is splattered over the band: it belongs to the tone.
    return np.convolve(tone, [1, 1, 1], mode="same") > 0 if len(tone) > 2 else tone


def _held(flags: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Keep the runs of True that last at least so many frames (or the whole of a shorter sound)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    kept = np.zeros_like(flags)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        kept[start:end] = end - start >= min(least, len(flags))
    return kept


def _speech_energy(leg: Samples, speech: NDArray[np.bool_], frame: int) -> tuple[float, float]:
    """Weigh a leg by the energy of its speech: a hum or a tone may be louder and says nothing."""
    power = _frame_power(leg, frame)
    return float(power[speech].sum()), float(power.sum())


def _speech_dbov(leg: Samples, speech: NDArray[np.bool_], frame: int) -> float:
    return 10 * float(np.log10(_frame_power(leg, frame)[speech].mean() + 1e-12))


def _frame_power(leg: Samples, frame: int) -> NDArray[np.floating]:
    count = leg.size // frame
    square: NDArray[np.floating] = np.square(leg[: count * frame].reshape(count, frame)).mean(
        axis=1
    )
    return square


def _frame_samples(rate_hz: int) -> int:
    return round(FRAME_SECONDS * rate_hz)


def _window(frame: int) -> NDArray[np.float32]:
    return np.hanning(frame).astype(np.float32)


def _int16(leg: Samples) -> NDArray[np.int16]:
    return np.clip(np.rint(leg * 32767), -32768, 32767).astype(np.int16)
