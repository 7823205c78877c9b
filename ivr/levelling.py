"""A take made fit for the line (VOICE R7, R11): decoded, cut, judged and levelled.

Whatever the file is, only a child process sees the inside of it.
"""

import io
import json
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from asr import audio, isolation, speech
from ivr.exchange.audio import active_level_dbov, levelled
from ivr.exchange.g711 import RATE_HZ, Samples
from ivr.takes import Fault, Levelled

LONGEST_SECONDS = 16.0  # R7: any prompt
READ_SECONDS = 120.0  # more of a file is not looked at
LEAD_SECONDS, TAIL_SECONDS = 0.1, 0.25  # breath kept before the first word and after the last
QUIETEST_DBOV = -45.0  # a voice further down comes up with all the noise of its room
FULL_SCALE = 0.985
MOST_FULL_SCALE = 0.003  # of the samples: a peak now and then is a lively voice, more is cut off
MAX_WALL_SECONDS, MAX_MEMORY_BYTES = 20.0, 500_000_000
TRIES = 2  # a killed child may have met a busy machine


def level(file: Path) -> Levelled:
    """Never raises for what is in the file."""
    audio.rehearse()
    with TemporaryDirectory() as folder:
        out = Path(folder) / "take.wav"

        def work(send: isolation.Send) -> None:
            made = _made(file)
            out.write_bytes(made.wav)
            send(json.dumps([made.seconds, made.fault]))

        for _ in range(TRIES):
            report = isolation.apart(
                work, max_wall_seconds=MAX_WALL_SECONDS, max_memory_bytes=MAX_MEMORY_BYTES
            )
            if report.death is None and report.lines:
                seconds, fault = json.loads(report.lines[-1])
                return Levelled(out.read_bytes(), seconds, Fault(fault) if fault else None)
    return Levelled(fault=Fault.NO_SOUND)


def _made(file: Path) -> Levelled:
    try:
        legs = audio.legs(file, rate_hz=RATE_HZ, max_seconds=READ_SECONDS)
    except audio.Unreadable:
        return Levelled(fault=Fault.NO_SOUND)
    if not legs.size:
        return Levelled(fault=Fault.NO_SOUND)
    leg = max(legs, key=lambda each: float(np.square(each).sum()))
    spoken = _spoken(leg)
    seconds = round(len(spoken) / RATE_HZ, 2)
    samples: Samples = (spoken * 32767).astype(np.int16)
    if fault := _fault(spoken, samples):
        return Levelled(seconds=seconds, fault=fault)
    return Levelled(wav(levelled(samples)), seconds)


def _spoken(leg: NDArray[np.float32]) -> NDArray[np.float32]:
    """From just before the first word to just after the last."""
    frames = np.flatnonzero(speech.speech_frames(leg - leg.mean(), RATE_HZ))
    if not len(frames):
        return leg[:0]
    frame = RATE_HZ * speech.FRAME_SECONDS
    start = int(frames[0] * frame - LEAD_SECONDS * RATE_HZ)
    end = int((frames[-1] + 1) * frame + TAIL_SECONDS * RATE_HZ)
    return leg[max(start, 0) : end]


def _fault(spoken: NDArray[np.float32], samples: Samples) -> Fault | None:
    if not len(spoken):
        return Fault.NO_SPEECH
    if len(spoken) > LONGEST_SECONDS * RATE_HZ:
        return Fault.LONG
    if float((np.abs(spoken) >= FULL_SCALE).mean()) > MOST_FULL_SCALE:
        return Fault.CLIPPED
    return Fault.QUIET if active_level_dbov(samples) < QUIETEST_DBOV else None


def wav(samples: Samples) -> bytes:
    """8 kHz, mono, 16 bit."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()
