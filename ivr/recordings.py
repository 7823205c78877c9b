"""Recordings as the carrier reports them: by `action` or by callback, first or second, once or twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hotline.config import Settings
from ivr.engine import FACT
from ivr.models import Call
from ivr.steps import Effect
from tickets import ledger, promises, ring_backs, service
from tickets.ledger import CALLER
from tickets.lifecycle import OPEN
from tickets.models import Duty, Kind, Recording, Source, Ticket

# What a recording step does with its message, by whichever webhook brings it.
KEEPING = frozenset(
    {
        Effect.KEEP,
        Effect.KEEP_INSTEAD,
        Effect.KEEP_WITH_REQUEST,
        Effect.KEEP_REPLY,
        Effect.KEEP_TAKE,
    }
)


@dataclass(frozen=True, slots=True)
class Reported:
    """A recording by the carrier's word; seconds is None where it does not say."""

    carrier_id: str
    url: str
    seconds: float | None
    cut_short: bool = False  # a disk failed: its end is lost


def reported(form: Mapping[str, str]) -> Reported | None:
    """The recording a webhook speaks of, if any. Its identity is RecordingSid or the last part of
    the address without extension: some carriers send only the address."""
    url = form.get("RecordingUrl", "").strip()
    carrier_id = form.get("RecordingSid", "").strip() or PurePosixPath(urlsplit(url).path).stem
    if not url or not carrier_id or len(url) > 500 or len(carrier_id) > 200:
        return None
    try:
        seconds = float(form["RecordingDuration"])
    except (KeyError, ValueError):
        seconds = None
    return Reported(carrier_id, url, seconds, cut_short=form.get("ErrorCode", "0") not in {"", "0"})


def keep(
    session: Session,
    settings: Settings,
    call: Call,
    turn: int,
    effect: Effect,
    said: Reported,
    about: Ticket | None,
    now: datetime,
) -> list[int]:
    """Make a message a request, or a part of one; returns the promises to ring for.

    The call must be locked. A recording already known changes nothing.
    """
    known = session.scalar(select(Recording).where(Recording.carrier_id == said.carrier_id))
    if known is not None:
        known.claimed_seconds = (
            known.claimed_seconds if known.claimed_seconds is not None else said.seconds
        )
        known.cut_short = known.cut_short or said.cut_short
        return []
    ticket = _ticket_for(session, settings, call, effect, about, now)
    if effect is Effect.KEEP_INSTEAD:
        session.execute(
            update(Recording)
            .where(Recording.call_id == call.id, Recording.turn < turn)
            .values(superseded=True)
        )
    recording = Recording(
        carrier_id=said.carrier_id, url=said.url, made_at=now, call_id=call.id, ticket_id=ticket.id,
        turn=turn, reply=effect is Effect.KEEP_REPLY, claimed_seconds=said.seconds,
        cut_short=said.cut_short,
    )  # fmt: skip
    session.add(recording)
    session.flush()
    more: dict[str, Any] = {"cut_short": True} if said.cut_short else {}
    ledger.write(
        session,
        at=now,
        person=CALLER,
        act=effect,
        object_kind="ticket",
        object_id=ticket.id,
        recording=recording.id,
        **more,
    )
    return [
        promises.make(session, Duty.FETCH, now, recording_id=recording.id, ticket_id=ticket.id).id
    ]


def _ticket_for(
    session: Session,
    settings: Settings,
    call: Call,
    effect: Effect,
    about: Ticket | None,
    now: datetime,
) -> Ticket:
    mine = service.ticket_of_call(session, call.id)
    if mine is not None:
        mine.kind = Kind.ERRAND  # a ring-back until its recording came late
        return mine
    if about is not None and (
        effect is Effect.KEEP_REPLY or (effect is Effect.KEEP_WITH_REQUEST and about.state in OPEN)
    ):
        return about
    if call.phone is not None:
        ring_backs.forget(session, call.phone, now, test=call.test)
    return service.open_ticket(
        session, settings, now, kind=Kind.ERRAND, source=Source.MESSAGE, phone=call.phone, by=CALLER, call_id=call.id, test=call.test
    )  # fmt: skip


def ticket_in_mind(session: Session, memory: Mapping[str, object]) -> Ticket | None:
    """The request a caller asked about in this call."""
    return session.get(Ticket, ticket_id) if (ticket_id := memory.get(FACT + "ticket")) else None
