"""Whom a call rings while its caller waits: volunteers, the committee or a resident."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hotline.config import Settings
from ivr.engine import FACT
from tickets import roster
from tickets.models import Ticket


def whom_to_ring(
    session: Session,
    settings: Settings,
    whom: str,
    memory: Mapping[str, Any],
    call_id: int,
    now: datetime,
) -> dict[str, Any] | None:
    """The next person of a call that looks for one: phone, seconds, who; None when all were rung.

    Nobody whispers to the committee or to a resident: `who` is None.
    """
    if whom == "committee":
        phone = None if memory.get("rung") else settings.committee_phone
        return (
            {"phone": phone, "who": None, "call": call_id, "seconds": settings.ring_person_seconds}
            if phone
            else None
        )
    if whom == "resident":
        ticket = session.get(Ticket, memory[FACT + "ticket"])
        phone = ticket.phone if ticket and not memory.get("rung") else None
        return (
            {
                "phone": phone,
                "who": None,
                "call": call_id,
                "seconds": settings.ring_resident_seconds,
            }
            if phone
            else None
        )
    people = people_to_ring(session, settings, now)
    rung = int(memory.get("rung", 0))
    if rung >= len(people):
        return None
    left = settings.ring_all_seconds - rung * settings.ring_person_seconds
    return {
        "phone": people[rung].phone, "who": people[rung].id, "call": call_id,
        "seconds": min(settings.ring_person_seconds, left),
    }  # fmt: skip


def can_reach_committee(settings: Settings) -> bool:
    return bool(settings.committee_phone) and settings.has_second_channel


def people_to_ring(session: Session, settings: Settings, now: datetime) -> Sequence[Any]:
    if not settings.has_second_channel:
        return []
    most = -(-settings.ring_all_seconds // settings.ring_person_seconds)
    return roster.people_to_ring(session, now)[:most]
