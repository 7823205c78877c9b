"""What a recogniser may write down for something said: another character of nearly the same sound, none, or anything."""

import functools
import random
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from asr import pinyin

# How a character goes wrong; the sum is one.
SOUNDS_ALIKE, LOST, ANYTHING, PUT_IN = 0.6, 0.2, 0.15, 0.05
NEAR = 0.3  # what `pinyin.costs` asks at most for a sound that is taken for another
DECAY = 0.15  # a sound that costs so much more is taken a third as often


def misheard(words: str, error_rate: float, draw: random.Random) -> str:
    """Spoil each character with this probability."""
    heard = []
    for character in pinyin.spell(words).characters.replace(" ", ""):
        if draw.random() >= error_rate:
            heard.append(character)
            continue
        kind = draw.choices("slap", (SOUNDS_ALIKE, LOST, ANYTHING, PUT_IN))[0]
        if kind == "s":
            alike, share = _alike(character)
            heard.append(draw.choices(alike, cum_weights=share)[0])
        elif kind == "a":
            heard.append(draw.choice(_common()))
        elif kind == "p":
            heard += [character, draw.choice(_common())]
    return "".join(heard)


@functools.cache
def _common() -> str:
    """The 3,755 characters of GB 2312's first level, the common ones."""
    rows = (bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    return b"".join(rows).decode("gb2312", errors="ignore")


@functools.cache
def _numbers() -> Sequence[int]:
    return [int(pinyin.spell(each).numbers[0]) for each in _common()]


@functools.cache
def _alike(character: str) -> tuple[str, Sequence[float]]:
    costs = pinyin.costs()[pinyin.spell(character).numbers[0], _numbers()]
    near = [at for at in np.flatnonzero(costs <= NEAR) if _common()[at] != character]
    if not near:
        return character, [1.0]
    return "".join(_common()[at] for at in near), list(accumulate(np.exp(-costs[near] / DECAY)))
