"""What a message is like: how people said the same thing before, and what they said about nothing in particular.

Weights of a softmax over the syllables and characters of a text and their pairs, learnt by `asr.learning`. They find what nobody
wrote down as a phrase, and what is no matter at all.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from asr import pinyin

IDLE = "-"  # the code of what is said about nothing in particular
BUCKETS = 1 << 15  # of some 30,000 sounds a third matter; two in one bucket seldom matter both
MOST_WORDS = 2
_LEAVES = np.uint64(64 - 15)  # as many bits as number the buckets
_KINDS = np.arange(4, dtype=np.uint64)  # syllable, pair of them, character, pair of them
_MIX = tuple(
    np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
)


@dataclass(frozen=True, eq=False)
class Likeness:
    """What each sound (row) says for each code (column), and what is to be expected before a word is said."""

    codes: tuple[str, ...]
    weights: NDArray[np.int8]
    scale: float
    bias: NDArray[np.float32]

    def of(self, heard: pinyin.Spelt) -> dict[str, float]:
        """Say how much more a text is like each matter than like nothing in particular, in nats."""
        rows = np.unique(np.concatenate(sounds(heard)))
        like = self._rows(rows).sum(axis=0) / max(len(rows), 1) ** 0.5 + self.bias
        like -= like[self.codes.index(IDLE)]
        return dict(zip(self.codes, like.tolist(), strict=True))

    def words(self, heard: pinyin.Spelt, code: str) -> tuple[str, ...]:
        """Give the pairs of characters that spoke most for a code."""
        text = heard.characters
        ours, idle = self.codes.index(code), self.codes.index(IDLE)
        pairs = {
            text[at : at + 2]: float(weights[ours] - weights[idle])
            for at, weights in enumerate(self._rows(sounds(heard)[3][1:-1]))
            if " " not in text[at : at + 2]
        }
        strong = sorted((word for word in pairs if pairs[word] > 0), key=lambda word: -pairs[word])
        return tuple(strong[:MOST_WORDS])

    def _rows(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        return self.weights[rows].astype(np.float32) * np.float32(self.scale)

    def save(self, file: Path, mark: str) -> None:
        """Write the weights down, with the mark of what they were learnt from."""
        np.savez_compressed(
            file, codes=np.array(self.codes), weights=self.weights, scale=self.scale,
            bias=self.bias, mark=mark,
        )  # fmt: skip

    @classmethod
    def load(cls, file: Path) -> Self:
        with np.load(file) as kept:
            codes = tuple(str(code) for code in kept["codes"])
            return cls(codes, kept["weights"], float(kept["scale"]), kept["bias"])


def mark(file: Path) -> str:
    """The mark that a file of weights was saved with."""
    with np.load(file) as kept:
        return str(kept["mark"])


def sounds(spelt: pinyin.Spelt) -> list[NDArray[np.intp]]:
    """List the buckets of a text's syllables, pairs of syllables, characters and pairs of characters, each in its order.

    Syllables that the region does not keep apart are one; the edges of a text, and breaks in it, count as one too.
    """
    merged = pinyin.merged()[spelt.numbers].astype(np.uint64)
    written = np.array([ord(each) for each in spelt.characters], dtype=np.uint64)
    edge = np.zeros(1, dtype=np.uint64)
    found = []
    for kind, signs in ((0, merged), (2, written)):
        edged = np.concatenate((edge, signs, edge))
        found += [_bucket(kind, signs, edge), _bucket(kind + 1, edged[:-1], edged[1:])]
    return found


def _bucket(kind: int, one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Hash, the same on every machine; overflow is meant (Python's own hash changes from run to run)."""
    mixed = one * _MIX[0] + (other + np.uint64(1)) * _MIX[1] + _KINDS[kind] * _MIX[2]
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MIX[1]
    buckets: NDArray[np.intp] = (mixed >> _LEAVES).astype(np.intp)
    return buckets
