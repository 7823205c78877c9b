"""Who speaks a prompt: a person of the neighbourhood, where there is a recording, or the machine.

That is a function of the instant at which a turn asks, of its set, and of the choices made so far;
the same function later tells what a call has heard. A choice holds from a little after it is made
(`ivr.studio`), so that each process of the house knows of it in time by looking once a second.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from hotline.db import connection_of
from ivr.parts import PIECES, PLAIN, SETS, Spot
from ivr.takes import Choice, Take

LOOK_AGAIN = timedelta(seconds=1)

TAKES, CHOICES = cast(Table, Take.__table__), cast(Table, Choice.__table__)
EVERY_CHOICE = (
    select(CHOICES, TAKES.c.version, TAKES.c.sha256, TAKES.c.words)
    .outerjoin(TAKES, TAKES.c.id == CHOICES.c.take_id)
    .order_by(CHOICES.c.since, CHOICES.c.id)
)


class Voice(NamedTuple):
    """A take that is, or was, in use."""

    spot: Spot
    version: int
    sha256: str
    words: str


class Choices:
    """All that was ever chosen, the oldest first."""

    def __init__(self, rows: Iterable[Any] = ()) -> None:
        self._history: dict[Spot, list[tuple[datetime, Voice | None]]] = {}
        self._prompts = set()
        for row in rows:
            spot = Spot(row.prompt, row.part, row.kept_in)
            voice = Voice(spot, row.version, row.sha256, row.words) if row.take_id else None
            self._history.setdefault(spot, []).append((row.since, voice))
            self._prompts.add(row.prompt)

    def voices(self, prompt: str, kept_in: str, at: datetime) -> Mapping[int, Voice]:
        """By whom each part is spoken at this instant; the parts left out by the machine."""
        if prompt not in self._prompts:
            return {}
        found = {
            piece.part: self._voice(prompt, piece.part, kept_in, at)
            for piece in PIECES.get(prompt, ())
            if piece.part
        }
        return {part: voice for part, voice in found.items() if voice is not None}

    def _voice(self, prompt: str, part: int, kept_in: str, at: datetime) -> Voice | None:
        """From the most fitting set that has one. A set that is none of ours is the plain one."""
        for name in SETS.get(kept_in, (PLAIN,)):
            history = self._history.get(Spot(prompt, part, name), ())
            chosen = next((voice for since, voice in reversed(history) if since <= at), None)
            if chosen is not None:
                return chosen
        return None


def read(session: Session) -> Choices:
    return Choices(connection_of(session).execute(EVERY_CHOICE))


class Voices:
    """What one process knows of the choices: a second old at most."""

    def __init__(self) -> None:
        self._choices = Choices()
        self._read_at: datetime | None = None

    def look(self, session: Session, now: datetime) -> None:
        """Read them again, if it is time. A clock that was set back is no reason not to."""
        if self._read_at is None or not self._read_at <= now < self._read_at + LOOK_AGAIN:
            self._choices, self._read_at = read(session), now

    def voices(self, prompt: str, kept_in: str, at: datetime) -> Mapping[int, Voice]:
        return self._choices.voices(prompt, kept_in, at)
