"""What a message seems to be about: the machine's guess, kept beside its text, offered to a person.

A guess decides nothing but one thing: an emergency heard makes the request urgent. What a person
says it is stands in `ticket.matter`, and `hotline asr report` compares the two.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import ledger, matters, notices, service
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import OPEN
from tickets.matters import Matter
from tickets.models import Recording, Ticket
from tickets.notices import Why
from tickets.suggestion import Suggestion

MOST_SPOKEN = 4  # things to have ready that are said on the telephone: more nobody keeps in mind


def names(session: Session) -> Mapping[str, str]:
    """What each matter is called, by its code; also those that are not worked on any more."""
    found = session.execute(select(Matter.code, Matter.name).order_by(Matter.id))
    return {code: name for code, name in found}  # noqa: C416  rows are no pairs to a checker


def keep(
    session: Session,
    settings: Settings,
    suggestion: Suggestion,
    ticket: Ticket | None,
    now: datetime,
) -> None:
    """Keep what a message seems to be about; an emergency puts its request before all others, and
    the groups are told at once."""
    session.add(suggestion)
    session.flush()
    if ticket is not None and suggestion.urgent and not ticket.urgent and ticket.state in OPEN:
        ticket.urgent = True
        notices.owe(session, settings, Why.URGENT, now, test=ticket.test)
        heard = "、".join(suggestion.ranked[0]["because"])
        ledger.write(
            session, at=now, person=SYSTEM, act="urgent", object_kind="ticket",
            object_id=ticket.id, why=f"听到「{heard}」",
        )  # fmt: skip


def of(ticket: Ticket) -> Suggestion | None:
    """What a request seems to be about: an emergency in any of its messages, else by the newest."""
    made = [r.suggestion for r in reversed(ticket.recordings) if r.suggestion and not r.superseded]
    ranked = likeliest([suggestion.ranked for suggestion in made if suggestion.ranked])
    return next((s for s in made if s.ranked is ranked), next(iter(made), None))


def likeliest(ranked: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]] | None:
    """Of what several messages seem to be about, the newest first: an emergency, else the newest."""
    return next((each for each in ranked if each[0]["urgent"]), next(iter(ranked), None))


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


def to_have_ready(session: Session, call_id: int) -> tuple[bool, Sequence[str]]:
    """Whether everything said in a call is written down, and what its caller should have ready.

    Nothing unless all of it is about one certain matter, whose materials somebody has looked up and
    which are few enough to be said.
    """
    made = session.scalars(
        select(Suggestion)
        .outerjoin_from(Recording, Suggestion, Suggestion.recording_id == Recording.id)
        .where(Recording.call_id == call_id, Recording.superseded.is_(False))
    ).all()
    if not all(made):
        return False, ()
    certain = {each.matter for each in made if each.certain}
    if len(certain) != 1 or any(each.urgent for each in made):
        return True, ()
    matter = matters.named(session, certain.pop())
    if matter is None or matter.checked_on is None or len(matter.materials) > MOST_SPOKEN:
        return True, ()
    return True, matter.materials
