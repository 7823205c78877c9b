"""Residents: adding, changing, merging, their numbers. Who may is asked at the door.

A whole number is shown only with a reason, written to the ledger before it is given.
"""

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from hotline.phone import Phone, mask
from tickets import ledger
from tickets.dossier import Consent, ResidentNote
from tickets.ledger import Person
from tickets.models import Dialect, Resident, ResidentPhone, Ticket


class NameMissingError(ValueError):
    """A resident needs a name."""


class ReasonMissingError(ValueError):
    """A whole number is shown only to whoever says what for."""


class SameResidentError(ValueError):
    """Nobody can be merged into himself, or into somebody who was merged away."""


@dataclass(frozen=True, slots=True)
class Particulars:
    """What is known of a resident. Phones in E.164; buildings as numbers, without 幢."""

    name: str
    building: str = ""
    unit: str = ""
    room: str = ""
    dialect: Dialect = Dialect.MANDARIN
    slow: bool = False
    phones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What to change; None leaves as it is."""

    name: str | None = None
    building: str | None = None
    unit: str | None = None
    room: str | None = None
    dialect: Dialect | None = None
    slow: bool | None = None
    active: bool | None = None


def add(session: Session, who: Particulars, by: Person, now: datetime) -> Resident:
    """Write somebody down. Raises NameMissingError."""
    if not who.name.strip():
        raise NameMissingError
    resident = Resident(
        name=who.name.strip(), building=who.building, unit=who.unit, room=who.room,
        dialect=who.dialect, slow=who.slow,
        phones=[ResidentPhone(phone=phone) for phone in dict.fromkeys(who.phones)],
    )  # fmt: skip
    session.add(resident)
    session.flush()
    note(session, resident, "add_resident", by, now)
    return resident


def change(
    session: Session, resident: Resident, what: Change, by: Person, now: datetime
) -> list[str]:
    """Change what is given; returns which fields are different now. Raises NameMissingError."""
    if what.name is not None and not what.name.strip():
        raise NameMissingError
    changed = []
    for field in fields(what):
        value = getattr(what, field.name)
        if value is not None and value != getattr(resident, field.name):
            setattr(resident, field.name, value)
            changed.append(field.name)
    if changed:
        note(session, resident, "change_resident", by, now, fields=changed)
    return changed


def attach(session: Session, resident: Resident, phone: Phone, by: Person, now: datetime) -> bool:
    """Add a number; False if they had it. Another may have the same: a household shares one."""
    if any(row.phone == phone.e164 for row in resident.phones):
        return False
    resident.phones.append(ResidentPhone(phone=phone.e164))
    note(session, resident, "attach_number", by, now, number=mask(phone.e164))
    return True


def detach(session: Session, resident: Resident, phone_id: int, by: Person, now: datetime) -> bool:
    """Take a number away; False if it is not theirs."""
    row = next((row for row in resident.phones if row.id == phone_id), None)
    if row is None:
        return False
    resident.phones.remove(row)
    note(session, resident, "detach_number", by, now, number=mask(row.phone))
    return True


def merge(
    session: Session, kept: Resident, duplicate: Resident, by: Person, now: datetime
) -> Resident:
    """Two rows are one person: numbers, requests, consents and notes go to the one that is kept.

    What the kept one lacks is taken from the other. Raises SameResidentError.
    """
    if kept.id == duplicate.id or kept.merged_into_id or duplicate.merged_into_id:
        raise SameResidentError
    had = {row.phone for row in kept.phones}
    for row in list(duplicate.phones):
        if row.phone not in had:
            kept.phones.append(ResidentPhone(phone=row.phone))
        duplicate.phones.remove(row)
    if not (kept.building or kept.unit or kept.room):
        kept.building, kept.unit, kept.room = duplicate.building, duplicate.unit, duplicate.room
    for table in (Ticket, Consent, ResidentNote):
        session.execute(
            update(table).where(table.resident_id == duplicate.id).values(resident_id=kept.id)
        )
    duplicate.active, duplicate.merged_into_id = False, kept.id
    note(session, kept, "merge_resident", by, now, duplicate=duplicate.id)
    return kept


def reveal(
    session: Session, resident: Resident, phone_id: int, by: Person, now: datetime, *, why: str
) -> str:
    """The whole number as it is dialled. The reason is in the ledger before anybody sees it, if
    the door commits before it shows. Raises ReasonMissingError, LookupError."""
    if not why.strip():
        raise ReasonMissingError
    row = next((row for row in resident.phones if row.id == phone_id), None)
    if row is None:
        raise LookupError(phone_id)
    note(session, resident, "see_number", by, now, why=why.strip(), number=mask(row.phone))
    return Phone(row.phone).dialled


def note(
    session: Session, resident: Resident, act: str, by: Person, now: datetime, *, why: str = "", **facts: object
) -> None:  # fmt: skip
    """One line about a resident."""
    ledger.write(
        session, at=now, person=by, act=act, object_kind="resident", object_id=resident.id, why=why,
        **facts,
    )  # fmt: skip
