"""How alike two spoken syllables are to an ear of the region: pinyin without tones, cut into initial and final.

Speakers of 金华话 and their neighbours do not keep apart zh and z, ch and c, sh and s, n and l, r and l, h and f, nor -n and
-ng; a recogniser trained on standard speech writes down whichever it hears. Those confusions cost little here.
"""

import functools
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pypinyin import Style, lazy_pinyin

# Longest first: zh before z.
INITIALS = ("zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw")
FINALS = ("a", "ai", "an", "ang", "ao", "e", "ei", "en", "eng", "er", "i", "ia", "ian", "iang", "iao", "ie", "in", "ing", "iong", "iu",
          "o", "ong", "ou", "u", "ua", "uai", "uan", "uang", "ue", "ui", "un", "uo", "v", "ve")  # fmt: skip
CHEAP_INITIALS = {
    "zh z",
    "ch c",
    "sh s",
    "n l",
    "r l",
    "zh j",
    "ch q",
    "sh x",
    "z j",
    "c q",
    "s x",
    "r y",
    "h w",
}
CHEAP_FINALS = {
    "an ang",
    "en eng",
    "in ing",
    "ian iang",
    "uan uang",
    "in en",
    "ing eng",
    "un ong",
    "eng ong",
    "o uo",
}
# Where h is said as f, the u after it is gone too: 花 fa, 灰 fei, 黄 fang.
ROUND_FINALS = {"u": "u", "ua": "a", "ui": "ei", "un": "en", "uan": "an", "uang": "ang"}

MERGED_INITIALS = {"zh": "z", "ch": "c", "sh": "s", "n": "l", "r": "l", "f": "h"}

CONFUSED = 0.15  # the region's own confusion: nearly the same syllable
HALF = 0.6  # only the other half of the syllable agrees: a noisy line does that, chance does too
UNLIKE = 1.0
# zh-j and the like, half-way: heard in 尖团 speech and of elderly callers, but many words differ by nothing else.
CONFUSED_BY_SOME = frozenset(
    {
        "zh j",
        "ch q",
        "sh x",
        "z j",
        "c q",
        "s x",
        "r y",
        "h w",
        "in en",
        "ing eng",
        "un ong",
        "eng ong",
    }
)
CONFUSED_SOMETIMES = 0.3

_CHINESE = re.compile(r"[\u3400-\u9fff]+")
_DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")


@dataclass(frozen=True, eq=False)
class Spelt:
    """The Chinese of a text, character by character, and its syllables as numbers for `costs`.

    A break in the text is a space between, with number 0.
    """

    characters: str
    numbers: NDArray[np.intp]


def spell(text: str) -> Spelt:
    """Spell out the Chinese characters and digits of a text, without tones."""
    characters = " ".join(_CHINESE.findall(text.translate(_DIGITS)))
    table = _table()
    syllables = lazy_pinyin(characters, style=Style.NORMAL, errors=_one_by_one)
    return Spelt(characters, np.array([table.get(each, 0) for each in syllables], dtype=np.intp))


def _one_by_one(strange: str) -> str:
    """Keep one item a character where pypinyin knows none of them; its stub forgets that a list is accepted."""
    return list(strange)  # type: ignore[return-value]


@functools.cache
def costs() -> NDArray[np.float32]:
    """Tabulate what taking one syllable for another costs, from 0 (the same) to 1; number 0 is like none, itself included."""
    halves = [_halves(syllable) for syllable in _table()]
    initials = _half_costs([each[0] for each in halves], CHEAP_INITIALS)
    finals = _half_costs([each[1] for each in halves], CHEAP_FINALS)
    together: NDArray[np.float32] = np.minimum(initials + finals, UNLIKE).astype(np.float32)
    table = _table()
    for after_h, after_f in ROUND_FINALS.items():
        together[table["h" + after_h], table["f" + after_f]] = CONFUSED
        together[table["f" + after_f], table["h" + after_h]] = CONFUSED
    together[0, :] = together[:, 0] = UNLIKE
    return together


@functools.cache
def merged() -> NDArray[np.intp]:
    """Give each syllable's number that of the first which the region does not keep apart from it."""
    table = _table()
    return np.array([table.get(_merged(syllable), 0) for syllable in table], dtype=np.intp)


def _merged(syllable: str) -> str:
    initial, final = _halves(syllable)
    return MERGED_INITIALS.get(initial, initial) + final.removesuffix("g")


def _half_costs(halves: list[str], cheap: set[str]) -> NDArray[np.float32]:
    kinds = sorted(set(halves))
    table = np.full((len(kinds), len(kinds)), HALF, dtype=np.float32)
    np.fill_diagonal(table, 0)
    for pair in cheap:
        one, other = pair.split()
        if one in kinds and other in kinds:
            price = CONFUSED_SOMETIMES if pair in CONFUSED_BY_SOME else CONFUSED
            table[kinds.index(one), kinds.index(other)] = table[
                kinds.index(other), kinds.index(one)
            ] = price
    at = np.array([kinds.index(half) for half in halves])
    among: NDArray[np.float32] = table[np.ix_(at, at)]
    return among


@functools.cache
def _table() -> dict[str, int]:
    """Number each spelling of an initial and a final from 1; 0 is for everything else."""
    spellings = [initial + final for initial in ("", *INITIALS) for final in FINALS]
    return {"": 0} | {
        spelling: number for number, spelling in enumerate(dict.fromkeys(spellings), 1)
    }


def _halves(syllable: str) -> tuple[str, str]:
    for initial in INITIALS:
        if syllable.startswith(initial) and len(syllable) > len(initial):
            return initial, syllable[len(initial) :]
    return "", syllable
