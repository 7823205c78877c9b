"""The words of a return call: one piece of news as it always was, several one after the other."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings
from ivr import prompts
from ivr.engine import FACT
from tickets.hours import after_duty_time
from tickets.models import Ticket
from tickets.roster import duty_times, next_shift, on_duty

Word = Mapping[str, Any]


def fill(
    session: Session, settings: Settings, prompt: str, memory: Mapping[str, Any], now: datetime
) -> Sequence[Word]:
    """O01, the greeting, or NEWS, all that there is to tell."""
    news = memory.get(FACT + "news") or ()
    tickets = [session.get(Ticket, each["ticket"]) for each in news]
    line = {"line": settings.line_name}
    if prompt == "O01":
        if len(news) > 1:
            return [_word("O02", line | {"count": prompts.spoken_count(len(news))})]
        return [_word("O01", line | {"day": _day(tickets[0], now) if tickets else ""})]
    words: list[Word] = []
    for nth, (each, ticket) in enumerate(zip(news, tickets, strict=True), start=1):
        if len(news) > 1:
            slots = {"nth": prompts.spoken_number(nth), "day": _day(ticket, now)}
            words.append(_word("O03", slots))
        told_at = datetime.fromisoformat(each["at"])
        slots = line | _slots(session, settings, ticket, told_at, now)
        words.append(_word(prompts.NEWS[each["event"]], slots))
    return words


def _word(prompt: str, slots: Mapping[str, str]) -> Word:
    return {"prompt": prompt, "slots": slots if prompts.has_slots(prompt) else {}}


def _slots(
    session: Session, settings: Settings, ticket: Ticket | None, told_at: datetime, now: datetime
) -> dict[str, str]:
    again = after_duty_time(
        now, timedelta(minutes=settings.contact_within_minutes), duty_times(session, now)
    )
    assignee = ticket.assignee if ticket else None
    return {
        "news_day": prompts.spoken_day(local(told_at).date(), now.date()),
        "time": prompts.spoken_deadline(_visit_time(session, now), now),
        "by": prompts.spoken_deadline(again, now),
        "who": prompts.spoken_person(assignee.name) if assignee else prompts.SOMEBODY,
        "materials": ticket.missing if ticket else "",
    }


def _day(ticket: Ticket | None, now: datetime) -> str:
    return prompts.spoken_day(ticket.opened_at.date(), now.date()) if ticket else ""


def _visit_time(session: Session, now: datetime) -> datetime:
    """When somebody can come: on the next half hour of the shift under way, else when the next begins."""
    shift = on_duty(session, now)
    if shift is not None and prompts.next_half_hour(now) < shift.ends_at:
        return now
    following = next_shift(session, now)
    return following.starts_at if following else now
