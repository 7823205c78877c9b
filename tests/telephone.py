"""Who rings and is rung in the tests of promises and calls, and what they usually do."""

from dataclasses import replace
from typing import Any

from carriers.company import Company
from conftest import TestHouse

from tickets import ledger, service
from tickets.lifecycle import Act
from tickets.models import Kind, Source, Volunteer
from worker.jobs import Hands

LI, HER_LANDLINE, SHARED = "+8613812345678", "+8657982345678", "+8657982341111"
MANY_HANDS = 8


def leaves_a_message(line: Company, phone: str = LI) -> None:
    grandma = line.caller(phone).dials()
    grandma.keeps_silent()
    grandma.says("我要交水费").hangs_up()


def is_done(house: TestHouse, phone: str) -> int:
    """A request of this number that has been dealt with; returns the promise to tell."""
    now = house.clock.now()
    with house.runtime.db.writing() as session:
        ticket = service.open_ticket(
            session, house.runtime.settings, now, kind=Kind.ERRAND, source=Source.MESSAGE,
            phone=phone, by=ledger.CALLER,
        )  # fmt: skip
        if ticket.assignee_id is None:
            service.act(
                session, ticket, Act.ASSIGN, ledger.SYSTEM, now, to=session.get_one(Volunteer, 1)
            )
        by = ledger.volunteer(ticket.assignee_id or 1)
        service.act(session, ticket, Act.ACCEPT, by, now)
        return service.act(session, ticket, Act.FINISH, by, now)[0]


def with_settings(house: TestHouse, **changed: Any) -> Hands:
    settings = house.runtime.settings.model_copy(update=changed)
    return Hands(replace(house.runtime, settings=settings))
