"""What is kept how long: sound, then words and names, then the ledger's old lines. Each step takes
a few rows, can be asked again, and leaves a receipt in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Select,
    column,
    delete,
    func,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings
from hotline.db import UtcDateTime
from tickets import ledger, search
from tickets.books import LedgerMark, Receipt, SpotCheck
from tickets.guard import ACCESS_LOG_DAYS
from tickets.ledger import LEDGER, SYSTEM, Person
from tickets.lifecycle import OPEN
from tickets.models import (
    Fetch,
    Promise,
    Recording,
    ReturnTry,
    Ticket,
    Transcript,
)
from tickets.outings import Carried, Journey, JourneyTicket
from tickets.rounds import PERSONAL, Deed, TicketRound

SOME = 200  # rows of one transaction
SOME_LINES = 20_000

THING = "东西"  # what was taken along, once nobody is to know whose it was

# The telephone's tables, which this side of the house knows by name only, and one of a floor above.
TICKED = table("ticked", column("ticket_id"))
CALLS = table("calls", column("id"), column("phone"), column("started_at", UtcDateTime))
TURNS = table("turns", column("call_id"), column("memory", JSON), column("says", JSON))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is due by each rule now."""

    audio: int
    texts: int
    calls: int
    ledger_lines: int


def plan(session: Session, settings: Settings, now: datetime) -> Plan:
    """What the next night's round would do."""
    asked = (
        _old_audio(settings, now), _old_requests(settings, now), _old_calls(settings, now),
        select(LEDGER.c.sequence).where(LEDGER.c.sequence <= _last_old_line(session, settings, now)),
    )  # fmt: skip
    return Plan(
        *(session.scalar(select(func.count()).select_from(each.subquery())) or 0 for each in asked)
    )


def audio_due(
    session: Session, settings: Settings, now: datetime
) -> tuple[Sequence[int], Sequence[str]]:
    """The next recordings to delete, and their stored sounds.

    The sound goes first, then the row says so (`audio_deleted`): after a kill in between the
    same recordings are due again, and deleting nothing is no error.
    """
    ids = session.scalars(_old_audio(settings, now).order_by(Recording.id).limit(SOME)).all()
    return ids, sounds_of(session, ids)


def sounds_of(session: Session, recording_ids: Sequence[int]) -> Sequence[str]:
    """The stored sounds of these recordings; each has its own, also where two said the same."""
    keys = session.scalars(select(Recording.key).where(Recording.id.in_(recording_ids)))
    return [key for key in keys if key is not None]


def audio_deleted(
    session: Session, ids: Sequence[int], rule: str, now: datetime, by: Person = SYSTEM
) -> None:
    """The sounds of these recordings are gone."""
    gone = session.execute(
        update(Recording)
        .where(Recording.id.in_(ids), Recording.fetch == Fetch.STORED)
        .values(fetch=Fetch.DELETED, key=None)
        .returning(Recording.id)
    ).all()
    receipt(session, "audio", rule, len(gone), now, by)


def forget_requests(session: Session, settings: Settings, now: datetime) -> int:
    """Take names, numbers and words from the next old requests; returns how many."""
    ids = session.scalars(_old_requests(settings, now).order_by(Ticket.id).limit(SOME)).all()
    rule = f"求助和文字满 {settings.keep_text_months} 个月去掉姓名号码和内容"
    return make_nameless(session, ids, rule, now)


def make_nameless(
    session: Session, ids: Sequence[int], rule: str, now: datetime, by: Person = SYSTEM
) -> int:
    """What a request says of a person goes; what is counted of it stays."""
    if not ids:
        return 0
    session.execute(
        update(Ticket).where(Ticket.id.in_(ids)).values(
            phone=None, resident_id=None, note="", missing="", void_reason="", nameless_at=now
        )
    )  # fmt: skip
    session.execute(update(TicketRound).where(TicketRound.ticket_id.in_(ids)).values(why=""))
    outings = select(JourneyTicket.journey_id).where(JourneyTicket.ticket_id.in_(ids))
    session.execute(update(Journey).where(Journey.id.in_(outings)).values(reason_note=""))
    session.execute(update(SpotCheck).where(SpotCheck.ticket_id.in_(ids)).values(note=""))
    session.execute(update(Carried).where(Carried.ticket_id.in_(ids)).values(what=THING))
    session.execute(delete(TICKED).where(TICKED.c.ticket_id.in_(ids)))
    for deed in session.scalars(select(Deed).where(Deed.ticket_id.in_(ids))):
        deed.was = {name: "" if name in PERSONAL and was else was for name, was in deed.was.items()}
    recordings = select(Recording.id).where(Recording.ticket_id.in_(ids))
    about = ((LEDGER.c.object_kind == "ticket") & LEDGER.c.object_id.in_(ids)) | (
        (LEDGER.c.object_kind == "recording") & LEDGER.c.object_id.in_(recordings)
    )
    ledger.erase_words(session, about, rule, now, by)
    search.forget(session, recordings)
    session.execute(
        update(Transcript)
        .where(Transcript.recording_id.in_(recordings))
        .values(text="", corrected_text=None, details={})
    )
    promises = select(Promise.id).where(Promise.ticket_id.in_(ids))
    session.execute(update(ReturnTry).where(ReturnTry.promise_id.in_(promises)).values(phone=""))
    calls = select(Ticket.call_id).where(Ticket.id.in_(ids), Ticket.call_id.is_not(None))
    forget_numbers(session, CALLS.c.id.in_(calls))
    receipt(session, "text", rule, len(ids), now, by)
    return len(ids)


def forget_calls(session: Session, settings: Settings, now: datetime) -> int:
    """Take the numbers from the next old calls, those without a request as well."""
    ids = session.scalars(_old_calls(settings, now).order_by(CALLS.c.id).limit(SOME)).all()
    if ids:
        forget_numbers(session, CALLS.c.id.in_(ids))
        rule = f"电话满 {settings.keep_text_months} 个月去掉号码"
        receipt(session, "calls", rule, len(ids), now)
    return len(ids)


def forget_lines(session: Session, settings: Settings, now: datetime) -> int:
    """Delete the ledger's oldest lines, a mark standing for the last of them; returns how many.

    Whatever the setting says, a line lives as long as the law asks.
    """
    last = _last_old_line(session, settings, now)
    first = session.scalar(select(func.min(LEDGER.c.sequence))) or 0
    last = min(last, first + SOME_LINES - 1)
    end = session.execute(select(LEDGER.c.hash).where(LEDGER.c.sequence == last)).scalar()
    if end is None or last < first:
        return 0
    session.add(LedgerMark(at=now, sequence=last, hash=end, cut=True))
    session.flush()
    session.execute(delete(LEDGER).where(LEDGER.c.sequence <= last))
    rule = f"台账满 {_ledger_days(settings)} 天删除"
    receipt(session, "access_log", rule, last - first + 1, now, through=last)
    return last - first + 1


def hold(session: Session, ticket: Ticket, why: str, by: Person, now: datetime) -> None:
    """Keep everything of a request for a dispute; with no reason, let it go again."""
    ticket.hold = why.strip()[:200]
    ledger.write(
        session, at=now, person=by, act="hold" if ticket.hold else "release",
        object_kind="ticket", object_id=ticket.id, why=ticket.hold,
    )  # fmt: skip


def months_before(now: datetime, months: int) -> datetime:
    """The same day so many months ago, or that month's last day."""
    at, number = local(now), local(now).year * 12 + local(now).month - 1 - months
    for day in (at.day, 30, 29, 28):
        try:
            return at.replace(year=number // 12, month=number % 12 + 1, day=day)
        except ValueError:
            continue
    raise AssertionError(months)  # every month has 28 days


def _old_audio(settings: Settings, now: datetime) -> Select[Any]:
    """Of requests that are finished and not held."""
    kept = select(Ticket.id).where(or_(Ticket.state.in_(OPEN), Ticket.hold != ""))
    return select(Recording.id).where(
        Recording.fetch == Fetch.STORED,
        Recording.made_at < months_before(now, settings.keep_audio_months),
        or_(Recording.ticket_id.is_(None), Recording.ticket_id.not_in(kept)),
    )


def _old_requests(settings: Settings, now: datetime) -> Select[Any]:
    return select(Ticket.id).where(
        Ticket.opened_at < months_before(now, settings.keep_text_months),
        Ticket.nameless_at.is_(None), Ticket.hold == "", Ticket.state.not_in(OPEN),
    )  # fmt: skip


def _old_calls(settings: Settings, now: datetime) -> Select[Any]:
    """Those whose request is nameless, or that never had one."""
    named = select(Ticket.call_id).where(Ticket.call_id.is_not(None), Ticket.nameless_at.is_(None))
    return select(CALLS.c.id).where(
        CALLS.c.started_at < months_before(now, settings.keep_text_months),
        CALLS.c.phone.is_not(None), CALLS.c.id.not_in(named),
    )  # fmt: skip


def forget_numbers(session: Session, which: ColumnElement[bool]) -> None:
    calls = select(CALLS.c.id).where(which)
    session.execute(update(TURNS).where(TURNS.c.call_id.in_(calls)).values(memory={}, says=[]))
    session.execute(update(CALLS).where(which).values(phone=None))


def _last_old_line(session: Session, settings: Settings, now: datetime) -> int:
    """The line before the first that is young enough to stay; 0 where all are."""
    since = now - timedelta(days=_ledger_days(settings))
    young = session.scalar(select(func.min(LEDGER.c.sequence)).where(LEDGER.c.at >= since))
    last = session.scalar(select(func.max(LEDGER.c.sequence)))
    return (young - 1) if young else (last or 0)


def _ledger_days(settings: Settings) -> int:
    return max(settings.keep_ledger_days, ACCESS_LOG_DAYS + 1)  # a day more: clocks differ


def receipt(
    session: Session, kind: str, rule: str, count: int, now: datetime, by: Person = SYSTEM, **facts: Any
) -> None:  # fmt: skip
    if count:
        session.add(Receipt(at=now, kind=kind, rule=rule, count=count, facts=facts))
        ledger.write(
            session, at=now, person=by, act="forget", object_kind=kind, object_id=None, why=rule,
            count=count, **facts,
        )  # fmt: skip
