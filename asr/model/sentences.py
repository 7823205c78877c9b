"""The sentences residents say, drawn from the grammar in `sentences.txt`."""

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from zlib import crc32

SENTENCES = Path(__file__).with_name("sentences.txt")


@cache
def read_grammar(path: Path = SENTENCES) -> dict[str, list[list[str]]]:
    """Each name with its ways to be said; a way is a list of words and {names}."""
    grammar: dict[str, list[list[str]]] = {}
    ways: list[list[str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            ways = grammar.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            ways.append([] if line == "-" else line.split())
    return grammar


def is_held_out(sentence: list[str]) -> bool:
    """One sentence in five is heard neither in training nor by the language model; it measures both."""
    return crc32(" ".join(sentence).encode()) % 5 == 0


def draw_sentences(seed: int, held_out: bool = False) -> Iterator[list[str]]:
    """Endless sentences as lists of words, all on one side of `is_held_out`.

    Only `random()` is drawn from: Python promises its sequence for a seed, and the graph is compared byte for byte.
    """
    rng = random.Random(seed)
    while True:
        sentence = list(_say("sentence", rng))
        if is_held_out(sentence) is held_out:
            yield sentence


def _say(name: str, rng: random.Random) -> Iterator[str]:
    ways = read_grammar()[name]
    for token in ways[int(rng.random() * len(ways))]:
        if token.startswith("{"):
            yield from _say(token[1:-1], rng)
        else:
            yield token
