"""A telephone line: what lies between a mouth and the recording, at 8 kHz and on the int16 scale."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from asr.model.features import RATE

Sound = npt.NDArray[np.floating]
_PACKET = RATE * 20 // 1000  # samples in a packet of a call over the internet


@dataclass(frozen=True)
class Line:
    """One connection. Levels in dBov (0 = full scale), the echo as its delay and strength."""

    low_hz: float = 300.0
    high_hz: float = 3400.0
    tilt_db: float = 0.0  # at 4 kHz; 0 at 0 Hz
    level_db: float = -20.0
    noise_db: float = -45.0
    noise_colour: float = 0.0  # 0 white, 1 pink, 2 brown
    echo_seconds: float = 0.01
    echo_strength: float = 0.0
    law: str = "a"  # "a" or "mu" for G.711, anything else: not coded
    lost_packets: float = 0.0  # 0 to 1


def carry(
    sound: npt.NDArray[np.floating], rate: float, line: Line, rng: np.random.Generator
) -> Sound:
    """The sound (at `rate`) as recorded at the other end of the line."""
    heard = _band(sound.astype(np.float64), rate, line)
    loud = np.sqrt(np.mean(heard**2)) or 1.0
    heard *= 32768 * 10 ** (line.level_db / 20) / loud
    heard += noise(len(heard), line.noise_db, line.noise_colour, rng)
    heard = code(heard, line.law)
    return _drop(heard, line.lost_packets, rng)


def noise(length: int, level_db: float, colour: float, rng: np.random.Generator) -> Sound:
    """Noise of a level; its power falls with the frequency to the power `colour`."""
    whole = _smooth(length)
    spectrum = np.fft.rfft(rng.standard_normal(whole))
    hertz = np.fft.rfftfreq(whole, 1 / RATE)
    sound = np.fft.irfft(spectrum * np.maximum(hertz, 50.0) ** (-colour / 2), whole)[:length]
    return sound * (32768 * 10 ** (level_db / 20) / (np.sqrt(np.mean(sound**2)) or 1.0))


def code(sound: Sound, law: str) -> Sound:
    """There and back through G.711 A-law or µ-law (the segments, not the bit pattern); else rounded to int16."""
    coded: Sound = np.clip(np.round(sound), -32768, 32767)
    size = np.abs(coded)
    if law == "mu":
        biased = np.minimum(size, 32635.0) + 132.0
        step = 2.0 ** (np.floor(np.log2(biased)) - 4)
        coded = np.copysign((np.floor(biased / step) + 0.5) * step - 132.0, coded)
    elif law == "a":
        size = np.minimum(size, 32767.0)
        step = 2.0 ** np.maximum(np.floor(np.log2(np.maximum(size, 256.0))) - 4, 4)
        coded = np.copysign((np.floor(size / step) + 0.5) * step, coded)
    return coded


def call_progress(kind: str, seconds: float, level_db: float = -16.0) -> Sound:
    """What an exchange says without words, by the plan of China (450 Hz): "ring", "busy", "congestion", "dial"; "beep"."""
    on, off, hertz = {
        "ring": (1.0, 4.0, 450.0),
        "busy": (0.35, 0.35, 450.0),
        "congestion": (0.7, 0.7, 450.0),
        "dial": (60.0, 0.0, 450.0),
        "beep": (0.5, 60.0, 620.0),  # our own, before a recording
    }[kind]
    moment = np.arange(int(seconds * RATE)) / RATE
    sounding = np.mod(moment, on + off) < on
    return sounding * np.sin(2 * np.pi * hertz * moment) * 32768 * 10 ** ((level_db + 3) / 20)


def _band(sound: Sound, rate: float, line: Line) -> Sound:
    """Resampled to RATE, with the echo of the room, the pass band and the tilt of the handset, all in the spectrum."""
    ratio = Fraction(rate / RATE).limit_denominator(160)  # 160 makes 22050 Hz exact
    blocks = _smooth(-(-len(sound) // ratio.numerator) or 1)
    length = blocks * ratio.denominator
    spectrum = np.fft.rfft(sound, blocks * ratio.numerator)[: length // 2 + 1]
    hertz = np.fft.rfftfreq(length, 1 / RATE)
    spectrum = np.pad(spectrum, (0, len(hertz) - len(spectrum)))
    gain = 1 / np.sqrt(1 + (line.low_hz / np.maximum(hertz, 1.0)) ** 8)
    gain /= np.sqrt(1 + (hertz / line.high_hz) ** 16)
    gain *= 10 ** (line.tilt_db * hertz / 4000 / 20)
    echo = 1 + line.echo_strength * np.exp(-2j * np.pi * hertz * line.echo_seconds)
    return np.fft.irfft(spectrum * gain * echo / float(ratio), length)[
        : round(len(sound) / float(ratio))
    ]


def _smooth(length: int) -> int:
    """The next length without large prime factors, on which a Fourier transform is quick."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def _drop(sound: Sound, share: float, rng: np.random.Generator) -> Sound:
    if share <= 0:
        return sound
    lost = np.repeat(rng.random(len(sound) // _PACKET + 1) < share, _PACKET)[: len(sound)]
    return np.where(lost, 0.0, sound)
