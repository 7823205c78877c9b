"""What stands in the slots of a prompt: looked up only for the prompts that have any."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings
from ivr import own_words, prompts
from ivr.engine import FACT, Said
from tickets import service
from tickets.hours import after_duty_time
from tickets.models import Recording, Ticket
from tickets.roster import duty_times, next_shift, next_start, on_duty

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
        return _own_words(session, settings, call_id)
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
        case "I15":
            slots["materials"] = "、".join(memory[FACT + "materials"])
        case "I31":
            slots["within"] = prompts.spoken_duration(settings.contact_within_minutes)
        case "I40":
            start = next_start(session, now)
            slots["next_duty"] = (
                prompts.spoken_moment(start, now) if start else prompts.NEXT_DUTY_UNKNOWN
            )
        case "O01" | "O11" | "O12" | "O14":
            slots |= _news(session, settings, memory, now)
    return {"prompt": prompt, "slots": slots}


def _news(
    session: Session, settings: Settings, memory: Mapping[str, Any], now: datetime
) -> dict[str, str]:
    ticket = _about(session, memory)
    if ticket is None:
        return dict.fromkeys(("day", "news_day", "time", "by", "who", "materials"), "")
    news_at = (
        datetime.fromisoformat(memory[FACT + "news_at"]) if memory.get(FACT + "news_at") else now
    )
    again = after_duty_time(
        now, timedelta(minutes=settings.contact_within_minutes), duty_times(session, now)
    )
    return {
        "day": prompts.spoken_day(ticket.opened_at.date(), now.date()),
        "news_day": prompts.spoken_day(local(news_at).date(), now.date()),
        "time": prompts.spoken_deadline(_visit_time(session, now), now),
        "by": prompts.spoken_deadline(again, now),
        "who": prompts.spoken_person(ticket.assignee.name) if ticket.assignee else prompts.SOMEBODY,
        "materials": ticket.missing,
    }


def _visit_time(session: Session, now: datetime) -> datetime:
    """When somebody can come: on the next half hour of the shift under way, else when the next begins."""
    shift = on_duty(session, now)
    if shift is not None and prompts.next_half_hour(now) < shift.ends_at:
        return now
    following = next_shift(session, now)
    return following.starts_at if following else now


def _about(session: Session, memory: Mapping[str, Any]) -> Ticket | None:
    ticket_id = memory.get(FACT + "ticket")
    return session.get(Ticket, ticket_id) if ticket_id else None


def _own_words(session: Session, settings: Settings, call_id: int | None) -> Word | None:
    newest = select(Recording).where(Recording.call_id == call_id).order_by(Recording.id.desc())
    recording = session.scalar(newest.limit(1))
    return {"own": own_words.address(settings, recording)} if recording else None
