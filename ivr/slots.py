"""What stands in the slots of a prompt: looked up only for the prompts that have any."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from ivr import prompts
from ivr.engine import FACT, Said
from tickets import service
from tickets.models import Recording, Ticket
from tickets.roster import next_shift, on_duty

Word = Mapping[str, Any]


def fill(
    session: Session,
    settings: Settings,
    said: Said,
    *,
    call_id: int | None,
    memory: Mapping[str, Any],
    now: datetime,
) -> Word | None:
    """The word as it is kept with the turn; None for one that has nothing to say."""
    if said.sound:
        return {"sound": said.sound}
    if said.own_words:
        return _own_words(session, call_id)
    prompt, _, which = said.prompt.partition(":")
    if prompt == "NEWS":
        prompt = prompts.NEWS[memory[FACT + "event"]]
    if not prompts.has_slots(prompt):
        return {"prompt": prompt, "slots": {}}
    slots: dict[str, str] = {"line": settings.line_name, "place": settings.committee_place}
    match prompt:
        case "I04":
            requests = service.open_requests(session, memory[FACT + "phone"])
            if int(which) > len(requests):
                return None
            slots["progress"] = prompts.PROGRESS[requests[int(which) - 1].state]
        case "I13":
            made = service.ticket_of_call(session, call_id) if call_id else None
            ticket = made or _about(session, memory)
            by = (
                ticket.contact_by
                if ticket
                else now + timedelta(minutes=settings.contact_within_minutes)
            )
            slots["time"] = prompts.spoken_deadline(by, now)
        case "I31":
            slots["within"] = prompts.spoken_duration(settings.contact_within_minutes)
        case "I40":
            shift = next_shift(session, now)
            slots["next_duty"] = (
                prompts.spoken_moment(shift.starts_at, now) if shift else prompts.NEXT_DUTY_UNKNOWN
            )
        case "O01" | "O11" | "O12" | "O14":
            slots |= _news(session, memory, now)
    return {"prompt": prompt, "slots": slots}


def _news(session: Session, memory: Mapping[str, Any], now: datetime) -> dict[str, str]:
    ticket = _about(session, memory)
    if ticket is None:
        return dict.fromkeys(("day", "time", "who", "materials"), "")
    return {
        "day": prompts.spoken_day(ticket.opened_at.date(), now.date()),
        "time": prompts.spoken_moment(_visit_time(session, now), now),
        "who": prompts.spoken_person(ticket.assignee.name) if ticket.assignee else prompts.SOMEBODY,
        "materials": ticket.missing,
    }


def _visit_time(session: Session, now: datetime) -> datetime:
    """When somebody can come: in the shift under way or the next one."""
    shift = on_duty(session, now) or next_shift(session, now)
    return max(now, shift.starts_at).replace(minute=0) if shift else now


def _about(session: Session, memory: Mapping[str, Any]) -> Ticket | None:
    ticket_id = memory.get(FACT + "ticket")
    return session.get(Ticket, ticket_id) if ticket_id else None


def _own_words(session: Session, call_id: int | None) -> Word | None:
    url = session.scalar(
        select(Recording.url)
        .where(Recording.call_id == call_id)
        .order_by(Recording.id.desc())
        .limit(1)
    )
    return {"own": url} if url else None
