"""Finding words in transcripts: an index of our own pairs of characters, because Chinese has no blanks.

A pair is found in an ordinary index, on SQLite and PostgreSQL alike; a word of several characters is where
its rarest pair is and the others too, and then it is looked for in the text itself.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    ForeignKey,
    Select,
    String,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.orm import Mapped, Mapper, Session, aliased, mapped_column, selectinload

from hotline.db import Base
from tickets.models import Recording, Ticket, Transcript
from tickets.real import is_real

COMMON = 2_000  # a pair counted no further: that many is common
LAST = "\U0010ffff"


class Gram(Base):
    """That a transcript holds these two characters one after the other; the last one stands alone.

    Written with the transcript, by whoever writes that: see the listeners below.
    """

    __tablename__ = "transcript_grams"
    __table_args__ = ({"sqlite_with_rowid": False},)

    gram: Mapped[str] = mapped_column(String(2), primary_key=True)
    transcript_id: Mapped[int] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), primary_key=True, index=True
    )


def find(
    session: Session, asked: str, limit: int, *, tests: bool | None = False
) -> Sequence[Transcript]:
    """The newest transcripts in which a machine or a person wrote these words; None: tests too."""
    words = plain(asked)
    if not words:
        return []
    found: list[Transcript] = []
    likely = _likely(session, words)
    if tests is not None:
        of_tests = Transcript.recording.has(Recording.ticket.has(is_real(Ticket, tests=True)))
        likely = likely.where(of_tests if tests else ~of_tests)
    after = likely
    while len(found) < limit:  # by as many as are shown: PostgreSQL reads all where no end is named
        batch = list(session.scalars(after.limit(limit)))
        found += [row for row in batch if any(words in text for text in _texts(row))]
        if len(batch) < limit:
            break
        after = likely.where(Transcript.id < batch[-1].id)
    return found[:limit]


def plain(text: str) -> str:
    """Letters, digits and characters only, full-width ones as narrow ones, small."""
    normal = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in normal if c.isalnum())


def grams(text: str) -> set[str]:
    """Every pair of neighbours, and the last character by itself."""
    return {text[i : i + 2] for i in range(len(text))}


def forget(session: Session, recordings: Select[int]) -> None:
    """Take out of the index what was said in these recordings: their texts are being emptied."""
    held = select(Transcript.id).where(Transcript.recording_id.in_(recordings))
    session.execute(delete(Gram).where(Gram.transcript_id.in_(held)))


def index_again(session: Session) -> int:
    """Make the whole index anew, for transcripts that came in by another way; returns how many."""
    session.execute(delete(Gram))
    count = 0
    for transcript in session.scalars(select(Transcript).execution_options(yield_per=500)):
        _write(session.connection(), transcript)
        count += 1
    return count


def _likely(session: Session, words: str) -> Select[Transcript]:
    whole = selectinload(Transcript.recording).selectinload(Recording.ticket)
    newest = select(Transcript).options(whole).order_by(Transcript.id.desc())
    if len(words) == 1:
        begins = select(Gram.transcript_id).where(Gram.gram >= words, Gram.gram < words + LAST)
        return newest.where(Transcript.id.in_(begins))
    pairs = sorted(grams(words) - {words[-1]}, key=lambda pair: _frequency(session, pair))
    rarest = aliased(Gram)
    asked = newest.join(rarest, rarest.transcript_id == Transcript.id).where(rarest.gram == pairs[0])  # fmt: skip
    for pair in pairs[1:]:
        also = aliased(Gram)
        asked = asked.where(
            select(also.gram).where(also.gram == pair, also.transcript_id == rarest.transcript_id).exists()
        )  # fmt: skip
    return asked.order_by(None).order_by(rarest.transcript_id.desc())


def _frequency(session: Session, pair: str) -> int:
    some = select(Gram.transcript_id).where(Gram.gram == pair).limit(COMMON).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _texts(transcript: Transcript) -> Iterator[str]:
    """What a machine and what a person wrote, plainly."""
    yield plain(transcript.text)
    yield plain(transcript.corrected_text or "")


def _write(connection: Connection, transcript: Transcript) -> None:
    held = set().union(*(grams(text) for text in _texts(transcript)))
    if held:
        connection.execute(
            insert(Gram), [{"gram": gram, "transcript_id": transcript.id} for gram in sorted(held)]
        )


@event.listens_for(Transcript, "after_insert")
def _made(_: Mapper[Any], connection: Connection, transcript: Transcript) -> None:
    _write(connection, transcript)


@event.listens_for(Transcript, "after_update")
def _changed(_: Mapper[Any], connection: Connection, transcript: Transcript) -> None:
    kept = inspect(transcript).attrs
    if kept.text.history.has_changes() or kept.corrected_text.history.has_changes():
        connection.execute(delete(Gram).where(Gram.transcript_id == transcript.id))
        _write(connection, transcript)
