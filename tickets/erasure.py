"""A resident's right to be forgotten (PIPL art. 47): what is theirs, and how it goes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hotline.phone import Phone
from tickets import ledger
from tickets.ledger import LEDGER, Person
from tickets.lifecycle import OPEN
from tickets.models import Fetch, Recording, Resident, ResidentPhone, Ticket
from tickets.retention import CALLS, audio_deleted, forget_numbers, make_nameless, receipt


class HeldError(Exception):
    """A request is not finished, or is held for a dispute; carries its number."""


def of_resident(session: Session, resident: Resident) -> tuple[Sequence[int], Sequence[int]]:
    """The requests of one resident, and the recordings in them; raises HeldError."""
    tickets = requests_of(session, resident)
    for ticket in tickets:
        if ticket.hold or ticket.state in OPEN:
            raise HeldError(ticket.number)
    ids = [ticket.id for ticket in tickets]
    recordings = session.scalars(
        select(Recording.id).where(
            Recording.ticket_id.in_(ids), Recording.fetch == Fetch.STORED
        )
    ).all()  # fmt: skip
    return ids, recordings


def erase(session: Session, resident: Resident, by: Person, now: datetime, why: str) -> None:
    """Forget one resident who asked for it (PIPL art. 47); the figures stay as they are.

    The sounds of `of_resident` must be gone already. Calls are forgotten where the number was
    theirs alone.
    """
    ids, recordings = of_resident(session, resident)
    rule = "本人要求删除（个人信息保护法第四十七条）"
    audio_deleted(session, recordings, rule, now, by)
    make_nameless(session, ids, rule, now, by)
    forget_numbers(session, CALLS.c.phone.in_(own_numbers(session, resident)))
    # people search for a name, and write one where they say why
    named = or_(*(LEDGER.c.why.contains(said, autoescape=True) for said in _said(resident)))
    about = (LEDGER.c.object_kind == "resident") & (LEDGER.c.object_id == resident.id)
    ledger.erase_words(session, or_(about, named), rule, now, by)
    ledger.write(
        session, at=now, person=by, act="erase", object_kind="resident", object_id=resident.id, why=why
    )  # fmt: skip
    receipt(session, "person", rule, 1, now, by)
    _delete(session, resident)


def requests_of(session: Session, resident: Resident) -> Sequence[Ticket]:
    """Their requests, also those from before anybody knew whose the number was."""
    unknown = Ticket.resident_id.is_(None) & Ticket.phone.in_(own_numbers(session, resident))
    return session.scalars(
        select(Ticket).where(or_(Ticket.resident_id == resident.id, unknown)).order_by(Ticket.id)
    ).all()


def own_numbers(session: Session, resident: Resident) -> list[str]:
    """The numbers that no other resident has."""
    mine = {number.phone for number in resident.phones}
    shared = session.scalars(
        select(ResidentPhone.phone).where(
            ResidentPhone.phone.in_(mine), ResidentPhone.resident_id != resident.id
        )
    )
    return sorted(mine - set(shared))


def _said(resident: Resident) -> list[str]:
    """How they may be called in other people's words."""
    numbers = [number.phone for number in resident.phones]
    return [resident.name, *numbers, *(Phone(number).dialled for number in numbers)]


def _delete(session: Session, resident: Resident) -> None:
    """And whoever was found to be the same person."""
    for duplicate in session.scalars(
        select(Resident).where(Resident.merged_into_id == resident.id)
    ):
        _delete(session, duplicate)
    session.delete(resident)
    session.flush()
