"""What a call has heard, and from whom: told by when each turn asked and what was chosen then."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ivr import voices
from ivr.models import Call, Turn
from ivr.parts import PIECES
from ivr.voices import Choices, Voice
from tickets.real import is_real

BATCH = 500
ASKED = select(Turn.call_id, Turn.number, Turn.says, Turn.at)


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of a prompt in a call; part 0 changes each time, and only the machine says it."""

    call_id: int
    turn: int
    at: datetime
    prompt: str
    piece: int  # which of its pieces, from 0
    part: int
    voice: Voice | None


def in_call(session: Session, call_id: int) -> list[Heard]:
    """In the order in which it was heard. A turn that was repeated stands once."""
    rows = session.execute(ASKED.where(Turn.call_id == call_id).order_by(Turn.number))
    return list(_heard(rows, voices.read(session)))


def in_span(session: Session, start: datetime, end: datetime) -> Iterator[Heard]:
    """In all calls that began in `[start, end)`, tests left out."""
    asked = (
        ASKED.join(Call, Call.id == Turn.call_id)
        .where(Call.started_at >= start, Call.started_at < end, is_real(Call))
        .order_by(Call.started_at, Turn.call_id, Turn.number)
    )
    choices = voices.read(session)
    with session.execute(asked, execution_options={"yield_per": BATCH}) as rows:
        yield from _heard(rows, choices)


def _heard(rows: Iterable[Any], choices: Choices) -> Iterator[Heard]:
    for row in rows:
        for word in row.says or ():  # emptied when its time is over
            prompt = word.get("prompt", "")
            spoken = choices.voices(prompt, word.get("set", ""), row.at)
            for place, piece in enumerate(PIECES.get(prompt, ())):
                voice = spoken.get(piece.part)
                yield Heard(row.call_id, row.number, row.at, prompt, place, piece.part, voice)
