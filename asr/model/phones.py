"""The numbers by which Kaldi knows the sounds: phones, densities (pdfs) and transitions.

A phone is a unit in one of four places of a word, so that libvosk finds where words begin and end; the place does not
change the density. Silence and initials have one state, finals two: their first and their second half.
"""

from dataclasses import dataclass
from functools import cache

from asr.model.words import FINALS, INITIALS, UNITS

SILENCE = ""
SILENCE_PHONE = 1
PLACES = ("begin", "end", "internal", "singleton")  # the words of word_boundary.int
PDFS = 1 + len(INITIALS) + 2 * len(FINALS)


@dataclass(frozen=True)
class Transition:
    """The two transition-ids of a state: staying in it, and entering it."""

    stay: int
    enter: int


def pdfs(unit: str) -> tuple[int, ...]:
    """The density of each state of a unit."""
    if unit == SILENCE:
        return (0,)
    if unit in INITIALS:
        return (1 + INITIALS.index(unit),)
    first = 1 + len(INITIALS) + 2 * FINALS.index(unit)
    return first, first + 1


@cache
def phones() -> dict[int, tuple[str, str]]:
    """Each phone with its unit and its place in a word ("nonword" for silence), from 1 up without gaps."""
    table = {SILENCE_PHONE: (SILENCE, "nonword")}
    for unit in UNITS:
        for place in PLACES:
            table[len(table) + 1] = (unit, place)
    return table


@cache
def triples() -> tuple[tuple[int, int, int], ...]:
    """(phone, state, pdf), sorted: the k-th has the transition-ids 2k + 1 (stay) and 2k + 2 (go on)."""
    return tuple(
        (phone, state, pdf)
        for phone, (unit, _) in phones().items()
        for state, pdf in enumerate(pdfs(unit))
    )


@cache
def transitions() -> dict[tuple[str, str], list[Transition]]:
    """The transitions of each state of a (unit, place), in order."""
    table: dict[tuple[str, str], list[Transition]] = {}
    for k, (phone, _, _) in enumerate(triples()):
        table.setdefault(phones()[phone], []).append(Transition(stay=2 * k + 1, enter=2 * k + 2))
    return table
