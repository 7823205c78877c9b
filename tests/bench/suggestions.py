"""Which matter a misheard request is about: written requests through simulated recognition noise, not real speech.

Known: the catalogue's words were chosen with these in view. Unseen: written after that, by the same hand.
"""

import random
import time

from misheard import KNOWN, NONE, UNSEEN, misheard, requests

from asr.intent import Matter, Vocabulary, suggest, sure
from tickets.catalogue import CATALOGUE

ERROR_RATES = (0.0, 0.10, 0.25, 0.40)
SEEDS = 3


def run() -> list[tuple[str, str]]:
    words = Vocabulary(
        Matter(entry.code, entry.name, entry.words, entry.urgent) for entry in CATALOGUE
    )
    figures = []
    for title, file in (("known", KNOWN), ("unseen", UNSEEN)):
        written = requests(file)
        asked = sum(code != NONE for code, _ in written) * SEEDS
        idle = sum(code == NONE for code, _ in written) * SEEDS
        for rate in ERROR_RATES:
            right = false = said = said_right = 0
            start = time.process_time()
            for seed in range(SEEDS):
                draw = random.Random(1000 * seed + int(rate * 100))
                for code, asked_for in written:
                    ranked = suggest(misheard(asked_for, rate, draw), words)
                    found = ranked[0].code if ranked else NONE
                    right += found == code != NONE
                    false += code == NONE != found
                    if acted := sure(ranked):
                        said, said_right = said + 1, said_right + (acted.code == code)
            each = (time.process_time() - start) / (asked + idle)
            figures.append(
                (
                    f"{title}, {rate:.0%} of characters wrong",
                    f"first {right / asked:.1%} of {asked}, false {false / idle:.1%} of {idle}, "
                    f"sure {said_right / said:.1%} of {said}, {each * 1000:.1f} ms",
                )
            )
    return figures
