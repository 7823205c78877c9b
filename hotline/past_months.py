"""The two months before a demonstration, so that the committee's meeting has something to look at."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import count as counter
from itertools import cycle

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline import seeds
from hotline.clock import SHANGHAI
from hotline.config import Settings
from hotline.runtime import Runtime, build
from ivr.models import Call, CallStatus
from tickets import dialling, footwork, ledger, return_calls, ring_backs, service
from tickets.lifecycle import Act
from tickets.models import (
    Duty,
    Kind,
    Promise,
    PromiseState,
    Source,
    Ticket,
    Transcript,
)
from tickets.outings import Reason, Went
from tickets.returns import Outcome

DAYS, BEFORE = 60, 3  # from so many days ago until what `seeds.PAST` tells of
MODEL = "demo-cn"


@dataclass(frozen=True, slots=True)
class Usual:
    """One kind of request as it comes again and again; its sample is one of the project's own."""

    sample: str
    words: str  # what the demonstration's ear hears in it
    matter: str
    place: str = ""  # where a volunteer goes for it; empty: by telephone
    corrected: str = ""
    phone: str = ""  # of whoever says it, where the words tell


USUAL = (
    Usual("leaking-pipe.wav", "您好我家厨房水管漏水了请来修一下", "repair"),
    Usual("reimbursement.wav", "我想问一下看病的钱怎么报销", "medical_claim", "医保窗口"),
    Usual("septic-tank.wav", "我住七幢一单元化粪池满了很臭", "repair", phone="+8657988880105"),
    Usual("elder-card.wav", "我姓王住三幢二单元五零一想办老年优待证", "senior_card", "社区窗口", phone="+8657988880107"),
    Usual("ride.wav", "明天上午九点送我去中医院拿药", "medicine", "中医院药房"),
    Usual("reimbursement.wav", "我想问一下看病的钱怎么报销", "medical_claim", "医保窗口", "我想问一下，住院的钱怎么报销"),
    Usual("leaking-pipe.wav", "您好我家厨房水管漏水了请来修一下", "repair"),
)  # fmt: skip
# Of every so many: a ring without words; no request that day; an outing for nothing; done late; so-so;
# the telephone not picked up; nothing said of how it was.
SHORT, QUIET, WASTED, LATE, SO_SO, AWAY, SILENT = 9, 4, 9, 13, 11, 7, 5


def live(settings: Settings) -> None:
    """One request on most days, each through the same doors as ever, in the order of the days; then
    what `seeds` tells of the last ones."""
    runtime = build(settings)
    try:
        _months(runtime)
        seeds.past_requests(runtime)
    finally:
        runtime.close()


def _months(runtime: Runtime) -> None:
    now = runtime.clock()
    kinds, count = cycle(USUAL), counter()
    numbers = cycle(phone for row in seeds.RESIDENTS for phone in row[4])
    first = now.date() - timedelta(days=DAYS)
    with runtime.db.writing() as session:
        seeds.fill_roster(session, first, DAYS - BEFORE)
        for day in range(DAYS - BEFORE):
            at = datetime.combine(first + timedelta(days=day), time(9, 7), SHANGHAI)
            at += timedelta(minutes=day * 37 % 300)
            if day % SHORT == 1:
                _rings_and_hangs_up(runtime, session, next(numbers), at)
            elif day % QUIET:
                usual = next(kinds)
                phone = usual.phone or next(numbers)
                _asks(runtime, session, usual, phone, at, next(count))


def _asks(
    runtime: Runtime, session: Session, usual: Usual, phone: str, at: datetime, number: int
) -> None:
    """Said after the beep, taken, done at the telephone or at a window, and told."""
    call = _call(session, phone, at, 35 + number % 40)
    ticket = service.open_ticket(
        session, runtime.settings, at + timedelta(minutes=1), kind=Kind.ERRAND, source=Source.MESSAGE,
        phone=phone, by=ledger.CALLER, call_id=call.id,
    )  # fmt: skip
    by = ledger.volunteer(ticket.assignee_id or 0)
    heard = seeds.attach(runtime, session, ticket, usual.sample, at, call_id=call.id)
    session.add(Transcript(recording_id=heard.id, outcome="heard", text=usual.words, trusted=True, made_at=at, model=MODEL))  # fmt: skip
    taken = at + timedelta(minutes=8 + number % 50)
    service.act(session, ticket, Act.ACCEPT, by, taken)
    ticket.contacted_at = taken + timedelta(minutes=4)
    service.describe(session, runtime.settings, ticket, by, taken, matter=usual.matter)
    if usual.corrected and heard.transcript:
        written = heard.transcript
        written.corrected_text, written.corrected_by, written.corrected_at = usual.corrected, by.volunteer_id, taken  # fmt: skip
        ledger.write(session, at=taken, person=by, act="correct", object_kind="ticket", object_id=ticket.id, recording=heard.id)  # fmt: skip
    done = taken + timedelta(days=3 if number % LATE == 8 else number % 2, hours=1 + number % 4)
    if usual.place:
        if number % WASTED == 5:
            footwork.log_outing(
                session, [ticket], by, taken + timedelta(hours=1), went=Went.RESIDENT, place=usual.place,
                settled=False, reason=(Reason.MATERIALS, Reason.CLOSED)[number % 2],
            )  # fmt: skip
        footwork.log_outing(session, [ticket], by, done, went=Went.VOLUNTEER, place=usual.place, settled=True)  # fmt: skip
    service.act(session, ticket, Act.FINISH, by, done)
    _is_told(runtime, session, ticket, done + timedelta(minutes=25), number)


def _is_told(runtime: Runtime, session: Session, ticket: Ticket, at: datetime, number: int) -> None:
    promise = session.scalars(
        select(Promise).where(
            Promise.ticket_id == ticket.id, Promise.duty == Duty.RETURN_CALL, Promise.state == PromiseState.OPEN
        )
    ).one()  # fmt: skip
    for outcome in (*((Outcome.NO_ANSWER,) if number % AWAY == 3 else ()), Outcome.HEARD):
        attempt = dialling.begin(session, [promise], ticket.phone or "", at)
        at += timedelta(minutes=1)
        return_calls.finish_try(session, runtime.settings, attempt, outcome, at)
        if outcome is Outcome.HEARD and number % SILENT:
            return_calls.rate(session, attempt, 2 if number % SO_SO == 2 else 1, at)
        at += timedelta(hours=3)


def _rings_and_hangs_up(runtime: Runtime, session: Session, phone: str, at: datetime) -> None:
    """No words: somebody rings back within the hour."""
    call = _call(session, phone, at, 6)
    ticket = ring_backs.owe(session, runtime.settings, at, phone=phone, call_id=call.id, short_calls=1)  # fmt: skip
    by, back = ledger.volunteer(ticket.assignee_id or 0), at + timedelta(minutes=20)
    service.act(session, ticket, Act.ACCEPT, by, back)
    ticket.contacted_at = back
    for act in (Act.FINISH, Act.CONFIRM):
        service.act(session, ticket, act, by, back + timedelta(minutes=5), why="已经通过电话")


def _call(session: Session, phone: str, at: datetime, seconds: int) -> Call:
    call = Call(
        carrier_sid=f"CA{at:%Y%m%d%H%M}", flow="inbound", started_at=at, caller_kind="known",
        answered_at=at + timedelta(seconds=2), phone=phone, status=CallStatus.COMPLETED,
        ended_at=at + timedelta(seconds=seconds), seconds=seconds,
    )  # fmt: skip
    session.add(call)
    session.flush()
    return call
