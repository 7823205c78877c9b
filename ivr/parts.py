"""What of a prompt a person can record: the clauses that are always the same in this house.

A number, a name or a day stands in a slot and changes: its clause is spoken by the machine, and
the clauses before and after it are parts, each recorded by itself. A slot that never changes in
one house, such as its name, is recorded with the words around it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, groupby

from hotline.config import Settings
from hotline.phone import Phone
from ivr import prompts
from tickets.models import Dialect

CLAUSE = re.compile(r"[^，。：；、？！]+[，。：；、？！]*")
SLOT = re.compile(r"{(\w+)}")
OF_HOUSE = frozenset({"line", "place", "committee_phone"})

PLAIN, SLOW, JINHUA = "", "slow", Dialect.JINHUA.value
# Each set of recordings with those that stand in for it, from what suits best to what everybody
# gets. Which of them it is, from 1, is the first digit of a number.
SETS: Mapping[str, tuple[str, ...]] = {
    PLAIN: (PLAIN,),
    JINHUA: (JINHUA, PLAIN),
    SLOW: (SLOW, PLAIN),
    f"{JINHUA}/{SLOW}": (f"{JINHUA}/{SLOW}", JINHUA, PLAIN),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Clauses of a prompt in a row: part 1, 2 … where they are always the same, else part 0."""

    prompt: str
    part: int
    template: str


@dataclass(frozen=True, slots=True)
class Spot:
    """One part of a prompt in one set: what one recording is of."""

    prompt: str
    part: int
    kept_in: str = PLAIN


def _pieces(prompt: str) -> Iterator[Piece]:
    numbers = count(1)
    for changes, clauses in groupby(CLAUSE.findall(prompts.SHEET[prompt]), _changes):
        yield Piece(prompt, 0 if changes else next(numbers), "".join(clauses))


def _changes(clause: str) -> bool:
    return not OF_HOUSE.issuperset(SLOT.findall(clause))


PIECES: Mapping[str, tuple[Piece, ...]] = {name: tuple(_pieces(name)) for name in prompts.SHEET}
PARTS: tuple[Piece, ...] = tuple(piece for each in PIECES.values() for piece in each if piece.part)
# What is keyed in to record one by telephone: the set's digit and three more.
NUMBERS: Mapping[int, Spot] = {
    1000 * digit + number: Spot(piece.prompt, piece.part, kept_in)
    for digit, kept_in in enumerate(SETS, 1)
    for number, piece in enumerate(PARTS, 1)
}
NUMBER_OF: Mapping[Spot, int] = {spot: number for number, spot in NUMBERS.items()}
NUMBER_DIGITS = 4


def of_house(settings: Settings) -> Mapping[str, str]:
    """What stands in the slots that never change in this house."""
    phone = settings.committee_phone
    return {
        "line": settings.line_name,
        "place": settings.committee_place,
        "committee_phone": prompts.spoken_digits(Phone(phone).dialled) if phone else settings.committee_place,
    }  # fmt: skip


def words(settings: Settings) -> Mapping[tuple[str, int], str]:
    """What is to be said in each part, in this house and with this sheet."""
    filled = of_house(settings)
    return {(each.prompt, each.part): each.template.format_map(filled) for each in PARTS}


def set_for(dialect: Dialect, slow: bool) -> str:
    """The set of prompts for a resident."""
    spoken = PLAIN if dialect is Dialect.MANDARIN else dialect.value
    return "/".join(filter(None, (spoken, SLOW if slow else "")))
