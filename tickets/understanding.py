"""What a message seems to be about: the machine's guess, kept beside its text, offered to a person.

A guess decides nothing but one thing: an emergency heard makes the request urgent. What a person
says it is stands in `ticket.matter`, and `hotline asr report` compares the two.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from tickets import ledger, service
from tickets.catalogue import CATALOGUE
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import OPEN
from tickets.models import Recording, Ticket
from tickets.suggestion import Suggestion

MOST_SPOKEN = 4  # things to have ready that are said on the telephone: more nobody keeps in mind


class Matter(Protocol):
    """One line of the catalogue, wherever it is kept."""

    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def words(self) -> Sequence[str]: ...
    @property
    def urgent(self) -> bool: ...
    @property
    def materials(self) -> Sequence[str]: ...
    @property
    def checked_on(self) -> date | None: ...


def matters(session: Session) -> Sequence[Matter]:
    """The catalogue."""
    return CATALOGUE


def names(session: Session) -> Mapping[str, str]:
    """What each matter is called, by its code."""
    return {matter.code: matter.name for matter in matters(session)}


def keep(session: Session, suggestion: Suggestion, ticket: Ticket | None, now: datetime) -> None:
    """Keep what a message seems to be about; an emergency puts its request before all others."""
    session.add(suggestion)
    session.flush()
    if ticket is not None and suggestion.urgent and not ticket.urgent and ticket.state in OPEN:
        ticket.urgent = True
        heard = "、".join(suggestion.ranked[0]["because"])
        ledger.write(
            session, at=now, person=SYSTEM, act="urgent", object_kind="ticket",
            object_id=ticket.id, why=f"听到「{heard}」",
        )  # fmt: skip


def of(ticket: Ticket) -> Suggestion | None:
    """What a request seems to be about: an emergency in any of its messages, else by the newest."""
    made = [r.suggestion for r in reversed(ticket.recordings) if r.suggestion and not r.superseded]
    likely = [suggestion for suggestion in made if suggestion.ranked]
    urgent = (suggestion for suggestion in likely if suggestion.urgent)
    return next(urgent, None) or next(iter([*likely, *made]), None)


def choose(session: Session, ticket: Ticket, matter: Matter, by: Person, now: datetime) -> None:
    """A person says what it is about, with the machine or against it."""
    if ticket.matter == matter.code:
        return
    suggestion = of(ticket)
    ledger.write(
        session, at=now, person=by, act="choose_matter", object_kind="ticket", object_id=ticket.id,
        why=matter.name, matter=matter.code, before=ticket.matter,
        suggested=suggestion.matter if suggestion else None,
    )  # fmt: skip
    ticket.matter = matter.code


def take_number(session: Session, ticket: Ticket, phone: str, by: Person, now: datetime) -> None:
    """A person has checked the number that a caller, whose own was not shown, has spoken."""
    if ticket.phone == phone:
        return
    resident = service.resident_of(session, phone)
    ticket.phone, ticket.resident_id = phone, resident.id if resident else None
    ledger.write(
        session, at=now, person=by, act="take_number", object_kind="ticket", object_id=ticket.id
    )


def to_have_ready(
    session: Session, call_id: int, *, demo: bool = False
) -> tuple[bool, Sequence[str]]:
    """Whether everything said in a call is written down, and what its caller should have ready.

    Nothing unless all of it is about one certain matter, whose materials somebody has looked up and
    which are few enough to be said. A demonstration's catalogue nobody has looked up: it is invented
    like its callers.
    """
    made = session.execute(
        select(Recording.id, Suggestion)
        .outerjoin(Suggestion, Suggestion.recording_id == Recording.id)
        .where(Recording.call_id == call_id, Recording.superseded.is_(False))
    ).all()
    suggestions = [suggestion for _, suggestion in made]
    if not all(suggestions):
        return False, ()
    certain = {each.matter for each in suggestions if each.certain}
    if len(certain) != 1 or any(each.urgent for each in suggestions):
        return True, ()
    matter = next((each for each in matters(session) if each.code in certain), None)
    if matter is None or not (matter.checked_on or demo) or len(matter.materials) > MOST_SPOKEN:
        return True, ()
    return True, matter.materials
