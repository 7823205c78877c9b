"""How far a text is from what was said: wrong characters, and the words that were taken for others."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

from asr.transcript import FILLERS, UNHEARD

_NOT_SPOKEN = re.compile(rf"{UNHEARD}|[\W_]+")


def spoken(text: str) -> str:
    """What of a text is spoken: without punctuation, blanks and what was not heard."""
    return _NOT_SPOKEN.sub("", text)


def distance(said: str, heard: str) -> int:
    """Count the characters to change, add or take away (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for index, wanted in enumerate(said, 1):
        before, row[0] = row[0], index
        for column, found in enumerate(heard, 1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (wanted != found)),
            )
    return row[-1]


def mistaken(said: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pair what was said with the whole words that the machine wrote for it; either may be empty."""
    parts = [plain for word in words if word not in FILLERS and (plain := spoken(word))]
    heard, said = "".join(parts), spoken(said)
    edges = (0, *accumulate(map(len, parts)))
    cuts = {(0, 0), (len(heard), len(said))}  # between two words, where both texts agree
    for block in SequenceMatcher(None, heard, said, autojunk=False).get_matching_blocks():
        first, last = block.a, block.a + block.size
        cuts |= {(edge, block.b + edge - first) for edge in edges if first <= edge <= last}
    for (heard_from, said_from), (heard_to, said_to) in pairwise(sorted(cuts)):
        if heard[heard_from:heard_to] != said[said_from:said_to]:
            yield said[said_from:said_to], heard[heard_from:heard_to]
