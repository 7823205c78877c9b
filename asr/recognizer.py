"""The recogniser behind a small protocol, so that the house can be tried without it or with another one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from asr import isolation, shelf, transcript, wav
from asr.audio import Sound
from asr.shelf import Fault, ModelUnusable, is_demo
from asr.transcript import Transcript, Word

BLOCK_SECONDS = (
    0.2  # long enough to be cheap, short enough that a stream's end-points fall as on a live call
)
KALDI_RATE_HZ = 16_000  # what Kaldi takes where conf/mfcc.conf names no --sample-frequency

TRIAL_WALL_SECONDS = 180.0  # the 1.3 GB model from a slow disk
TRIAL_MEMORY_BYTES = 12 * 1024**3  # mapped, not touched; a broken file asks for far more at once


class Recognizer(Protocol):
    """Turns a sound into a transcript; never raises for what is in it, but may die or hang (see `asr.booth`)."""

    @property
    def name(self) -> str: ...
    @property
    def demo(self) -> bool: ...
    @property
    def rate_hz(self) -> int: ...
    def transcribe(self, sound: Sound) -> Transcript: ...


def load(folder: Path) -> Recognizer:
    """Load a model of Vosk's format and make one recogniser of it; raise ModelUnusable with what is wrong.

    A broken model can abort the process, so a child tries it first; the files are then in the page cache.
    """
    shelf.look_over(folder)
    trial = isolation.apart(
        lambda send: send(_refusal(folder)),
        max_wall_seconds=TRIAL_WALL_SECONDS,
        max_memory_bytes=TRIAL_MEMORY_BYTES,
    )
    if trial.death is not None:
        raise ModelUnusable(folder, Fault.DEADLY, trial.death)
    if trial.lines[0]:
        raise ModelUnusable(folder, Fault(trial.lines[0]))
    return VoskRecognizer(folder)


def sample_rate_hz(folder: Path) -> int:
    """Read the rate that the model's features are made at; the official small model refuses any other."""
    for name in ("conf/mfcc.conf", "conf/fbank.conf", "mfcc.conf"):
        if (folder / name).is_file():
            text = (folder / name).read_text(errors="replace")
            if found := re.search(r"^\s*--sample-frequency=(\d+)", text, re.MULTILINE):
                return int(found[1])
    return KALDI_RATE_HZ


class VoskRecognizer:
    """A Vosk model held in memory; each sound gets a Kaldi recogniser of its own."""

    def __init__(self, folder: Path) -> None:
        import vosk  # here: it loads 30 MB of libraries, and the house also runs without a model

        vosk.SetLogLevel(-1)
        self.name = folder.resolve().name
        self.demo = is_demo(folder)
        self.rate_hz = sample_rate_hz(folder)
        self._vosk = vosk
        self._model = vosk.Model(str(folder))
        # Heard once here, so that what Kaldi builds at first use is shared by the children and not built in each.
        second = np.zeros(self.rate_hz, dtype=np.int16)
        self.transcribe(Sound(second, self.rate_hz, seconds=1.0, speech_seconds=0.0))

    def transcribe(self, sound: Sound) -> Transcript:
        """Listen in blocks; every segment that an end-point closes is collected, and what is left at the end."""
        words = [word for result in self._results(sound) for word in _words(result)]
        return transcript.heard(
            words,
            seconds=sound.seconds,
            speech_seconds=sound.speech_seconds,
            model=self.name,
            demo=self.demo,
        )

    def _results(self, sound: Sound) -> Iterator[dict[str, Any]]:
        kaldi = self._vosk.KaldiRecognizer(self._model, float(sound.rate_hz))
        kaldi.SetWords(True)
        pcm = sound.samples.tobytes()
        block = int(BLOCK_SECONDS * sound.rate_hz) * sound.samples.itemsize
        for start in range(0, len(pcm), block):
            if kaldi.AcceptWaveform(pcm[start : start + block]):
                yield json.loads(kaldi.Result())
        yield json.loads(kaldi.FinalResult())


def _words(result: dict[str, Any]) -> Iterator[Word]:
    for word in result.get("result", ()):
        yield Word(word["word"], word["start"], word["end"], min(max(word["conf"], 0.0), 1.0))


def _refusal(folder: Path) -> str:
    """Try a model out, in a child: the fault found, or nothing."""
    try:
        import vosk  # noqa: F401 - whether it starts here at all
    except (ImportError, OSError):
        return Fault.NO_VOSK
    # A rate that a spoilt file names may be ages of sound a second.
    if sample_rate_hz(folder) not in wav.PLAUSIBLE_RATES_HZ:
        return Fault.REFUSED
    try:
        VoskRecognizer(folder)
    except Exception:  # noqa: BLE001 - vosk raises the bare Exception for every refusal
        return Fault.REFUSED
    return ""
