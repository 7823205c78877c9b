"""Small true wav files: what a scripted person says, and how long a played sound lasts."""

import array
import io
import math
import wave
from dataclasses import dataclass
from functools import cache

RATE = 8000
LOUD = 8000  # about -12 dBFS: well above what counts as silence
QUIET = 200  # a sample below this is silence (-44 dBFS)


@cache
def tone(seconds: float, hertz: float = 130.0) -> bytes:
    """A mono 16-bit 8 kHz wav that stands for a voice: harmonics that swell four times a second,
    as syllables do. No seconds make a valid empty file."""
    second = [
        round(LOUD * abs(math.sin(4 * math.pi * place / RATE)) * _harmonics(hertz * place / RATE))
        for place in range(RATE)
    ]
    samples = array.array("h", second * (round(seconds) + 1))
    return _wav(samples[: round(seconds * RATE)])


def _harmonics(turns: float) -> float:
    return sum(math.sin(2 * math.pi * turns * harmonic) for harmonic in range(1, 13)) / 5


def silence(seconds: float) -> bytes:
    """A mono 16-bit 8 kHz wav in which nothing is heard."""
    return _wav(array.array("h", bytes(2 * round(seconds * RATE))))


def _wav(samples: "array.array[int]") -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return file.getvalue()


@dataclass(frozen=True)
class Measure:
    """How long a sound lasts and how long nothing is heard at its beginning."""

    seconds: float
    silent_seconds: float


def measure(content: bytes) -> Measure:
    """Measure of a wav; raises `wave.Error` or EOFError for what no carrier could play."""
    with wave.open(io.BytesIO(content)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        if file.getsampwidth() != 2 or not rate:
            raise wave.Error("not 16-bit PCM")
        samples = array.array("h", file.readframes(file.getnframes()))
    seconds = len(samples) / channels / rate
    first = next((place for place, sample in enumerate(samples) if abs(sample) >= QUIET), None)
    return Measure(seconds, seconds if first is None else first / channels / rate)
