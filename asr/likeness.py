"""What a message is like: how people said the same thing before, by the sounds that they used and others did not.

Complement naive Bayes with normalised weights (Rennie, Shih, Teevan and Karger 2003) over syllables and pairs of syllables, with what
the region does not keep apart taken for one. It finds what nobody wrote down as a phrase, and what is no matter at all.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from asr import pinyin

IDLE = ""  # the code of what is said about nothing in particular
PHRASE_WEIGHT = 0.2  # of a whole saying: a phrase is a part of one
SMOOTHING = 0.1
SCALE = 0.3  # brings the result to syllables of evidence; found on sayings kept apart
_PAIR = 1 << 12  # more than there are syllables


class Likeness:
    """Learnt once from sayings, in 0.1 s."""

    def __init__(self, said: Iterable[tuple[str, str, float]]) -> None:
        """`said` is the code of a matter (or IDLE), a text, and what the text counts."""
        texts = [(code, _sounds(pinyin.spell(text)), weight) for code, text, weight in said]
        self.codes: Sequence[str] = list(dict.fromkeys(code for code, _, _ in texts))
        self._column: Mapping[int, int] = {
            sound: column
            for column, sound in enumerate(
                dict.fromkeys(s for _, sounds, _ in texts for s in sounds)
            )
        }
        texts_with = np.zeros(len(self._column))
        for _, sounds, _ in texts:
            texts_with[self._columns(sounds)] += 1
        self._rarity = np.log(len(texts) / texts_with) + 0.1
        counts = np.zeros((len(self.codes), len(self._column)))
        for code, sounds, weight in texts:
            columns = self._columns(sounds)
            counts[self.codes.index(code), columns] += weight * self._strength(columns)
        own, others = counts + SMOOTHING, counts.sum(axis=0) - counts + SMOOTHING
        weights = np.log(own / own.sum(axis=1, keepdims=True))
        weights -= np.log(others / others.sum(axis=1, keepdims=True))
        size = np.abs(weights).sum(axis=1, keepdims=True) / max(len(self._column), 1)
        self._weights = SCALE * weights / np.where(size > 0, size, 1)

    def of(self, heard: pinyin.Spelt) -> dict[str, float]:
        """Say how much more a text is like each matter than like nothing in particular."""
        columns = self._columns(_sounds(heard))
        like = self._weights[:, columns] @ self._strength(columns)
        idle = like[self.codes.index(IDLE)] if IDLE in self.codes else 0.0
        return dict(zip(self.codes, (like - idle).tolist(), strict=True))

    def _columns(self, sounds: Iterable[int]) -> list[int]:
        return [self._column[sound] for sound in sounds if sound in self._column]

    def _strength(self, columns: list[int]) -> NDArray[np.float64]:
        """Rare sounds count more, and a long text in all as much as a short one."""
        rarity = self._rarity[columns]
        return rarity / (np.linalg.norm(rarity) + 1e-9)


def _sounds(spelt: pinyin.Spelt) -> list[int]:
    """List the syllables of a text and their pairs once each; the edges of the text are a syllable, number 0."""
    merged = pinyin.merged()[spelt.numbers]
    edged = np.concatenate(([0], merged[merged > 0], [0]))
    return np.unique(np.concatenate((-edged, edged[:-1] * _PAIR + edged[1:]))).tolist()  # type: ignore[no-any-return]
