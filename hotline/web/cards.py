"""A request as a list shows it. Lists are read as columns, in two statements for all their cards:
thirty requests with everything that hangs on them cost thirty times what is shown of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.phone import mask
from hotline.web import words
from tickets import understanding
from tickets.lifecycle import OPEN, State
from tickets.matters import Matter
from tickets.models import (
    Duty,
    Kind,
    Promise,
    PromiseState,
    Recording,
    Resident,
    Ticket,
    Transcript,
    Volunteer,
    number,
)
from tickets.suggestion import Suggestion

TICKING = OPEN - {State.WAITING}  # the others wait for somebody else, or for nobody
UNTAKEN = frozenset({State.NEW, State.ASSIGNED})

_LAST_NEWS = (
    select(Promise.state)
    .where(Promise.ticket_id == Ticket.id, Promise.duty == Duty.RETURN_CALL)
    .order_by(Promise.id.desc())
    .limit(1)
    .scalar_subquery()
)
_LISTED = (
    select(
        Ticket.id, Ticket.day, Ticket.sequence, Ticket.kind, Ticket.state, Ticket.urgent, Ticket.test, Ticket.phone,
        Ticket.opened_at, Ticket.accept_by, Ticket.contact_by, Ticket.contacted_at, Ticket.done_by, Ticket.note,
        Resident.name, Resident.building, Resident.unit, Resident.room,
        Volunteer.name.label("assignee"), Matter.name.label("matter"), _LAST_NEWS.label("news"),
    )
    .outerjoin(Resident, Resident.id == Ticket.resident_id)
    .outerjoin(Volunteer, Volunteer.id == Ticket.assignee_id)
    .outerjoin(Matter, Matter.code == Ticket.matter)
)  # fmt: skip
_HEARD = (
    select(
        Recording.ticket_id, Transcript.text, Transcript.corrected_text, Transcript.trusted, Suggestion.ranked,
    )
    .outerjoin(Transcript, Transcript.recording_id == Recording.id)
    .outerjoin(Suggestion, Suggestion.recording_id == Recording.id)
    .where(Recording.superseded.is_(False))
    .order_by(Recording.id.desc())
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Card:
    """One request as a list shows it."""

    id: int
    number: str
    title: str
    hint: str
    about: str
    tags: tuple[str, ...]
    late: bool
    waited: str
    until: str
    assignee: str


def of(session: Session, settings: Settings, ids: Sequence[int], now: datetime) -> list[Card]:
    """The cards of these requests, in this order."""
    heard: Mapping[int, list[Row[Any]]] = defaultdict(list)
    for row in session.execute(_HEARD.where(Recording.ticket_id.in_(ids))):
        heard[row.ticket_id].append(row)
    listed: Sequence[Any] = session.execute(_LISTED.where(Ticket.id.in_(ids))).all()
    found = {row.id: _card(row, heard[row.id], settings, now) for row in listed}
    return [found[each] for each in ids if each in found]


def title(ticket: Ticket) -> str:
    """李桂芳，3幢2单元501; a number that may be anybody's only masked."""
    return _title(ticket.resident, ticket.phone)


def is_late(settings: Settings, now: datetime) -> ColumnElement[bool]:
    """In the table's words, what `_deadline` says of one row."""
    long_ago = now - timedelta(hours=settings.done_within_hours)
    first = or_(Ticket.contact_by < now, and_(Ticket.state.in_(UNTAKEN), Ticket.accept_by < now))
    promised = Ticket.done_by.is_not(None)  # never NULL: it is sorted by
    then = or_(and_(promised, Ticket.done_by < now), and_(~promised, Ticket.opened_at < long_ago))
    return and_(
        Ticket.state.in_(TICKING),
        or_(
            and_(Ticket.contacted_at.is_(None), first), and_(Ticket.contacted_at.is_not(None), then)
        ),
    )


def _card(row: Row[Any], heard: Sequence[Row[Any]], settings: Settings, now: datetime) -> Card:
    until = _deadline(row, settings)
    is_open = row.state in OPEN
    return Card(
        id=row.id,
        number=number(row.day, row.sequence),
        title=_title(row if row.name else None, row.phone),
        hint="" if row.kind is Kind.RING_BACK else _hint(heard) or row.note or "请听原音",
        about=row.matter or _guess(heard),
        tags=_tags(row, settings),
        late=until is not None and until < now,
        waited=words.waited(row.opened_at, now) if is_open else "",
        until=_until(row, until, now),
        assignee=row.assignee or "",
    )


def _tags(row: Row[Any], settings: Settings) -> tuple[str, ...]:
    said = words.STATES[row.state]
    if row.kind is Kind.RING_BACK and row.state in OPEN:
        said = "没留话，请回电"
    if row.state is State.DONE and row.news is PromiseState.OWED:
        said = "请上门告诉一声"
    tried = row.test and not settings.demo  # there all are
    hurry = row.urgent and row.state in OPEN
    return (*(("试打",) if tried else ()), *(("急",) if hurry else ()), said)


def _deadline(row: Row[Any], settings: Settings) -> datetime | None:
    """By when the next thing should have happened; None when nothing is due."""
    if row.state not in TICKING:
        return None
    if row.contacted_at is None:
        return min(row.accept_by, row.contact_by) if row.state in UNTAKEN else row.contact_by  # type: ignore[no-any-return]
    return row.done_by or row.opened_at + timedelta(hours=settings.done_within_hours)  # type: ignore[no-any-return]


def _until(row: Row[Any], until: datetime | None, now: datetime) -> str:
    if until is None:
        return ""
    do = "打电话" if row.contacted_at is None else "办好"
    when = words.moment(until, now)
    return f"{when}前就该{do}" if until < now else f"请在{when}前{do}"


def _title(who: Any, phone: str | None) -> str:
    if who is None:
        return f"来电 {mask(phone)}" if phone else "号码没显示的来电"
    parts = ((who.building, "幢"), (who.unit, "单元"), (who.room, ""))
    home = "".join(part + called for part, called in parts if part)
    return "，".join(filter(None, (who.name, home)))


def _hint(heard: Iterable[Row[Any]]) -> str:
    """What was said, as far as somebody wrote it or the machine could tell; the newest first."""
    for row in heard:
        if row.corrected_text:
            return str(row.corrected_text)
        if row.trusted and row.text:
            return words.clean(row.text)
    return ""


def _guess(heard: Iterable[Row[Any]]) -> str:
    ranked = understanding.likeliest([row.ranked for row in heard if row.ranked])
    return words.guess(ranked[0]) if ranked else ""
