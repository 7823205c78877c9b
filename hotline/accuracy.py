"""How well the ear hears, by what people made of it: corrected texts, and matters chosen by hand.

It counts what somebody has looked at and nothing else, so it says how the machine did there.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from asr import errors
from asr.transcript import Outcome
from hotline.clock import local
from tickets import understanding
from tickets.models import Recording, Ticket, Transcript
from tickets.real import is_real

MOST_WORDS = 20


@dataclass
class Heard:
    """The corrected texts of one month and one model: how many, characters said, characters wrong."""

    texts: int = 0
    characters: int = 0
    wrong: int = 0


@dataclass
class Guessed:
    """The requests of one month whose matter a person has chosen, by what the machine had guessed."""

    chosen: int = 0
    first: int = 0  # it was the first guess
    among: int = 0  # it was a later guess
    silent: int = 0  # nothing was suggested

    @property
    def wrong(self) -> int:
        return self.chosen - self.first - self.among - self.silent


@dataclass
class Report:
    """Both, by month (2026-11); `words` counts pairs of what was said and what was written."""

    heard: dict[tuple[str, str], Heard] = field(default_factory=dict)
    guessed: dict[str, Guessed] = field(default_factory=dict)
    words: Counter[tuple[str, str]] = field(default_factory=Counter)


def report(session: Session, since: datetime, *, test: bool = False) -> Report:
    """Count from `since` on; `test` takes the requests of a demonstration or rehearsal instead."""
    made = Report()
    for text in _corrected(session, since, test=test):
        month = made.heard.setdefault((_month(text.made_at), text.model), Heard())
        said = errors.spoken(text.corrected_text or "")
        month.texts += 1
        month.characters += len(said)
        month.wrong += errors.distance(said, errors.spoken(text.text))
        written = [word[0] for word in text.details.get("words", ())] or [text.text]
        made.words.update(errors.mistaken(said, written))
    for ticket in _chosen(session, since, test=test):
        suggestion = understanding.of(ticket)
        if suggestion is None:
            continue
        counted = made.guessed.setdefault(_month(ticket.opened_at), Guessed())
        codes = [each["code"] for each in suggestion.ranked]
        counted.chosen += 1
        counted.silent += not codes
        counted.first += codes[:1] == [ticket.matter]
        counted.among += ticket.matter in codes[1:]
    return made


def lines(made: Report) -> Iterator[str]:
    """The report as it is read."""
    yield "听写对不对（只算有人改过、核对过的，不是全部）"
    if not made.heard:
        yield "  还没有人改过听写。"
    for (month, model), counted in sorted(made.heard.items()):
        yield (
            f"  {month}  {model}：{counted.texts} 段，说了 {counted.characters} 个字，"
            f"错 {counted.wrong} 个，错字率 {_percent(counted.wrong, counted.characters)}"
        )
    yield "最常听错的话（说的是 → 写成了）"
    if not made.words:
        yield "  没有。"
    for (said, written), times in made.words.most_common(MOST_WORDS):
        yield f"  {said or '（没有说）'} → {written or '（漏掉了）'}　{times} 次"
    yield "猜是什么事（只算有人选定了的）"
    if not made.guessed:
        yield "  还没有人选定过是什么事。"
    for month, each in sorted(made.guessed.items()):
        yield (
            f"  {month}：选定 {each.chosen} 件，一猜就中 {each.first} 件（{_percent(each.first, each.chosen)}），"
            f"后面几个里有 {each.among} 件，没猜 {each.silent} 件，猜错 {each.wrong} 件"
        )


def _corrected(session: Session, since: datetime, *, test: bool) -> Iterator[Transcript]:
    return session.scalars(
        select(Transcript)
        .join(Recording, Recording.id == Transcript.recording_id)
        .join(Ticket, Ticket.id == Recording.ticket_id)
        .where(
            Transcript.corrected_text.is_not(None),
            Transcript.outcome == Outcome.HEARD,
            Transcript.made_at >= since,
            is_real(Ticket, tests=test),
        )
        .execution_options(yield_per=500)
    )


def _chosen(session: Session, since: datetime, *, test: bool) -> Iterator[Ticket]:
    return session.scalars(
        select(Ticket)
        .where(Ticket.matter.is_not(None), Ticket.opened_at >= since, is_real(Ticket, tests=test))
        .options(selectinload(Ticket.recordings).selectinload(Recording.suggestion))
        .execution_options(yield_per=500)
    )


def _month(at: datetime) -> str:
    return f"{local(at):%Y-%m}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "—"
