"""Which matter a misheard request is about: written requests through simulated recognition noise, not real speech.

Kept apart: the sayings that the guess learns from, each fifth told by the other four; the catalogue's words were chosen with them
in view. Blind: written before all that was settled, by the same hand, and learnt from by nobody.
"""

import random
import time
from collections.abc import Iterable, Iterator

from misheard import BLIND, kept_apart, misheard, vocabulary

from asr.intent import Suggestion, Vocabulary, suggest, sure
from tickets.sayings import NONE, read

ERROR_RATES = (0.0, 0.10, 0.25, 0.40)
SEEDS = 3


def run() -> Iterator[tuple[str, str]]:
    sets = {"kept apart": list(kept_apart()), "blind": [(vocabulary(read()), read(BLIND))]}
    for title, parts in sets.items():
        for rate in ERROR_RATES:
            start = time.process_time()
            told = [
                (code, ranked) for seed in range(SEEDS) for code, ranked in tell(parts, rate, seed)
            ]
            each = (time.process_time() - start) / len(told)
            yield (
                f"{title}, {rate:.0%} of characters wrong",
                f"{shares(told)}, {each * 1000:.1f} ms",
            )


def tell(
    parts: Iterable[tuple[Vocabulary, list[tuple[str, str]]]], rate: float, seed: int
) -> Iterator[tuple[str, list[Suggestion]]]:
    draw = random.Random(1000 * seed + int(rate * 100))
    for words, requests in parts:
        for code, asked_for in requests:
            yield code, suggest(misheard(asked_for, rate, draw), words)


def shares(told: list[tuple[str, list[Suggestion]]]) -> str:
    asked = [ranked[0].code == code if ranked else False for code, ranked in told if code != NONE]
    false = [bool(ranked) for code, ranked in told if code == NONE]
    acted = [found.code == code for code, ranked in told if (found := sure(ranked))]
    return (
        f"first {sum(asked) / len(asked):.1%} of {len(asked)}, false {sum(false) / len(false):.1%} of {len(false)}, "
        f"sure {sum(acted) / len(acted):.1%} of {len(acted)}"
    )
