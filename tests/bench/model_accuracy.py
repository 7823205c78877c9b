"""How well the demonstration model hears: unseen sentences by unseen disguises of espeak-ng. Synthetic speech only.

The sound takes another way than in training: the espeak-ng command, FFmpeg's resampler and filters, other noise.
"""

import json
import re
import subprocess
import time
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
import av.filter
import numpy as np
import numpy.typing as npt
import vosk

from asr import shelf
from asr.errors import distance
from asr.model.espeak import HELD_OUT_VARIANTS, VOICE
from asr.model.line import call_progress, code, noise
from asr.model.make import MODEL
from asr.model.sentences import draw_sentences
from asr.model.words import FILLER, read_words
from asr.recognizer import BLOCK_SECONDS, sample_rate_hz

SENTENCES = Path(__file__).with_name("model_sentences.txt")
RATE = 8000
_SEED = 1126  # of the sentences that measure; costs were chosen with another
_FAMILY = 300

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Said:
    """What was said (without spaces) and heard, and how long both took."""

    text: str
    heard: str
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Ear:
    """A model and the rate it listens at."""

    model: vosk.Model
    rate_hz: int

    def hears(self, pcm: Pcm) -> str:
        """All segments of a recording, words parted by spaces."""
        recogniser = vosk.KaldiRecognizer(self.model, self.rate_hz)
        data = _resampled(pcm, self.rate_hz).tobytes()
        block = int(BLOCK_SECONDS * self.rate_hz) * pcm.itemsize
        results = [
            recogniser.Result()
            for start in range(0, len(data), block)
            if recogniser.AcceptWaveform(data[start : start + block])
        ]
        texts = [json.loads(result)["text"] for result in [*results, recogniser.FinalResult()]]
        return " ".join(text for text in texts if text)


def run() -> Iterator[tuple[str, str]]:
    """Figures on the held-out set, of the demonstration model and of every official one installed here."""
    vosk.SetLogLevel(-1)
    for folder in [MODEL, *shelf.standing(shelf.places(Path.home(), None))]:
        ear = Ear(vosk.Model(str(folder)), sample_rate_hz(folder))
        for name, figure in measure(ear):
            yield f"{folder.name}: {name}", figure


def measure(ear: Ear) -> Iterator[tuple[str, str]]:
    rng = np.random.default_rng(_SEED)
    family = list(islice(draw_sentences(_SEED, held_out=True), _FAMILY))
    unseen = [
        hear(ear, words, HELD_OUT_VARIANTS[index % len(HELD_OUT_VARIANTS)], rng)
        for index, words in enumerate(family)
    ]
    by_hand, foreign = (
        [
            hear(ear, words, voice, rng)
            for words in read_section(name)
            for voice in HELD_OUT_VARIANTS
        ]
        for name in ("hand", "foreign")
    )
    flagged = sum(FILLER in said.heard for said in foreign)
    known = [*unseen, *by_hand]
    false = sum(FILLER in said.heard for said in known)
    wordless = [ear.hears(sound) for sound in _wordless(rng)]
    spoken = sum(map(bool, wordless))
    speed = sum(said.cpu_seconds for said in known) / sum(said.seconds for said in known)
    yield "CER, sentence family (synthetic only)", _rate(unseen)
    yield "CER, sentences by hand (synthetic only)", _rate(by_hand)
    yield "foreign words flagged (synthetic only)", _share(flagged, len(foreign))
    yield "false flags (synthetic only)", _share(false, len(known))
    yield "words heard in silence, noise and tones", _share(spoken, len(wordless))
    yield "CPU seconds a second of speech", f"{speed:.4f}"


def hear(ear: Ear, words: list[str], variant: str, rng: np.random.Generator) -> Said:
    """The words said by espeak-ng over a line, and what the model makes of them."""
    text = "".join(word.partition("=")[0] for word in words)
    pcm = say(words, variant, rng)
    start = time.process_time()
    heard = ear.hears(pcm)
    return Said(text, heard, len(pcm) / RATE, time.process_time() - start)


def _resampled(pcm: Pcm, rate_hz: int) -> Pcm:
    """At the rate of the model: the small official one refuses 8 kHz."""
    if rate_hz == RATE:
        return pcm
    frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
    frame.sample_rate = RATE
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray()[0] for part in parts])


def say(words: list[str], variant: str, rng: np.random.Generator) -> Pcm:
    """A telephone recording of the words; a word may carry its pinyin (西瓜=xi1gua1)."""
    spoken = " ".join(word.partition("=")[2] or "".join(read_words()[word]) for word in words)
    command = [
        "espeak-ng",
        "-v",
        f"{VOICE}+{variant}",
        "-s",
        str(rng.integers(140, 200)),
        "--stdout",
        spoken,
    ]
    made = subprocess.run(command, check=True, capture_output=True).stdout
    speech = np.concatenate([np.zeros(3000), _telephone_band(made), np.zeros(5000)])
    level = np.sqrt(np.mean(speech**2))
    noise = rng.standard_normal(len(speech)) * level / 10 ** (rng.choice([15, 20, 30]) / 20)
    scaled = (speech + noise) * 32768 * 10 ** (-22 / 20) / level
    return code(scaled, str(rng.choice(["a", "mu"]))).astype(np.int16)


def read_section(name: str) -> list[list[str]]:
    """The sentences below [name], as words."""
    text = SENTENCES.read_text(encoding="utf-8")
    section = re.split(r"^\[(\w+)\]$", text, flags=re.MULTILINE)
    lines = dict(zip(section[1::2], section[2::2], strict=True))[name]
    return [line.split() for line in lines.splitlines() if line]


def _telephone_band(wav: bytes) -> npt.NDArray[np.float64]:
    with wave.open(BytesIO(wav)) as file:
        rate = file.getframerate()
        # espeak-ng writes to a pipe and leaves the length open
        samples = np.frombuffer(file.readframes(10**9), np.int16)
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_abuffer(
            sample_rate=rate, format="s16", layout="mono", time_base=Fraction(1, rate)
        ),
        graph.add("highpass", "f=300:poles=2"),
        graph.add("lowpass", "f=3400:poles=2"),
        graph.add("aresample", str(RATE)),
        graph.add("aformat", "sample_fmts=s16"),
        graph.add("abuffersink"),
    ).configure()
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
    frame.sample_rate = rate
    graph.push(frame)
    graph.push(None)
    return np.concatenate([part.to_ndarray()[0] for part in _pull(graph)]).astype(np.float64)


def _pull(graph: av.filter.Graph) -> Iterator[av.AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return
        assert isinstance(frame, av.AudioFrame)
        yield frame


def _wordless(rng: np.random.Generator) -> Iterator[Pcm]:
    """Ten seconds each of silence, noise and what an exchange says, loud to faint."""
    yield np.zeros(10 * RATE, np.int16)
    for level_db in (-10, -20, -30, -40, -50):
        yield noise(10 * RATE, level_db, rng.uniform(0, 2), rng).astype(np.int16)
        for tone in ("ring", "busy", "congestion", "dial", "beep"):
            for law in ("a", "mu"):
                sound = call_progress(tone, 10.0, level_db)
                sound += noise(len(sound), level_db - 30, rng.uniform(0, 2), rng)
                yield code(sound, law).astype(np.int16)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%} ({part}/{whole})"


def _rate(heard: Iterable[Said]) -> str:
    """Character error rate; the filler is no character."""
    errors = characters = 0
    for said in heard:
        errors += distance(said.text, said.heard.replace(FILLER, "").replace(" ", ""))
        characters += len(said.text)
    return f"{errors / characters:.2%} ({errors}/{characters})"
