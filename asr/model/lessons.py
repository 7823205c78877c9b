"""What the network learns from: sentences, words and syllables said by espeak-ng over a telephone line."""

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.model import espeak
from asr.model.features import RATE, SHIFT, WINDOW, cepstra
from asr.model.line import Line, Sound, call_progress, carry
from asr.model.phones import SILENCE, pdfs
from asr.model.sentences import draw_sentences
from asr.model.words import read_words

# Random syllables teach sounds apart from words, so that the word list can grow without new training.
SENTENCE_SHARE, WORDS_SHARE = 0.45, 0.30
TONE_SHARE = 0.4  # lessons with a call-progress tone before or after; it is silence to the network
EMPTY_SHARE = 0.04  # lessons of noise and tones alone, from digital silence to full scale
SLOW_SHARE = 0.2  # lessons said one syllable at a time
CLEAN_SHARE = 0.1  # lines that carry digital silence between words
_SENTENCES_KNOWN = 20_000
_SYLLABLES = Path(__file__).with_name("syllables.txt")


@dataclass(frozen=True)
class Lesson:
    """Features (frames, dimensions) and the pdf of each frame."""

    features: npt.NDArray[np.float16]
    pdfs: npt.NDArray[np.uint8]


def make_lessons(seed: int, count: int, processes: int = 2) -> Iterable[Lesson]:
    """The same lessons for the same seed and espeak-ng. Uses every process given."""
    # the processes are the threads: BLAS must not start its own in each
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # multiprocessing's own Pool waits for ever for a process that crashed
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(_make_lesson, ((seed, index) for index in range(count)), chunksize=50)


def _make_lesson(number: tuple[int, int]) -> Lesson:
    rng = np.random.default_rng(number)
    while True:
        try:
            return _lesson(rng)
        except espeak.MisreadError:
            continue  # some random syllables run together; others are drawn


def _lesson(rng: np.random.Generator) -> Lesson:
    line = _draw_line(rng)
    # 0.88 to 1.16 of espeak.RATE, as of a longer or shorter throat; sixteenths are quick to resample
    rate = RATE * rng.integers(39, 52) / 16
    if rng.random() < EMPTY_SHARE:
        speech = espeak.Speech(np.zeros(0, np.float32), [(0, SILENCE)])
        line = replace(line, noise_db=rng.choice([-120.0, rng.uniform(-70, -8)]))
    else:
        speech = _synthesiser().say(_draw_words(rng), _draw_manner(rng))
    before, after = rng.uniform(0.05, 0.8, 2)
    padded = np.pad(speech.samples, (int(before * rate), int(after * rate)))
    sound = carry(padded, rate, line, rng)
    starts = [(0.0, SILENCE), *((before + start / rate, unit) for start, unit in speech.units)]
    if rng.random() < TONE_SHARE:
        tone = _draw_tone(line, rng)
        if rng.random() < 0.5:
            shift = len(tone) / RATE
            starts = [(0.0, SILENCE), *((start + shift, unit) for start, unit in starts)]
            sound = np.concatenate([tone, sound])
        else:
            sound = np.concatenate([sound, tone])
    features = cepstra(np.clip(np.round(sound), -32768, 32767))
    return Lesson(features.astype(np.float16), _label(starts, len(features)))


def _label(starts: list[tuple[float, str]], frames: int) -> npt.NDArray[np.uint8]:
    """The pdf of each frame: of the unit sounding at its centre, by halves where the unit has two states."""
    times: list[float] = []
    numbers: list[int] = []
    ends = [start for start, _ in starts[1:]] + [float("inf")]
    for (start, unit), end in zip(starts, ends, strict=True):
        states = pdfs(unit)
        for state, pdf in enumerate(states):
            times.append(start + (end - start) * state / len(states) if state else start)
            numbers.append(pdf)
    centres = (np.arange(frames) * SHIFT + WINDOW / 2) / RATE
    return np.array(numbers, np.uint8)[np.searchsorted(times, centres, side="right") - 1]


def _draw_words(rng: np.random.Generator) -> list[tuple[str, ...]]:
    words = list(read_words().values())
    kind = rng.random()
    if kind < SENTENCE_SHARE:
        chosen = [read_words()[word] for word in _sentences()[rng.integers(_SENTENCES_KNOWN)]]
    elif kind < SENTENCE_SHARE + WORDS_SHARE:
        chosen = [words[index] for index in rng.integers(len(words), size=rng.integers(3, 9))]
    else:
        lengths = rng.integers(1, 4, size=rng.integers(2, 7))
        chosen = [tuple(_draw_syllable(rng) for _ in range(length)) for length in lengths]
    if rng.random() < SLOW_SHARE:
        chosen = [(syllable,) for word in chosen for syllable in word]
    comma = rng.uniform(0, 0.25)
    paused = ((word, ()) if rng.random() < comma else (word,) for word in chosen)
    return list(chain.from_iterable(paused))


def _draw_syllable(rng: np.random.Generator) -> str:
    return f"{_syllables()[rng.integers(len(_syllables()))]}{rng.integers(1, 5)}"


def _draw_manner(rng: np.random.Generator) -> espeak.Manner:
    return espeak.Manner(
        variant=espeak.VARIANTS[rng.integers(len(espeak.VARIANTS))],
        words_per_minute=int(rng.integers(110, 255)),
        pitch=int(rng.integers(20, 80)),
        pitch_range=int(rng.integers(20, 90)),
        word_gap=int(rng.choice([0, 0, 0, 1, 3])),
    )


def _draw_line(rng: np.random.Generator) -> Line:
    level = rng.uniform(-34, -12)
    return Line(
        low_hz=rng.uniform(80, 350),
        high_hz=rng.uniform(3000, 3900),
        tilt_db=rng.uniform(-9, 9),
        level_db=level,
        noise_db=-120.0 if rng.random() < CLEAN_SHARE else level - rng.uniform(8, 45),
        noise_colour=rng.uniform(0, 2),
        echo_seconds=rng.uniform(0.003, 0.04),
        echo_strength=rng.choice([0.0, 0.2, 0.4]),
        law=str(rng.choice(["a", "a", "mu", ""])),
        lost_packets=rng.uniform(0, 0.05) if rng.random() < 0.15 else 0.0,
    )


def _draw_tone(line: Line, rng: np.random.Generator) -> Sound:
    kind = str(rng.choice(["ring", "busy", "congestion", "dial", "beep"]))
    tone = call_progress(kind, rng.uniform(0.3, 2.5))
    rate = RATE * rng.integers(30, 35) / 32  # exchanges are not exact
    return carry(tone, rate, replace(line, level_db=rng.uniform(-40, -10)), rng)


@cache
def _synthesiser() -> espeak.Synthesiser:
    return espeak.Synthesiser()


@cache
def _sentences() -> list[list[str]]:
    drawn = draw_sentences(seed=7)
    return [next(drawn) for _ in range(_SENTENCES_KNOWN)]


@cache
def _syllables() -> tuple[str, ...]:
    lines = _SYLLABLES.read_text(encoding="utf-8").splitlines()
    return tuple(chain.from_iterable(line.split() for line in lines if not line.startswith("#")))
