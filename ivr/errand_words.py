"""The words of a volunteer's call: his requests one after the other, in the resident's own voice."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings
from hotline.phone import Phone
from ivr import own_words, prompts
from ivr.engine import FACT
from tickets import checklist, volunteer_keys
from tickets.lifecycle import OPEN, State
from tickets.models import Kind, Recording, Ticket

Word = Mapping[str, Any]

NUMBER = "D08"  # the prompt that says a resident's number
LISTS = ("waiting", "errands", "untold")  # gone through in this order
LONGEST_LIST = 6  # things to bring: more is not taken in by ear


def speaks(prompt: str) -> bool:
    """Whether this prompt is a volunteer's, or stands for a resident's voice."""
    return prompt[0] in "DV"


def fill(
    session: Session, settings: Settings, prompt: str, memory: Mapping[str, Any], now: datetime
) -> Sequence[Word]:
    """One prompt; where things have changed meanwhile, the one that says so."""
    volunteer_id = int(memory[FACT + "volunteer"])
    match prompt:
        case "VOICE":
            return _voice(settings, item(session, memory), now)
        case "D01" | "D02" | "D03" | "D14" | "D25":
            until = memory.get(FACT + "until")
            of = LISTS[:1] if prompt == "D03" else LISTS  # late is not new
            return [_word(prompt, {
                "line": settings.line_name,
                "until": prompts.spoken_deadline(datetime.fromisoformat(until), now) if until else "",
                "count": prompts.spoken_count(sum(len(memory.get(FACT + each) or ()) for each in of)),
            })]  # fmt: skip
        case "D24":
            return [_word(prompt, {"note": note}) for note in memory.get(FACT + "notes") or ()]
        case "D23":
            in_hand = int(memory.get(FACT + "in_hand", 0))
            return [_word(prompt, {"in_hand": prompts.spoken_count(in_hand)})] if in_hand else []
        case "D06":
            ticket = item(session, memory)
            urgent = [_word("D18")] if ticket and ticket.urgent else []
            late = (
                [_word("D26")] if ticket and ticket.id in (memory.get(FACT + "late") or ()) else []
            )
            return [*urgent, *late, _word("D06", _when(ticket, len(_gone_through(memory)), now))]
        case "D22" | "D08":
            ticket = item(session, memory)
            if ticket is None or not volunteer_keys.can_be_his(session, ticket, volunteer_id):
                return [_word("D16")] if prompt == "D08" else []
            return [_number(ticket) if prompt == "D08" else _word(prompt)]
        case "D27":
            ticket = item(session, memory)
            wanted = [each.what for each in checklist.items(session, ticket)] if ticket else []
            if not 0 < len(wanted) <= LONGEST_LIST:
                return []
            return [_word("D27", {"materials": "、".join(wanted)})]
        case "D15":
            return [_word("D15" if memory.get(FACT + "committee") else "D29")]
        case "D11":
            ticket = item(session, memory, before=True)
            to = ticket and volunteer_keys.next_person(session, ticket, volunteer_id, now)
            return [_word("D11" if to else "D17")]
        case "V07":
            ticket = item(session, memory, before=True)
            known = {*OPEN, State.DONE, State.CLOSED}  # it may just have been done, in this call
            his = (
                ticket is not None and ticket.assignee_id == volunteer_id and ticket.state in known
            )
            told = "V07" if ticket is not None and ticket.kind is Kind.ERRAND else "V10"
            return [_word(told if his else "D16")]
    return [_word(prompt)]


def item(session: Session, memory: Mapping[str, Any], *, before: bool = False) -> Ticket | None:
    """The request at which the lists stand, or the one that was asked about before it."""
    gone_through = _gone_through(memory)
    exhausted = int(memory.get(LISTS[-1], 0)) > len(memory.get(FACT + LISTS[-1]) or ())
    place = -2 if before and not exhausted else -1
    return session.get(Ticket, gone_through[place]) if len(gone_through) >= -place else None


def look(session: Session, memory: Mapping[str, Any]) -> Mapping[str, Any]:
    """As a fact: whether the resident of the request at hand has heard from anybody."""
    ticket = item(session, memory)
    return {FACT + "contacted": ticket is None or ticket.contacted_at is not None}


def _gone_through(memory: Mapping[str, Any]) -> Sequence[int]:
    """The requests of this call so far, list after list."""
    lists = (((memory.get(FACT + of) or ())[: int(memory.get(of, 0))]) for of in LISTS)
    return [ticket_id for each in lists for ticket_id in each]


def _word(prompt: str, slots: Mapping[str, str] | None = None) -> Word:
    return {"prompt": prompt, "slots": slots if slots and prompts.has_slots(prompt) else {}}


def _voice(settings: Settings, ticket: Ticket | None, now: datetime) -> Sequence[Word]:
    """All that was said for it, the newest last; without a word, that there is none."""
    said: list[Recording] = [r for r in ticket.recordings if not r.superseded] if ticket else []
    if not said:
        return [_word("D19")]
    heard_by = own_words.VOLUNTEER
    return [{"own": own_words.address(settings, each, heard_by, now)} for each in said]


def _number(ticket: Ticket | None) -> Word:
    if ticket is None or ticket.phone is None:
        return _word("D20")
    return _word("D08", {"phone": prompts.spoken_digits(Phone(ticket.phone).dialled)})


def _when(ticket: Ticket | None, nth: int, now: datetime) -> dict[str, str]:
    """Which it is, and when it came: to the half hour before."""
    at = local(ticket.opened_at) if ticket else now
    rounded = at.replace(minute=at.minute // 30 * 30)
    return {"nth": prompts.spoken_number(nth), "when": prompts.spoken_moment(rounded, now)}
