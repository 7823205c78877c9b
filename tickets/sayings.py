"""How residents say what they want, matter by matter, and what they say about nothing in particular: what the guess learns from."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

FILE = Path(__file__).with_name("sayings.zh.tsv")
NONE = "-"


def read(file: Path = FILE) -> list[tuple[str, str]]:
    """Read the code of a matter (NONE: of none) and words, line by line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [
        (code, words)
        for code, words in (line.split("\t") for line in lines if not line.startswith("#"))
    ]


def by_matter(said: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    sorted_out: dict[str, list[str]] = {NONE: []}
    for code, words in said:
        sorted_out.setdefault(code, []).append(words)
    return {code: tuple(words) for code, words in sorted_out.items()}


@functools.cache
def known() -> Mapping[str, tuple[str, ...]]:
    return by_matter(read())
