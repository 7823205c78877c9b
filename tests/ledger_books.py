"""The real database as a transcript sees it."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from books import Errand, ReturnCall, RingBack
from carriers.sound import tone
from sqlalchemy import select

import asr
from asr.recognizer import Recognizer, load
from hotline import ear
from hotline.clock import SHANGHAI
from hotline.config import read_hours
from hotline.runtime import Runtime
from hotline.web.pins import set_pin
from tickets import footwork, handover, ledger, matters, roster, service
from tickets.lifecycle import OPEN, Act, State
from tickets.models import (
    Duty,
    Event,
    Fetch,
    Kind,
    Promise,
    PromiseState,
    Recording,
    Resident,
    ResidentPhone,
    Role,
    Shift,
    Source,
    Ticket,
    Volunteer,
)
from tickets.outings import Went
from tickets.returns import Outcome
from worker.jobs import Hands
from worker.sweep import remind, sweep

NAMES = {
    State.NEW: "已登记", State.ASSIGNED: "已派单", State.IN_HAND: "办理中", State.WAITING: "待补材料",
    State.DONE: "已办结", State.CLOSED: "已回访", State.WITHDRAWN: "已撤销", State.VOID: "无效",
    State.MERGED: "已并单", State.REFERRED: "已转办",
}  # fmt: skip
ROSTER_BEGINS, ROSTER_DAYS = date(2026, 11, 16), 40
MOST_SWEEPS = 20
MODEL = Path(next(iter(asr.__path__))) / "model" / "demo-cn"


@cache
def demonstration_ear() -> Recognizer:
    return load(MODEL)


@dataclass
class DatabaseBooks:
    """What a transcript asks, answered from the tables."""

    runtime: Runtime
    clock: Any
    hands: Hands

    def open_for_business(self) -> None:
        """Three volunteers and the default roster over a month around the test's days."""
        with self.runtime.db.writing() as session:
            people = [
                Volunteer(name="王秀兰", phone="+8613900000001"),
                Volunteer(name="陈国庆", phone="+8613900000002"),
                Volunteer(name="李爱华", phone="+8613900000003", role=Role.LEAD),
                Volunteer(name="管理员", phone="+8613900000004", role=Role.ADMIN),
            ]
            session.add_all(people)
            session.flush()
            for days in range(ROSTER_DAYS):
                day = ROSTER_BEGINS + timedelta(days=days)
                for hours in self.runtime.settings.shift_hours:
                    start, end = (datetime.combine(day, at, SHANGHAI) for at in read_hours(hours))
                    session.add(
                        Shift(
                            starts_at=start,
                            ends_at=end,
                            volunteer_id=people[days % 2].id,
                            substitute_id=people[1 - days % 2].id,
                        )
                    )

    def knows(self, phone: str) -> None:
        with self.runtime.db.writing() as session:
            session.add(
                Resident(
                    name="李桂芳",
                    building="3",
                    unit="2",
                    room="501",
                    phones=[ResidentPhone(phone=phone)],
                )
            )

    def has_open(self, phone: str, matter: str) -> None:
        now = self.clock.now()
        said = self.runtime.store.put([tone(2)], ".wav")
        with self.runtime.db.writing() as session:
            ticket = service.open_ticket(
                session,
                self.runtime.settings,
                now,
                kind=Kind.ERRAND,
                source=Source.MESSAGE,
                phone=phone,
                by=ledger.CALLER,
            )
            service.act(session, ticket, Act.ACCEPT, ledger.volunteer(ticket.assignee_id or 1), now)
            session.add(
                Recording(
                    carrier_id=f"RE{ticket.id}-{matter}",
                    url="https://line.test/x",
                    made_at=now,
                    ticket_id=ticket.id,
                    fetch=Fetch.STORED,
                    key=said.key,
                )
            )

    def errands(self) -> list[Errand]:
        """Requests left in words; what a volunteer heard in a talk is no message."""
        with self.runtime.db.reading() as session:
            found = session.scalars(
                select(Ticket)
                .where(Ticket.kind == Kind.ERRAND, Ticket.source != Source.TALK)
                .order_by(Ticket.id)
            )
            return [
                Errand(
                    state=NAMES[ticket.state],
                    assignee=ticket.assignee.name if ticket.assignee else "",
                    phone=ticket.phone or "",
                    recordings=sum(not recording.superseded for recording in ticket.recordings),
                    round=ticket.round,
                    own_trips=ticket.resident_trips,
                    things_out=len(footwork.carried_open(session, ticket)),
                    urgent=ticket.urgent,
                )
                for ticket in found
            ]

    def ring_backs_owed(self) -> list[RingBack]:
        self._settle_calls()
        with self.runtime.db.reading() as session:
            found = session.scalars(
                select(Ticket)
                .where(Ticket.kind == Kind.RING_BACK, Ticket.state.in_(OPEN))
                .order_by(Ticket.id)
            )
            return [RingBack(ticket.phone or "", ticket.urgent) for ticket in found]

    def return_calls(self) -> list[ReturnCall]:
        with self.runtime.db.reading() as session:
            found = session.scalars(
                select(Promise).where(Promise.duty == Duty.RETURN_CALL).order_by(Promise.id)
            )
            return [
                ReturnCall(
                    _outcome(promise),
                    promise.due_at if promise.state is PromiseState.OPEN else None,
                )
                for promise in found
            ]

    def on_duty(self) -> str:
        with self.runtime.db.reading() as session:
            shift = roster.on_duty(session, self.clock.now())
            return shift.volunteer.name if shift else ""

    def checks(self, matter: str) -> None:
        with self.runtime.db.writing() as session:
            (found,) = (each for each in matters.active(session) if each.name == matter)
            matters.check(session, found, ledger.SYSTEM, self.clock.now(), seen=found.version)

    def writes_down(self, *, ready: bool) -> None:
        models = ear.kept_models(self.runtime.settings)
        models.mkdir(exist_ok=True)
        if not (models / MODEL.name).exists():
            (models / MODEL.name).symlink_to(MODEL)
        if ready:
            self._sweep(replace(self.hands, recognizer=demonstration_ear()))

    def act(self, news: str, detail: str = "") -> None:
        now = self.clock.now()
        if news == "交班留话":
            self._leaves_note(detail)
            return
        with self.runtime.db.writing() as session:
            ticket = session.scalars(select(Ticket).order_by(Ticket.id.desc()).limit(1)).one()
            by = ledger.volunteer(ticket.assignee_id or 1)
            match news:
                case "受理":
                    service.announce(session, ticket, Event.ACCEPTED, by, now)
                case "上门":
                    service.announce(session, ticket, Event.VISITED, by, now)
                case "缺材料":
                    service.act(session, ticket, Act.ASK_MATERIALS, by, now, missing=detail)
                case "出门":
                    footwork.log_outing(
                        session, [ticket], by, now, went=Went.VOLUNTEER, place="窗口", settled=True
                    )
                case "带走":
                    footwork.take_along(session, ticket, detail, by, now)
                case "还了":
                    for thing in footwork.carried_open(session, ticket):
                        footwork.give_back(session, thing, by, now)
                case "办好了":
                    service.act(session, ticket, Act.FINISH, by, now)
        self.works()

    def _leaves_note(self, text: str) -> None:
        """Whoever is on duty now leaves it to the next."""
        now = self.clock.now()
        with self.runtime.db.writing() as session:
            shift = roster.on_duty(session, now)
            assert shift is not None
            by = ledger.volunteer(shift.volunteer_id)
            handover.write_note(session, shift, text, by, now)

    def works(self) -> None:
        """The worker and the sweep do all that is due now."""
        self._sweep(self.hands)

    def _sweep(self, hands: Hands) -> None:
        remind(hands)
        for _ in range(MOST_SWEEPS):
            if sweep(hands, None) == 0:
                return

    def rings_volunteers(self) -> None:
        with self.runtime.db.writing() as session:
            for person in session.scalars(select(Volunteer)):
                person.ring_me = True

    def has_pin(self, phone: str, pin: str) -> None:
        with self.runtime.db.writing() as session:
            set_pin(session.scalars(select(Volunteer).where(Volunteer.phone == phone)).one(), pin)

    def words_of_sound(self, url: str) -> str:
        return "（自己的话）" if "/ivr/" not in url or "/ivr/own/" in url else ""

    def _settle_calls(self) -> None:
        with self.runtime.db.reading() as session:
            owed = session.scalars(
                select(Promise.id).where(
                    Promise.duty == Duty.SETTLE_CALL,
                    Promise.state == PromiseState.OPEN,
                    Promise.due_at <= self.clock.now() + timedelta(minutes=2),
                )
            ).all()
            after = self.clock.now()
        if owed:
            self.clock.set(after + timedelta(minutes=2))
            for promise_id in owed:
                self.hands.keep(promise_id)
            self.clock.set(after)


def _outcome(promise: Promise) -> str:
    last = promise.tries[-1].outcome if promise.tries else None
    match promise.state:
        case PromiseState.OPEN:
            return "欠着"
        case PromiseState.DROPPED:
            return "作废"
        case PromiseState.KEPT:
            return "已留言" if last == Outcome.RECORDED else "已听到"
    return "告诉居委会" if last == Outcome.FAULT else "欠上门"
