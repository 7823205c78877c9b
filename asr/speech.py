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
FRAMES_AT_ONCE = 256  # 5 s: what is computed in between stays in the processor's cache
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

    The legs are never added up: a leg and its inverse, as some gateways hand them over, would cancel. The array given
    is used up: a copy of three minutes costs more than the arithmetic.
    """
    if not legs.size:
        return Cleaned(np.zeros(0, dtype=np.int16), 0.0)
    frame = _frame_samples(rate_hz)
    legs -= legs.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    heard = [(leg, speech_frames(leg, rate_hz), _frame_power(leg, frame)) for leg in legs]
    # The energy of its speech decides, not its own: a hum or a tone may be louder and says nothing.
    leg, speech, power = max(
        heard, key=lambda each: (float(each[2][each[1]].sum()), float(each[2].sum()))
    )
    if not speech.any():
        return Cleaned(_int16(leg, 1.0), 0.0)
    end = (int(np.flatnonzero(speech)[-1]) + 1) * frame + int(TAIL_SECONDS * rate_hz)
    level_dbov = 10 * float(np.log10(power[speech].mean() + 1e-12))
    gain = 10 ** (min(TARGET_DBOV - level_dbov, MOST_GAIN_DB) / 20)
    return Cleaned(_int16(leg[:end], gain), float(speech.sum()) * FRAME_SECONDS)


def speech_frames(leg: Samples, rate_hz: int) -> NDArray[np.bool_]:
    """Say for each 20 ms whether someone speaks. When in doubt, someone does: a person will listen."""
    frame = _frame_samples(rate_hz)
    count = leg.size // frame
    level, flatness, peak, pure = (
        np.empty(count),
        np.empty(count),
        np.empty(count, np.intp),
        np.empty(count, bool),
    )
    for at in range(0, count, FRAMES_AT_ONCE):
        now = slice(at, min(at + FRAMES_AT_ONCE, count))
        power = _power(leg[now.start * frame : now.stop * frame].reshape(-1, frame), rate_hz)
        total = power.sum(axis=1)
        level[now] = 10 * np.log10(total)
        flatness[now] = np.exp(np.log(power).mean(axis=1)) / total * power.shape[1]
        peak[now] = power.argmax(axis=1)
        padded = np.pad(power, ((0, 0), (1, 1)))
        rows = np.arange(len(power))
        pure[now] = sum(padded[rows, peak[now] + step] for step in (0, 1, 2)) > TONE_SHARE * total
    if not (level > QUIETEST_DBOV).any():
        return np.zeros(count, dtype=bool)

    floor = max(float(np.percentile(level, FLOOR_PERCENTILE)), QUIETEST_DBOV)
    loud = (level > floor + ABOVE_FLOOR_DB) & (flatness < NOISE_FLATNESS)
    voiced = (level > VOICED_DBOV) & (flatness < VOICED_FLATNESS)
    return _held((loud | voiced) & ~_tone(peak, pure), SPEECH_FRAMES)


def _power(frames: Samples, rate_hz: int) -> Samples:
    """Give the power of each frame (row) in each step of the voice band; a row adds up to its mean square."""
    window = np.hanning(frames.shape[1]).astype(np.float32)
    hertz = np.fft.rfftfreq(frames.shape[1], 1 / rate_hz)
    band = slice(*np.searchsorted(hertz, VOICE_BAND_HZ))
    spectrum = np.fft.rfft(frames * window, axis=1)[:, band]
    power = np.square(spectrum.real, dtype=np.float32) + np.square(spectrum.imag, dtype=np.float32)
    power *= np.float32(2 / (frames.shape[1] * float((window**2).sum())))
    power += np.float32(1e-20)  # so that silence has a logarithm
    return power


def _tone(peak: NDArray[np.intp], pure: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find frames of a call-progress tone (in China 450 Hz, GB/T 3380): one frequency, held."""
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
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2)
    edges = edges[edges[:, 1] - edges[:, 0] >= min(least, len(flags))]
    turns = np.zeros(len(flags) + 1, dtype=bool)
    turns[edges] = True
    return np.logical_xor.accumulate(turns)[:-1]


def _frame_power(leg: Samples, frame: int) -> Samples:
    frames = leg[: leg.size // frame * frame].reshape(-1, frame)
    power: Samples = np.einsum("ij,ij->i", frames, frames) / np.float32(frame)
    return power


def _frame_samples(rate_hz: int) -> int:
    return round(FRAME_SECONDS * rate_hz)


def _int16(leg: Samples, gain: float) -> NDArray[np.int16]:
    leg *= np.float32(gain * 32767)
    np.rint(leg, out=leg)
    return np.clip(leg, -32768, 32767, out=leg).astype(np.int16)
