"""Webhooks whose answers do not matter to the call: they come late, twice, in any order or never."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Post = Literal["recording", "status", "hangup action"]


@dataclass(frozen=True)
class Letter:
    kind: Post
    url: str
    form: dict[str, str]
    token: str  # the same in a repetition
    method: str = "POST"


class PostOffice:
    """Keeps letters until they are due; what is held comes when it is asked for."""

    def __init__(
        self, repeats: bool, loses: Collection[Post], holds: Collection[Post], seed: int | None
    ) -> None:
        self._repeats, self._loses, self._holds = repeats, loses, holds
        self._random = None if seed is None else random.Random(seed)
        self._waiting: list[Letter] = []
        self._held: list[Letter] = []

    def takes(self, letter: Letter) -> None:
        if letter.url and letter.kind not in self._loses:
            (self._held if letter.kind in self._holds else self._waiting).append(letter)

    def due(self, nobody_on_the_line: bool) -> list[Letter]:
        """What goes out now. Shuffled post may wait, at the longest until every call is over."""
        letters = self._waiting * (2 if self._repeats else 1)
        if self._random is not None:
            if not nobody_on_the_line and self._random.random() < 0.5:
                return []
            self._random.shuffle(letters)
        self._waiting = []
        return letters

    def held(self) -> list[Letter]:
        letters, self._held = self._held, []
        return letters
