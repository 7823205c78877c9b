"""What stands in the slots of a prompt: looked up only for the prompts that have any."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from ivr import errand_words, news_words, own_words, parts, prompts
from ivr.engine import FACT
from ivr.steps import Said
from tickets import service
from tickets.models import Recording, Ticket
from tickets.roster import next_start

Word = Mapping[str, Any]


def fill(
    session: Session,
    settings: Settings,
    said: Said,
    *,
    call_id: int | None,
    memory: Mapping[str, Any],
    now: datetime,
) -> Sequence[Word]:
    """What is said, as it is kept with the turn; nothing where there is nothing to say."""
    if said.sound:
        return [{"sound": said.sound}]
    if said.own_words:
        return _own_words(session, settings, call_id, now)
    prompt, _, which = said.prompt.partition(":")
    if errand_words.speaks(prompt):
        return errand_words.fill(session, settings, prompt, memory, now)
    if prompt == "NEWS" or prompt == "O01":
        return news_words.fill(session, settings, prompt, memory, now)
    slots: dict[str, str] = {"line": settings.line_name, "place": settings.committee_place}
    if not prompts.has_slots(prompt):
        return [{"prompt": prompt, "slots": {}}]
    match prompt:
        case "S04":
            spot = parts.NUMBERS[memory["number"]]
            slots["words"] = parts.words(settings)[spot.prompt, spot.part]
        case "I04":
            requests = service.open_requests(
                session, memory[FACT + "phone"], test=bool(memory.get(FACT + "test"))
            )
            if int(which) > len(requests):
                return []
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
            prompt = "I31" if settings.has_second_channel else "I33"
            slots["within"] = prompts.spoken_duration(settings.contact_within_minutes)
        case "I40":
            start = next_start(session, now)
            slots["next_duty"] = (
                prompts.spoken_moment(start, now) if start else prompts.NEXT_DUTY_UNKNOWN
            )
    return [{"prompt": prompt, "slots": slots}]


def _about(session: Session, memory: Mapping[str, Any]) -> Ticket | None:
    ticket_id = memory.get(FACT + "ticket")
    return session.get(Ticket, ticket_id) if ticket_id else None


def _own_words(
    session: Session, settings: Settings, call_id: int | None, now: datetime
) -> Sequence[Word]:
    newest = select(Recording).where(Recording.call_id == call_id).order_by(Recording.id.desc())
    recording = session.scalar(newest.limit(1))
    if recording is None:
        return []
    return [{"own": own_words.address(settings, recording, own_words.CALLER, now)}]
