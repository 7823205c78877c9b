"""The few sounds of the line, computed: silence and the beep. 8 kHz, mono, 16 bit."""

import io
import math
import struct
import wave
from collections.abc import Callable
from functools import cache, partial

RATE_HZ = 8000
BEEP_HZ = 620  # R20: 500 to 800 Hz, where old ears still hear well
BEEP_SECONDS = 0.5
BEEP_DBOV = -16
LOOK_SECONDS = 2  # the silence after which a waiting call looks again
RAMP_SECONDS = 0.01  # without it the beep begins and ends with a click


@cache
def wav(name: str) -> bytes:
    """The sound as a wav file; raises KeyError for a name that is none of ours."""
    samples = SOUNDS[name]()
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


def _silence(seconds: float) -> list[int]:
    return [0] * int(seconds * RATE_HZ)


def _beep() -> list[int]:
    # A sine at full scale measures -3 dBov, so its peak lies 3 dB above the level wanted.
    peak = 32767 * 10 ** ((BEEP_DBOV + 3) / 20)
    length, ramp = int(BEEP_SECONDS * RATE_HZ), int(RAMP_SECONDS * RATE_HZ)
    return [
        round(
            peak
            * min(1, i / ramp, (length - i) / ramp)
            * math.sin(2 * math.pi * BEEP_HZ * i / RATE_HZ)
        )
        for i in range(length)
    ]


SOUNDS: dict[str, Callable[[], list[int]]] = {
    "beep": _beep,
    "second": partial(_silence, 1),
    "two_seconds": partial(_silence, LOOK_SECONDS),
}
