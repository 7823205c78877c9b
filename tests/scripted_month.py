"""A month of a neighbourhood of 522 households, as it might go: the same each time."""

import random
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import read_hours
from ivr.models import Call
from tickets import (
    dialling,
    footwork,
    ledger,
    return_calls,
    returns,
    ring_backs,
    rotation,
    service,
    swaps,
    volunteer_keys,
)
from tickets.counting import Period
from tickets.coverage import DutyHours
from tickets.lifecycle import Act, possible
from tickets.models import (
    Event,
    Fetch,
    Kind,
    Promise,
    PromiseState,
    Recording,
    Resident,
    ResidentPhone,
    Shift,
    Source,
    Ticket,
    Volunteer,
)
from tickets.returns import Outcome
from tickets.shifts import ClashError, absent
from tickets.trips import Reason, Went

MONTH = Period.month(2026, 10)
HOUSEHOLDS, CALLS = 522, 160


class Month:
    """What happens, through the rules of the house, with chances that are the same each time.

    The first of the sixteen has no smartphone: she does everything by telephone. One household in
    twenty never picks up. On rest days and in the holiday week there is duty in the morning only.
    """

    def __init__(self, session: Session, given: Any) -> None:
        self.session, self.settings, self.chance = session, given, random.Random(2026)
        self.people = [Volunteer(name=f"志愿者{number}") for number in range(16)]
        session.add_all(self.people)
        self.by_phone_only = self.people[0]
        self.by_phone_only.phone, self.by_phone_only.ring_me = "+8613900000001", True
        for number in range(HOUSEHOLDS):
            phone = ResidentPhone(phone=f"+86138{number:08d}")
            session.add(Resident(name="李桂芳", building=f"{number % 11 + 1}", phones=[phone]))
        session.flush()
        hours = [read_hours(written) for written in given.shift_hours]  # fmt: skip
        rotation.fill(session, DutyHours(hours, hours[:1]), MONTH.first - timedelta(days=3), 45)
        self.rules = return_calls.rules(session, given)

    def roster_changes(self) -> None:
        """Somebody falls ill, two change shifts: the day before, as it comes."""
        shifts = self.session.scalars(select(Shift).order_by(Shift.starts_at)).all()
        for number, shift in enumerate(shifts):
            day_before = shift.starts_at - timedelta(days=1)
            who = ledger.volunteer(shift.volunteer_id)
            with suppress(ClashError):
                if number % 9 == 4:
                    absent(self.session, shift, shift.volunteer, who, day_before, why="发烧")
                elif number % 13 == 6:
                    other = self.people[(shift.volunteer_id + 5) % 16]
                    asked = swaps.propose(self.session, shift, other, day_before)
                    swaps.accept(self.session, asked.id, ledger.volunteer(other.id), day_before)

    def passes(self) -> None:
        self.roster_changes()
        for number in range(CALLS):
            minutes = self.chance.randrange(32 * 24 * 60)  # at all hours, a day before and after
            self.one_call(number, MONTH.start - timedelta(days=1) + timedelta(minutes=minutes))

    def one_call(self, number: int, at: datetime) -> None:
        session, chance = self.session, self.chance
        phone = f"+86138{chance.randrange(HOUSEHOLDS):08d}"
        talk = chance.random() < 0.2
        call = Call(
            carrier_sid=f"CA{number}", flow="inbound", started_at=at, caller_kind="known", phone=phone,
            answered_at=at + timedelta(seconds=chance.choice((1, 1, 2, 16))), taken_by=1 if talk else None,
            ended_at=at + timedelta(seconds=chance.randrange(10, 200)), test=chance.random() < 0.05,
        )  # fmt: skip
        session.add(call)
        session.flush()
        if not talk and chance.random() < 0.25:
            ring_backs.owe(session, self.settings, at, phone=phone, call_id=call.id, short_calls=1, test=call.test)  # fmt: skip
            owed = session.scalars(select(Ticket).order_by(Ticket.id.desc()).limit(1)).one()
            if chance.random() < 0.7:
                owed.contacted_at = at + timedelta(minutes=chance.randrange(5, 300))
            return
        ticket = service.open_ticket(
            session, self.settings, at, kind=Kind.ERRAND, source=Source.TALK if talk else Source.MESSAGE,
            phone=phone, by=ledger.CALLER, call_id=call.id, taken_by=1 if talk else None, test=call.test,
        )  # fmt: skip
        if not talk:
            fetch = Fetch.STORED if chance.random() < 0.9 else Fetch.FAILED
            session.add(Recording(carrier_id=f"RE{number}", url="", made_at=at, call_id=call.id, ticket_id=ticket.id, fetch=fetch))  # fmt: skip
        if ticket.assignee_id == self.by_phone_only.id and not talk:
            self.by_phone(ticket, at)
        else:
            self.work_on(ticket, at)

    def by_phone(self, ticket: Ticket, at: datetime) -> None:
        """She hears it, takes it, rings from home, goes, and dials in: keys and nothing else."""
        session, who = self.session, self.by_phone_only.id
        at += timedelta(minutes=self.chance.choice((5, 40, 300)))
        volunteer_keys.listen(session, ticket, who, at)
        volunteer_keys.take(session, ticket, who, at)
        volunteer_keys.see_number(session, ticket, who, at)
        volunteer_keys.spoke(session, ticket, who, at + timedelta(minutes=10))
        at += timedelta(hours=self.chance.choice((3, 30, 70)))
        outings = self.chance.choice((0, 1, 1, 2, 3))
        volunteer_keys.finish(session, ticket, who, at, outings=outings)
        if outings > 1:
            volunteer_keys.explain_outings(session, ticket, who, self.chance.choice([*Reason]), at)
        self.hears_of_it(ticket, at)

    def work_on(self, ticket: Ticket, at: datetime) -> None:
        chance = self.chance
        for _ in range(chance.randrange(1, 9)):
            at += timedelta(minutes=chance.choice((7, 45, 200, 900, 2500)))
            person = ledger.volunteer(chance.choice(self.people).id)
            acts = [a for a in possible(ticket.state) if a not in {Act.MERGE, Act.REOPEN}]
            wanted = [Act.ASSIGN, Act.ACCEPT, Act.FINISH, Act.CONFIRM]
            what = next((a for a in wanted if a in acts), None)
            if what is None or chance.random() < 0.15:
                what = chance.choice(acts) if acts else None
            if what is None:
                return
            if ticket.contacted_at is None and chance.random() < 0.6:
                ticket.contacted_at = at
            while what is Act.FINISH and chance.random() < 0.6:
                self.goes_out(ticket, at)
            if what is Act.CONFIRM:
                self.hears_of_it(ticket, at)
                continue
            given = {"why": "说明", "to": chance.choice(self.people), "missing": "身份证"}
            service.act(self.session, ticket, what, person, at, elsewhere="12345", **given)  # type: ignore[arg-type]

    def goes_out(self, ticket: Ticket, at: datetime) -> None:
        settled = self.chance.random() < 0.5
        footwork.log_outing(
            self.session, [ticket], ledger.volunteer(1), at, went=self.chance.choice([*Went]), place="窗口",
            settled=settled, reason=self.chance.choice([*Reason]),
        )  # fmt: skip

    def hears_of_it(self, ticket: Ticket, at: datetime) -> None:
        """The return call: heard or not, content or not; 没办好 opens it again."""
        promise = self.session.scalars(
            select(Promise).where(Promise.ticket_id == ticket.id, Promise.event == Event.DONE)
            .order_by(Promise.id.desc()).limit(1)
        ).one()  # fmt: skip
        while int((ticket.phone or "0")[-8:]) % 20 == 0 and promise.state is PromiseState.OPEN:
            at = returns.may_ring(max(at, promise.due_at), 0, self.rules)  # nobody picks up, ever
            attempt = dialling.begin(self.session, [promise], ticket.phone or "", at)
            return_calls.finish_try(self.session, self.settings, attempt, Outcome.NO_ANSWER, at)
        if promise.state is not PromiseState.OPEN:
            return
        at = returns.may_ring(at, 0, self.rules)
        attempt = dialling.begin(self.session, [promise], ticket.phone or "", at)
        outcome = self.chance.choice([Outcome.HEARD] * 5 + [*Outcome])
        return_calls.finish_try(self.session, self.settings, attempt, outcome, at)
        if outcome is Outcome.HEARD and self.chance.random() < 0.8:
            return_calls.rate(self.session, attempt, self.chance.choice((1, 1, 1, 2, 3)), at)
        if self.chance.random() < 0.3:
            ticket.resident_trips = self.chance.randrange(3)
