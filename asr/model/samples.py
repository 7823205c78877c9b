"""The sample recordings: residents' requests said by espeak-ng over the simulated line, for the demonstration and tests."""

import json
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.model.espeak import RATE as SPEECH_RATE
from asr.model.espeak import Manner, Synthesiser
from asr.model.features import RATE
from asr.model.line import Line, carry
from asr.model.words import read_words

FOLDER = Path(__file__).with_name("samples")
COMMA = "，"
_BEFORE_SECONDS, _AFTER_SECONDS = 0.1, 0.2


@dataclass(frozen=True)
class Sample:
    """A recording of the folder, and the words said in it; COMMA is a pause."""

    file: str
    words: str
    variant: str
    words_per_minute: int
    law: str

    @property
    def path(self) -> Path:
        return FOLDER / self.file

    @property
    def text(self) -> str:
        """As a person would write it."""
        return self.words.replace(" ", "")


def read_samples() -> list[Sample]:
    """The samples in the order of `samples.json`."""
    entries = json.loads((FOLDER / "samples.json").read_text(encoding="utf-8"))
    return [Sample(**entry) for entry in entries]


def write_samples() -> None:
    """Makes every recording anew: 16-bit PCM at 8 kHz, as it comes off the line."""
    synthesiser = Synthesiser()
    for seed, sample in enumerate(read_samples()):
        words = [() if word == COMMA else read_words()[word] for word in sample.words.split()]
        manner = Manner(sample.variant, sample.words_per_minute)
        speech = synthesiser.say(words, manner).samples
        pauses = (int(_BEFORE_SECONDS * SPEECH_RATE), int(_AFTER_SECONDS * SPEECH_RATE))
        line = Line(noise_db=-48.0, law=sample.law)
        heard = carry(np.pad(speech, pauses), SPEECH_RATE, line, np.random.default_rng(seed))
        with wave.open(str(sample.path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(heard.astype("<i2").tobytes())
