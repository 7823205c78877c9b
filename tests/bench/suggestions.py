"""Which matter a misheard request is about: written requests through simulated recognition noise, not real speech.

Kept apart: the sayings that the guess learns from, each fifth told by the other four. Many of them are meant to be hard: others
say the same in no other words, and a third are about none of the matters in the words of one. Blind: written before it was put to
the code, by the hand that wrote most sayings, and learnt from by nobody.
"""

import random
import time
from collections.abc import Iterable, Iterator

from misheard import BLIND, kept_apart, known, misheard

from asr.intent import Suggestion, Vocabulary, suggest, sure
from asr.learning import read
from asr.likeness import IDLE

ERROR_RATES = (0.0, 0.10, 0.25, 0.40)
SEEDS = (3, 1)  # of the blind set, and of the ten times larger one


def run() -> Iterator[tuple[str, str]]:
    sets = {"blind": [(known(), read(BLIND))], "kept apart": list(kept_apart())}
    for (title, parts), seeds in zip(sets.items(), SEEDS, strict=True):
        for rate in ERROR_RATES:
            start = time.process_time()
            told = [each for seed in range(seeds) for each in tell(parts, rate, seed)]
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
    asked = [ranked[0].code == code if ranked else False for code, ranked in told if code != IDLE]
    false = [bool(ranked) for code, ranked in told if code == IDLE]
    acted = [found.code == code for code, ranked in told if (found := sure(ranked))]
    return (
        f"first {sum(asked) / len(asked):.1%} of {len(asked)}, false {sum(false) / len(false):.1%} of {len(false)}, "
        f"sure {sum(acted) / len(acted):.1%} of {len(acted)}"
    )
