"""What a recogniser makes of a request over a bad line: homophones, confusions of the region, lost words."""

import functools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from pypinyin import Style, lazy_pinyin

from asr.intent import Matter, Vocabulary
from asr.learning import learn, read
from asr.likeness import Likeness
from tickets import sayings
from tickets.catalogue import CATALOGUE

BLIND = Path(__file__).parent / "data" / "requests-blind.zh.tsv"
FIFTHS = 5
# How a character goes wrong; the sum is one.
HOMOPHONE, REGIONAL, LOST, ANOTHER, PUT_IN = 0.40, 0.25, 0.15, 0.15, 0.05
INITIAL_SWAPS = [("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("r", "l"), ("h", "f")]
FINAL_SWAPS = [("ang", "an"), ("eng", "en"), ("ing", "in")]


def vocabulary(likeness: Likeness, *more: Matter) -> Vocabulary:
    """The catalogue's words, and what was learnt from sayings."""
    known = (Matter(e.code, e.name, e.words, e.urgent) for e in CATALOGUE)
    return Vocabulary((*known, *more), likeness)


def known() -> Vocabulary:
    """As the house has it."""
    return vocabulary(Likeness.load(sayings.LEARNT))


def kept_apart() -> Iterator[tuple[Vocabulary, list[tuple[str, str]]]]:
    """Give each fifth of the sayings, and a vocabulary that has learnt from the other four; a minute and a half each."""
    said = read(sayings.FILE)
    for fifth in range(FIFTHS):
        others = [each for at, each in enumerate(said) if at % FIFTHS != fifth]
        yield vocabulary(learn(others)), said[fifth::FIFTHS]


def misheard(words: str, error_rate: float, draw: random.Random) -> str:
    """Spoil each character with this probability, and leave out punctuation, as recognisers do.

    A lost character takes its neighbour along half of the time: words are dropped whole.
    """
    heard: list[str] = []
    skip = False
    for character in words:
        if not character.isalnum():
            continue
        if skip or draw.random() >= error_rate or not "\u4e00" <= character <= "\u9fff":
            if not skip:
                heard.append(character)
            skip = False
            continue
        kind = draw.choices("hrlap", (HOMOPHONE, REGIONAL, LOST, ANOTHER, PUT_IN))[0]
        if kind == "l":
            skip = draw.random() < 0.5
        elif kind == "p":
            heard += [character, draw.choice(_common())]
        elif kind == "a":
            heard.append(draw.choice(_common()))
        else:
            heard.append(draw.choice(_sounding_like(character, regional=kind == "r")))
    return "".join(heard)


@functools.cache
def _common() -> Sequence[str]:
    """The 3,755 characters of GB 2312's first level, the common ones."""
    return [
        bytes((row, cell)).decode("gb2312")
        for row in range(0xB0, 0xD8)
        for cell in range(0xA1, 0xFF if row < 0xD7 else 0xFA)
    ]


@functools.cache
def _by_sound() -> dict[str, list[str]]:
    sounds: dict[str, list[str]] = {}
    for character in _common():
        sounds.setdefault(lazy_pinyin(character, style=Style.NORMAL)[0], []).append(character)
    return sounds


@functools.cache
def _sounding_like(character: str, *, regional: bool) -> Sequence[str]:
    sound = lazy_pinyin(character, style=Style.NORMAL)[0]
    if regional:
        swapped = [other for other in _swapped(sound) if other in _by_sound()]
        if swapped:
            return [each for other in swapped for each in _by_sound()[other]]
    return [each for each in _by_sound().get(sound, [character]) if each != character] or [
        character
    ]


def _swapped(sound: str) -> list[str]:
    others = []
    for one, other in [*INITIAL_SWAPS, *((b, a) for a, b in INITIAL_SWAPS)]:
        if sound.startswith(one) and not sound.startswith(one + "h"):
            others.append(other + sound.removeprefix(one))
    for one, other in [*FINAL_SWAPS, *((b, a) for a, b in FINAL_SWAPS)]:
        if sound.endswith(one):
            others.append(sound.removesuffix(one) + other)
    return others
