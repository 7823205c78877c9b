"""What a message is about: a transcript, noise and all, against the words of the matters.

Phrases are looked for by sound, anywhere in the text, with a few syllables changed, dropped or put in. What was found for
a matter adds up; a stretch of text counts once; how like what others said about it the whole is, is added to it, in nats. The
result is a suggestion and never a decision: below the threshold there is none.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr import pinyin
from asr.likeness import Likeness
from asr.particulars import Place, find_phones, find_place, find_times
from asr.transcript import UNHEARD

__all__ = [
    "Matter",
    "Place",
    "Suggestion",
    "Vocabulary",
    "find_phones",
    "find_place",
    "find_times",
    "suggest",
    "sure",
]

GAP = "…"  # in a phrase: its parts may stand a few syllables apart
MOST_GAP = 6  # syllables: 配一点我老伴的药

# Words that are in every request say little about it: such a character counts less, heard or not.
COMMON = frozenset(
    "我你他她它的了要不没有一下个这那是在去来到把给让帮请想能会可以就都也还很太怎么什吗呢吧啊上里人家好些点儿子女伴孙爸妈"
)
COMMON_WEIGHT = 0.4

# What a phrase may cost and still be heard: in two syllables chance is close by.
TOLERANCE = (
    (1, 2, 3, 4, 5, 6),
    (0.1, 0.31, 0.78, 1.15, 1.5, 1.8),
)  # by length, between them in proportion
URGENT_TOLERANCE = (
    0.62  # of that: 煤气 without the 漏 is a bill, and an alarm for nothing dulls the next
)
HOMOPHONE = 0.08  # written otherwise, spoken alike
HOMOPHONE_ALONE = 0.25  # a part of one character: every 要 sounds like the 药 in 拿…药
DROPPED, PUT_IN = 0.75, 0.7  # a syllable that the recogniser missed, and one that it added
WORN = 0.6  # of a phrase's weight is gone at the edge of its tolerance
GAP_PRICE = 0.03  # a syllable between two parts: of two readings the tighter is meant
OUTDONE = (
    0.6  # of a phrase's weight is gone where another matter's phrase fits the same stretch better
)

SYLLABLE = 0.6  # nats that a syllable of evidence adds to what a text is like
# Of a matter that a community added nobody has said anything: its words alone decide, from a syllable and a half on.
UNTAUGHT, UNTAUGHT_SYLLABLE = -1.8, 1.8
CAUTION = 0.9  # nats by which a matter must be likelier than none of them
# An emergency is heard in the midst of other things too: by so many syllables, and what was said around them.
ALARM_SYLLABLES, ALARM_AROUND = 3.0, 12
LEAST_SCORE = 0.05  # beside a likelier one; of an alarm, whether it is one at all decides
SURE_SCORE = 0.8  # for saying something in the call itself
MOST_REASONS = 5


@dataclass(frozen=True)
class Matter:
    """Something that the line helps with, and the words by which people ask for it."""

    code: str
    name: str
    words: tuple[str, ...]
    urgent: bool = False


@dataclass(frozen=True)
class Suggestion:
    """A matter that a text may be about, how probably, and the words that spoke for it, strongest first."""

    code: str
    score: float
    because: tuple[str, ...]
    urgent: bool = False


def suggest(text: str, vocabulary: "Vocabulary") -> list[Suggestion]:
    """Rank the matters that a text may be about, emergencies first; none when nothing is likely."""
    heard = pinyin.spell(text.replace(UNHEARD, " "))
    if not heard.characters:
        return []
    found = [finding for group in vocabulary.groups for finding in group.findings(heard)]
    like = vocabulary.likeness.of(heard) if vocabulary.likeness else {}
    evidence = {matter: _evidence(matter, found) for matter in vocabulary.matters}
    nats = {
        matter: like[matter.code] + SYLLABLE * syllables
        if matter.code in like
        else UNTAUGHT + UNTAUGHT_SYLLABLE * syllables
        for matter, (syllables, _) in evidence.items()
    }
    for matter in nats:
        if matter.urgent and evidence[matter][0] >= ALARM_SYLLABLES and vocabulary.likeness:
            around = vocabulary.likeness.of(_around(matter, found, heard))
            nats[matter] = max(nats[matter], around[matter.code] + SYLLABLE * evidence[matter][0])
    alarms = {matter for matter in nats if matter.urgent and evidence[matter][0] >= ALARM_SYLLABLES}
    every = sum(map(math.exp, nats.values()), math.exp(CAUTION))
    suggestions = []
    for matter, (_, because) in evidence.items():
        if nats[matter] > CAUTION:
            among = math.exp(CAUTION) + math.exp(nats[matter]) if matter in alarms else every
            score = round(math.exp(nats[matter]) / among, 3)
            if score >= LEAST_SCORE:
                because = because or vocabulary.words(heard, matter)
                suggestions.append(Suggestion(matter.code, score, because, matter.urgent))
    first = {matter.code for matter in alarms}
    return sorted(suggestions, key=lambda each: (each.code not in first, -each.score))


def _around(matter: Matter, found: list["_Finding"], heard: pinyin.Spelt) -> pinyin.Spelt:
    """Cut out what was said around the words for a matter."""
    ours = [each for each in found if each.matter is matter]
    start = max(min(each.start for each in ours) - ALARM_AROUND, 0)
    end = max(each.end for each in ours) + ALARM_AROUND
    return pinyin.Spelt(heard.characters[start:end], heard.numbers[start:end])


def sure(suggestions: Sequence[Suggestion]) -> Suggestion | None:
    """Give the suggestion that may be acted on in the call: clear, and no emergency (those want a person)."""
    if not suggestions or suggestions[0].urgent or suggestions[0].score < SURE_SCORE:
        return None
    return suggestions[0]


@dataclass(frozen=True)
class _Finding:
    """A phrase found in a text, from character `start` up to `end`, and what it says for its matter."""

    matter: Matter
    phrase: str
    weight: float
    start: int
    end: int

    def shared(self, other: "_Finding") -> float:
        """Say what part of this stretch the other one covers."""
        return max(0, min(self.end, other.end) - max(self.start, other.start)) / (
            self.end - self.start
        )


def _evidence(matter: Matter, found: list[_Finding]) -> tuple[float, tuple[str, ...]]:
    """Add up, in syllables, what was found for a matter."""
    rivals = [finding for finding in found if finding.matter is not matter]
    taken: set[int] = set()
    evidence, because = 0.0, []
    for finding in sorted(
        (each for each in found if each.matter is matter), key=lambda each: -each.weight
    ):
        span = set(range(finding.start, finding.end))
        new = len(span - taken) / len(span)
        if new > 0:
            outdone = max(
                (finding.shared(each) for each in rivals if each.weight > finding.weight),
                default=0.0,
            )
            evidence += finding.weight * new * (1 - OUTDONE * outdone)
            because.append(finding.phrase)
            taken |= span
    return evidence, tuple(because[:MOST_REASONS])


@dataclass(frozen=True, eq=False)
class _Group:
    """Phrases of one shape (characters of each part), so that they are all compared at once.

    Arrays have a row a phrase and a column a character.
    """

    shape: tuple[int, ...]
    phrases: tuple[tuple[Matter, str], ...]
    urgent: NDArray[np.bool_]
    codes: NDArray[np.uint32]
    numbers: NDArray[np.intp]
    weights: NDArray[np.float32]

    def findings(self, heard: pinyin.Spelt) -> list[_Finding]:
        length = self.weights.sum(axis=1)
        tolerance = np.interp(length, *TOLERANCE) * np.where(self.urgent, URGENT_TOLERANCE, 1)
        cost, start = self._compare(heard)
        end = cost.argmin(axis=1)
        found = []
        for row in np.flatnonzero(cost.min(axis=1) <= tolerance):
            matter, phrase = self.phrases[row]
            first, last = int(start[row, end[row]]), int(end[row])
            worn = WORN * float(cost[row, last] / tolerance[row])
            if last > first:
                found.append(_Finding(matter, phrase, float(length[row]) * (1 - worn), first, last))
        return found

    def _homophone(self, column: int) -> float:
        ends = np.cumsum(self.shape)
        alone = self.shape[int(np.searchsorted(ends, column, side="right"))] == 1
        return HOMOPHONE_ALONE if alone and len(self.shape) > 1 else HOMOPHONE

    def _compare(self, heard: pinyin.Spelt) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Find the cheapest way to hear each phrase up to each character, and where it began (Sellers 1980)."""
        table = pinyin.costs()
        codes = np.array([ord(each) for each in heard.characters], dtype=np.uint32)
        cost = np.zeros((len(self.phrases), codes.size + 1), dtype=np.float32)
        start = np.broadcast_to(np.arange(codes.size + 1), cost.shape).copy()
        parts_begin = set(np.cumsum(self.shape)[:-1].tolist())
        for column in range(self.codes.shape[1]):
            if column in parts_begin:
                cost, start = _spread(cost, start, MOST_GAP, GAP_PRICE)
            unlike = table[self.numbers[:, column, None], heard.numbers[None, :]]
            written_otherwise = self.codes[:, column, None] != codes
            unlike = np.minimum(unlike + np.float32(self._homophone(column)) * written_otherwise, 1)
            weight = self.weights[:, column, None]
            changed = cost[:, :-1] + unlike * weight
            cost = cost + np.float32(DROPPED) * weight
            better = changed < cost[:, 1:]
            cost[:, 1:][better] = changed[better]
            moved = start.copy()
            moved[:, 1:][better] = start[:, :-1][better]
            cost, start = _spread(cost, moved, 2, PUT_IN)
        return cost, start


def _spread(
    cost: NDArray[np.float32], start: NDArray[np.intp], most: int, price: float
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Let up to `most` syllables of the text go by, each at a price."""
    best, began = cost.copy(), start.copy()
    for step in range(1, min(most, cost.shape[1] - 1) + 1):
        later = cost[:, :-step] + np.float32(step * price)
        better = later < best[:, step:]
        best[:, step:][better] = later[better]
        began[:, step:][better] = start[:, :-step][better]
    return best, began


class Vocabulary:
    """The words of all matters, spelt once: that takes 0.4 s, a text 10 ms."""

    def __init__(self, matters: Iterable[Matter], likeness: Likeness | None = None) -> None:
        self.matters = tuple(matters)
        self.groups = _groups(self.matters)
        self.likeness = likeness

    def words(self, heard: pinyin.Spelt, matter: Matter) -> tuple[str, ...]:
        """Name what spoke for a matter of which no phrase was heard."""
        return self.likeness.words(heard, matter.code) if self.likeness else ()


def _groups(matters: Iterable[Matter]) -> tuple[_Group, ...]:
    """Spell the phrases, sorted by shape."""
    shapes: dict[tuple[int, ...], list[tuple[Matter, str, pinyin.Spelt]]] = {}
    for matter in matters:
        for phrase in dict.fromkeys(matter.words):
            parts = [
                spelt for part in phrase.split(GAP) if (spelt := pinyin.spell(part)).characters
            ]
            if parts:
                whole = pinyin.Spelt(
                    "".join(each.characters for each in parts),
                    np.concatenate([each.numbers for each in parts]),
                )
                shapes.setdefault(tuple(len(each.characters) for each in parts), []).append(
                    (matter, phrase, whole)
                )
    return tuple(_group(shape, rows) for shape, rows in sorted(shapes.items()))


def _group(shape: tuple[int, ...], rows: list[tuple[Matter, str, pinyin.Spelt]]) -> _Group:
    return _Group(
        shape,
        phrases=tuple((matter, phrase) for matter, phrase, _ in rows),
        urgent=np.array([matter.urgent for matter, _, _ in rows]),
        codes=np.array(
            [[ord(each) for each in spelt.characters] for _, _, spelt in rows], dtype=np.uint32
        ),
        numbers=np.array([spelt.numbers for _, _, spelt in rows]),
        weights=np.array(
            [
                [COMMON_WEIGHT if each in COMMON else 1 for each in spelt.characters]
                for _, _, spelt in rows
            ],
            dtype=np.float32,
        ),
    )
