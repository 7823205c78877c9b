"""What the ear made of a recording, written beside it; and a ring-back where nothing was said."""

from datetime import datetime

from sqlalchemy.orm import Session

from asr import booth
from asr.recognizer import Recognizer
from asr.transcript import Outcome
from asr.transcript import Transcript as Heard
from hotline.config import Settings
from hotline.store import Store
from tickets import ledger
from tickets.lifecycle import OPEN
from tickets.models import Kind, Recording, Source, Ticket, Transcript


def listen(
    store: Store, key: str | None, recognizer: Recognizer | None, settings: Settings
) -> Heard:
    """Transcribe a stored recording in the booth, where a crash costs one job."""
    with store.as_file(key or "") as path:
        return booth.transcribe(
            path,
            recognizer,
            max_wall_seconds=settings.transcribe_max_seconds,
            max_memory_bytes=settings.transcribe_max_bytes,
        )


def write(session: Session, recording: Recording, heard: Heard, now: datetime) -> None:
    """Keep the text with its doubts. Heard twice, the first text stands."""
    if recording.transcript is not None:
        return
    session.add(
        Transcript(
            recording_id=recording.id,
            outcome=heard.outcome.value,
            text=heard.text,
            trusted=heard.trusted and heard.outcome is Outcome.HEARD,
            made_at=now,
            confidence=heard.confidence,
            seconds=heard.seconds,
            speech_seconds=heard.speech_seconds,
            model=heard.model,
            details={
                "words": [
                    [w.text, w.start_seconds, w.end_seconds, w.confidence] for w in heard.words
                ]
            },
        )
    )
    ledger.write(
        session, at=now, person=ledger.SYSTEM, act="transcribe", object_kind="recording",
        object_id=recording.id, outcome=heard.outcome.value,
    )  # fmt: skip
    session.flush()
    session.expire(recording, ["transcript"])
    if (ticket := recording.ticket) is not None and heard.outcome is Outcome.SILENT:
        _nothing_was_said(session, ticket, now)


def _nothing_was_said(session: Session, ticket: Ticket, now: datetime) -> None:
    """A message without a word is a missed call: whoever rang is owed a call, not an errand."""
    silent = all(r.transcript and r.transcript.outcome == Outcome.SILENT for r in ticket.recordings)
    if (
        silent
        and ticket.source is Source.MESSAGE
        and ticket.kind is Kind.ERRAND
        and ticket.state in OPEN
        and ticket.phone
    ):
        ticket.kind = Kind.RING_BACK
        ledger.write(
            session, at=now, person=ledger.SYSTEM, act="ring_back", object_kind="ticket",
            object_id=ticket.id, why="录音里没有人说话",
        )  # fmt: skip
