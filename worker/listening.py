"""What the ear made of a recording, and what it seems to be about, written beside it; and a
ring-back where nothing was said."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy.orm import Session

from asr import audio, intent
from asr.booth import Booth
from asr.likeness import Likeness
from asr.recognizer import Recognizer
from asr.transcript import Outcome
from asr.transcript import Transcript as Heard
from hotline.config import Settings
from hotline.phone import NotAPhoneError, Phone
from hotline.store import Store
from tickets import ledger, matters, sayings, understanding
from tickets.lifecycle import OPEN
from tickets.models import Kind, Recording, Source, Ticket, Transcript
from tickets.suggestion import Suggestion


def open_booth(recognizer: Recognizer | None, settings: Settings) -> Booth:
    """Where recordings are listened to, and where a crash costs one job."""
    return Booth(
        recognizer,
        max_wall_seconds=settings.transcribe_max_seconds,
        max_memory_bytes=settings.transcribe_max_bytes,
    )


def listen(store: Store, key: str | None, booth: Booth) -> Heard:
    """Transcribe a stored recording."""
    with store.as_file(key or "") as path:
        return booth.transcribe(path)


def understand(
    heard: Heard,
    known: Sequence[intent.Matter],
    settings: Settings,
    recording_id: int,
    now: datetime,
) -> Suggestion:
    """What the text is about, as far as can be told; nothing where most of it was not heard, and never
    certain of what was not heard well."""
    told = heard.text if heard.telling else ""
    ranked = intent.suggest(told, WORDS.of(known))
    called = {matter.code: matter.name for matter in known}
    return Suggestion(
        recording_id=recording_id,
        made_at=now,
        ranked=[
            {
                "code": each.code, "name": called[each.code], "score": each.score,
                "because": list(each.because), "urgent": each.urgent,
            }
            for each in ranked
        ],
        certain=heard.trusted and intent.sure(ranked) is not None,
        place=str(intent.find_place(told) or ""),
        phone=_number(told, settings),
        times=list(intent.find_times(told)),
    )  # fmt: skip


class Words:
    """The catalogue's words as they were last spelt, and anew once they have changed; and what was learnt from sayings.

    Spelt before the forks they are shared.
    """

    def __init__(self) -> None:
        self._mark = 0
        self._spelt = intent.Vocabulary(())
        self._likeness = Likeness.load(sayings.LEARNT)

    def of(self, matters: Sequence[intent.Matter]) -> intent.Vocabulary:
        if (mark := hash(tuple(matters))) != self._mark:
            self._spelt, self._mark = intent.Vocabulary(matters, self._likeness), mark
        return self._spelt


WORDS = Words()


def catalogue(session: Session) -> list[intent.Matter]:
    """The matters as the ear takes them."""
    return [
        intent.Matter(m.code, m.name, tuple(m.words), m.urgent) for m in matters.active(session)
    ]


def warm_up(session: Session) -> None:
    """Decode and understand once before the forks, so that what is made at first use is shared."""
    audio.rehearse()
    intent.suggest("您好，我要办一件事", WORDS.of(catalogue(session)))


def write(
    session: Session,
    settings: Settings,
    recording: Recording,
    heard: Heard,
    suggestion: Suggestion,
    now: datetime,
) -> None:
    """Keep the text with its doubts, and what it is about. Heard twice, the first text stands."""
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
    understanding.keep(session, settings, suggestion, recording.ticket, now)
    if (ticket := recording.ticket) is not None and heard.outcome is Outcome.SILENT:
        _nothing_was_said(session, ticket, now)


def _number(text: str, settings: Settings) -> str | None:
    """The one number that was spoken; of two nobody can say which is meant."""
    numbers = set()
    for digits in intent.find_phones(text):
        with suppress(NotAPhoneError):
            numbers.add(Phone.parse(digits, country=settings.country, area=settings.area_code).e164)
    return numbers.pop() if len(numbers) == 1 else None


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
