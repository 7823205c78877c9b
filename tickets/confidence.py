"""What a resident agreed to, and what is known of them in confidence.

Notes are read only by those who may, and each reading is in the ledger before it is given.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tickets import residents
from tickets.dossier import Consent, ConsentBy, ConsentTo, ResidentNote
from tickets.ledger import Person
from tickets.models import Resident, Role, Volunteer

READS_NOTES = frozenset({Role.LEAD, Role.COMMITTEE, Role.ADMIN})


class NotTheirsToReadError(Exception):
    """Notes are for leads, committee and administrators."""


def agree(
    session: Session,
    resident: Resident,
    to: ConsentTo,
    how: ConsentBy,
    by: Person,
    now: datetime,
    *,
    given_at: datetime | None = None,
) -> Consent:
    """Write down that they agreed; said again, the first time stands."""
    standing = consents(session, resident).get(to)
    if standing is not None:
        return standing
    row = Consent(
        resident_id=resident.id, to=to, by=how, given_at=given_at or now, written_by=by.volunteer_id
    )
    session.add(row)
    session.flush()
    residents.note(session, resident, "consent", by, now, to=to, how=how)
    return row


def take_back(
    session: Session, resident: Resident, to: ConsentTo, by: Person, now: datetime
) -> bool:
    """They no longer agree; False if they had not. The row stays: it says how long they did."""
    standing = consents(session, resident).get(to)
    if standing is None:
        return False
    standing.taken_back_at = now
    residents.note(session, resident, "consent_taken_back", by, now, to=to)
    return True


def consents(session: Session, resident: Resident) -> dict[ConsentTo, Consent]:
    """What they agree to at present."""
    rows = session.scalars(
        select(Consent).where(Consent.resident_id == resident.id, Consent.taken_back_at.is_(None))
    )
    return {row.to: row for row in rows}


def all_consents(session: Session, to: ConsentTo) -> dict[int, Consent]:
    """Everybody's present consent to one thing, by resident."""
    rows = session.scalars(select(Consent).where(Consent.to == to, Consent.taken_back_at.is_(None)))
    return {row.resident_id: row for row in rows}


def write_note(
    session: Session, resident: Resident, text: str, by: Person, now: datetime
) -> ResidentNote:
    """Anybody may write one; the ledger says that, not what."""
    row = ResidentNote(
        resident_id=resident.id, text=text.strip(), written_at=now, written_by=by.volunteer_id
    )
    session.add(row)
    session.flush()
    residents.note(session, resident, "write_note", by, now)
    return row


def is_noted(session: Session, resident: Resident, text: str) -> bool:
    """Whether the very same words are there already; tells nobody what is."""
    same = select(ResidentNote.id).where(
        ResidentNote.resident_id == resident.id, ResidentNote.text == text.strip()
    )
    return session.scalar(same.limit(1)) is not None


def read_notes(
    session: Session, resident: Resident, by: Person, now: datetime
) -> Sequence[ResidentNote]:
    """The notes, the newest first; each reading is a ledger line. Raises NotTheirsToReadError."""
    reader = session.get(Volunteer, by.volunteer_id) if by.volunteer_id else None
    if reader is None or not reader.active or reader.role not in READS_NOTES:
        raise NotTheirsToReadError
    residents.note(session, resident, "read_notes", by, now)
    return session.scalars(
        select(ResidentNote)
        .where(ResidentNote.resident_id == resident.id)
        .order_by(ResidentNote.id.desc())
    ).all()
