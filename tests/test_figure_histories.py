"""A hundred thousand histories of requests, a few thousand to a table: the figures are a plain recount.

What happens late, and on both databases, is in test_figures; here it is the sheer number.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session
from test_figures import DAYS, FIRST, SPAN, agree

from hotline.schema import metadata
from ivr.models import Call
from tickets import counting
from tickets.lifecycle import Act, State
from tickets.models import (
    Duty,
    Event,
    Fetch,
    Kind,
    Promise,
    Recording,
    ReturnTry,
    Shift,
    Source,
    Ticket,
    Volunteer,
)
from tickets.outings import Journey, JourneyTicket, Went
from tickets.returns import Outcome
from tickets.rounds import Deed, TicketRound
from tickets.trips import Reason

TABLES, AT_ONCE = 20, 5_000  # 100,000 histories
Rows = dict[type[Any], list[dict[str, Any]]]


def columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key, None) for column in row.__table__.columns}


AT = FIRST
BLANK = {
    type(row): columns(row)
    for row in (
        Call(carrier_sid="", flow="inbound", started_at=AT, answered_at=AT, caller_kind="known"),
        Ticket(
            day=AT.date(), sequence=1, kind=Kind.ERRAND, source=Source.MESSAGE, opened_at=AT,
            contact_by=AT, accept_by=AT,
        ),
        TicketRound(ticket_id=0, number=1, began_at=AT),
        Journey(at=AT, went=Went.RESIDENT, place="窗口", settled=True, written_by="volunteer:1", written_at=AT),
        JourneyTicket(journey_id=0, ticket_id=0),
        Deed(ticket_id=0, act=Act.PASS_ON, at=AT, person="volunteer:1", was={}),
        Recording(carrier_id="", url="", made_at=AT),
        Promise(duty=Duty.RETURN_CALL, made_at=AT, due_at=AT),
        ReturnTry(promise_id=0, token="", phone="+8613800000000", placed_at=AT),
        Shift(starts_at=AT, ends_at=AT + timedelta(1), volunteer_id=1),
    )
}  # fmt: skip


class Crowd:
    """Many requests, each with a history of its own, as rows."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.rows: Rows = defaultdict(list)
        for day in range(DAYS):
            for _ in range(2):
                starts_at = FIRST + timedelta(days=day, minutes=chance.randrange(24 * 60))
                self.add(Shift, starts_at=starts_at, ends_at=starts_at + timedelta(minutes=chance.randint(30, 630)))  # fmt: skip

    def add(self, table: type[Any], /, **said: Any) -> int:
        number = len(self.rows[table]) + 1
        row = BLANK[table] | said
        if "id" in row:
            row["id"] = number
        self.rows[table].append(row)
        return number

    def some(self, share: float) -> bool:
        return self.chance.random() < share

    def later(self, at: datetime) -> datetime:
        """In the next days, most often soon; now and then exactly at a limit of the figures."""
        if self.some(0.05):
            return at + self.chance.choice((timedelta(0), timedelta(seconds=15), timedelta(days=7)))
        return at + timedelta(seconds=int(self.chance.expovariate(1 / 90_000)))

    def history(self) -> None:
        """One caller, and what came of the call."""
        chance, at = self.chance, FIRST + timedelta(seconds=self.chance.randrange(DAYS * 86_400))
        test = self.some(0.04)
        call = self.add(
            Call, carrier_sid=str(len(self.rows[Call])), flow="inbound" if self.some(0.9) else "return", started_at=at,
            answered_at=at + timedelta(seconds=chance.choice((1, 2, 15, 16))) if self.some(0.8) else None,
            ended_at=self.later(at) if self.some(0.9) else None, taken_by=1 if self.some(0.2) else None, test=test,
        )  # fmt: skip
        if self.some(0.6):
            self.add(
                Recording, carrier_id=str(call), made_at=at, call_id=call, superseded=self.some(0.1),
                fetch=Fetch.FAILED if self.some(0.1) else Fetch.STORED,
            )  # fmt: skip
        if self.some(0.85):
            self.request(at, call if self.some(0.9) else None, test)

    def request(self, at: datetime, call: int | None, test: bool) -> None:
        chance, done_at = self.chance, self.later(at)
        ended = self.some(0.6)
        ticket = self.add(
            Ticket, day=at.date(), sequence=len(self.rows[Ticket]) + 1, kind=Kind.RING_BACK if self.some(0.2) else Kind.ERRAND,
            opened_at=at, contact_by=self.later(at), done_by=self.later(at) if self.some(0.9) else None, call_id=call,
            contacted_at=self.later(at) if self.some(0.7) else None, done_at=done_at if ended else None, test=test,
            state=chance.choice((State.DONE, State.CLOSED)) if self.some(0.6) else chance.choice([*State]),
            resident_trips=chance.randrange(3) if self.some(0.3) else None,
        )  # fmt: skip
        self.add(TicketRound, ticket_id=ticket, began_at=at, done_at=done_at if ended else None)
        if ended and self.some(0.2):
            self.add(TicketRound, ticket_id=ticket, number=2, began_at=self.later(done_at))
        for _ in range(chance.choice((0, 0, 1, 1, 1, 2, 3))):
            self.goes_out(ticket, at)
        if self.some(0.1):
            self.add(Deed, ticket_id=ticket, at=self.later(at), undone_at=at if self.some(0.3) else None)  # fmt: skip
        if ended and self.some(0.6):
            self.hears_of_it(ticket, done_at)

    def goes_out(self, ticket: int, at: datetime) -> None:
        reason = self.chance.choice([*Reason]) if self.some(0.4) else None
        journey = self.add(
            Journey, at=self.later(at), went=self.chance.choice([*Went]), settled=reason is None, reason=reason,
            withdrawn_at=at if self.some(0.1) else None,
        )  # fmt: skip
        for served in {ticket, self.chance.randint(1, ticket) if self.some(0.1) else ticket}:
            self.add(JourneyTicket, journey_id=journey, ticket_id=served)

    def hears_of_it(self, ticket: int, at: datetime) -> None:
        promise = self.add(Promise, ticket_id=ticket, made_at=at, due_at=at, event=Event.DONE if self.some(0.9) else Event.MATERIALS)  # fmt: skip
        outcome = Outcome.HEARD if self.some(0.5) else self.chance.choice([*Outcome])
        self.add(
            ReturnTry, promise_id=promise, token=str(promise), placed_at=at, outcome=outcome, ended_at=self.later(at),
            satisfaction=self.chance.choice((None, 1, 2, 3)),
        )  # fmt: skip


@settings(max_examples=TABLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
@given(st.integers(0, 2**48).map(Random))
def test_the_figures_of_a_hundred_thousand_histories_are_a_plain_recount(chance: Random) -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    crowd = Crowd(chance)
    for _ in range(AT_ONCE):
        crowd.history()
    now = SPAN.start + timedelta(
        days=chance.randint(DAYS, DAYS + 10), minutes=chance.randrange(1440)
    )
    with Session(engine) as session:
        session.add(Volunteer(name="王秀兰"))
        session.flush()
        for kind, rows in crowd.rows.items():
            session.execute(insert(kind.__table__), rows)
        counting.count_past_days(session, now, chance.choice((3, 400)))
        agree(session, now)
    engine.dispose()
