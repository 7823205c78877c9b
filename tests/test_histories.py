"""Histories nobody thought of: several people act, take back, merge, go out; everything adds up."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from conftest import HandClock
from errand_house import LI, ZHANG, ErrandHouse, at, open_errands
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from tickets import deeds, footwork, ledger, service, trips, undo
from tickets.deeds import Said
from tickets.lifecycle import (
    ENDED,
    TRANSITIONS,
    Act,
    ChangedError,
    IncompleteError,
    NotPossibleError,
    State,
    TooLateError,
    after,
    possible,
)
from tickets.merging import NotMergedError
from tickets.models import (
    Elsewhere,
    Kind,
    LedgerLine,
    Source,
    Ticket,
    Volunteer,
)
from tickets.outings import Journey, Reason, Went
from tickets.rounds import Deed, TicketRound
from tickets.trips import Outing

ACTS = list(Act)
PURE, AT_ONCE = 100, 1000  # 100,000 histories: drawing costs more than living through them
STORED = 20
ENDING = {Act.MERGE, Act.REFER, Act.WITHDRAW, Act.VOID}
HISTORIES = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))  # fmt: skip


def histories(chance: Random) -> Iterator[bytes]:
    """One step is one byte, one history a few."""
    return (chance.randbytes(chance.randint(4, 16)) for _ in range(AT_ONCE))


chances = st.integers(0, 2**48).map(Random)


NEW = Ticket(
    day=at(9).date(), sequence=1, kind=Kind.ERRAND, source=Source.MESSAGE, opened_at=at(9),
    contact_by=at(9), accept_by=at(9), done_by=at(9) + timedelta(hours=48),
)  # fmt: skip
COLUMNS = {column.key: getattr(NEW, column.key, None) for column in NEW.__table__.columns}


def new_ticket() -> Ticket:
    """A request of no table: its columns alone, which is all that the rules of acts look at."""
    return cast(Ticket, SimpleNamespace(**COLUMNS))


@settings(HISTORIES, max_examples=PURE)
@given(chances)
def test_a_hundred_thousand_lives_go_by_the_table_alone(chance: Random) -> None:
    """Acts and undoings of one request, without storage: the table's word, and its exact return."""
    people = [ledger.volunteer(number) for number in (1, 2, 3)]
    to = Volunteer(name="x")
    to.id = 3
    for life in histories(chance):
        ticket, now = new_ticket(), at(9)
        stack: list[tuple[Deed, dict[str, Any]]] = []
        for byte in life:
            now += timedelta(minutes=byte % 7)
            what, by = ACTS[byte % len(ACTS)], people[byte // 16 % 3]
            if byte >= 200:
                if stack:
                    deed, was = stack.pop()
                    deeds.put_back(ticket, deed)
                    assert deeds.snapshot(ticket) == was
                continue
            if what not in possible(ticket.state):
                assert (ticket.state, what) not in TRANSITIONS
                continue
            before, then = deeds.snapshot(ticket), after(ticket.state, what)
            deeds.change(ticket, what, by, now, Said(to=to, missing="m", why="w", elsewhere=Elsewhere.OTHER))  # fmt: skip
            ticket.state = then
            stack.append((deeds.deed(ticket, what, by, now, before), before))
        # what stands is what the acts that were not taken back lead to, one after the other
        state = State.NEW
        for deed, _ in stack:
            state = TRANSITIONS[state, deed.act]
        standing = [deed.act for deed, _ in stack]
        assert ticket.state is state
        assert ticket.round == 1 + standing.count(Act.REOPEN)
        assert (ticket.done_at is not None) == (state in {State.DONE, State.CLOSED})
        assert (ticket.closed_at is not None) == (state is State.CLOSED)
        assert ticket.done_by
        assert ticket.done_by >= at(9) + timedelta(hours=48)


@settings(HISTORIES, max_examples=PURE)
@given(chances)
def test_outings_written_and_taken_back_are_recounted(chance: Random) -> None:
    for life in histories(chance):
        written: list[tuple[Outing, bool]] = []
        for byte in life:
            if byte >= 192 and written:
                outing, _ = written[byte % len(written)]
                written[byte % len(written)] = (outing, True)
                continue
            reason = [None, *Reason][byte % 7]
            written.append((Outing(list(Went)[byte % 2], byte % 3 == 0, reason), False))
        counting = [outing for outing, taken_back in written if not taken_back]
        count = trips.count(counting)
        recount = Counter(outing.went for outing, taken_back in written if not taken_back)
        assert (count.resident, count.volunteer) == (recount["resident"], recount["volunteer"])
        assert count.holds == (sum(recount.values()) < 2)
        assert len(trips.reasons(counting)) == max(count.trips - 1, 0)


@pytest.fixture
def house(tmp_path: Path, clock: HandClock) -> Iterator[ErrandHouse]:
    opened = open_errands(tmp_path, clock)
    yield opened
    opened.db.close()


REFUSED = (NotPossibleError, ChangedError, IncompleteError, NotMergedError, TooLateError)


class Life:
    """Three requests and three people; every step is a transaction, and every refusal none."""

    def __init__(self, house: ErrandHouse) -> None:
        self.house = house
        house.clock.set(at(9))
        self.people = list(house.people.values())
        self.ids = [house.asks(phone) for phone in (LI, LI, ZHANG)]
        self.outings: list[tuple[int, set[int]]] = []  # which, and for what it still counts
        self.before: dict[int, list[tuple[dict[str, Any], set[int]]]] = {}
        self.last: dict[int, ledger.Person] = {}

    def step(self, dice: int) -> None:
        dice, minutes = divmod(dice, 4)
        dice, number = divmod(dice, 3)
        dice, who = divmod(dice, 3)
        dice, kind = divmod(dice, 16)
        self.house.clock.advance(60 * minutes)
        ticket_id, by = self.ids[number], self.people[who]
        if kind == 6:
            self.house.rings(ticket_id)
            return
        lines = self.house.ledger_lines()
        try:
            with self.house.writing() as session:
                ticket = session.get_one(Ticket, ticket_id)
                match kind:
                    case 0 | 1 | 2:
                        self.take_back(session, ticket, dice, by)
                    case 3 | 4:
                        self.go_out(session, dice, by)
                    case 5:
                        self.stay_in(session, dice, by)
                    case _:
                        self.act(session, ticket, dice, by)
        except REFUSED:
            assert self.house.ledger_lines() == lines, "what is refused leaves no line"

    def act(self, session: Session, ticket: Ticket, dice: int, by: ledger.Person) -> None:
        going_on = [what for what in possible(ticket.state) if what not in ENDING]
        dice, choice = divmod(dice, 8)
        doing = {0: ACTS, 1: possible(ticket.state), 2: [Act.MERGE]}.get(choice, going_on) or ACTS
        what = doing[dice // 8 % len(doing)]
        seen = ticket.version - (dice % 13 == 12)  # now and then from an old page
        before = (deeds.snapshot(ticket), deeds.open_news(session, ticket))
        service.act(
            session, ticket, what, by, self.house.clock.now(), seen=seen, why="w" * (dice % 5), missing="照片" * (dice % 7),
            to=session.get_one(Volunteer, by.volunteer_id), into=session.get_one(Ticket, self.ids[dice % 3]),
            elsewhere=Elsewhere.OTHER if dice % 5 else None,
        )  # fmt: skip
        self.before.setdefault(ticket.id, []).append(before)
        self.last[ticket.id] = by

    def take_back(self, session: Session, ticket: Ticket, dice: int, by: ledger.Person) -> None:
        by = by if dice % 4 == 0 else self.last.get(ticket.id, by)
        pressed = undo.undo(session, self.house.settings, ticket, by, self.house.clock.now())
        for _ in pressed:
            snapshot, news = self.before[ticket.id].pop()
        assert deeds.snapshot(ticket) == snapshot
        assert deeds.open_news(session, ticket) == news

    def go_out(self, session: Session, dice: int, by: ledger.Person) -> None:
        served = [session.get_one(Ticket, id_) for n, id_ in enumerate(self.ids) if dice >> n & 1]
        journey, numbers = footwork.log_outing(
            session, served, by, self.house.clock.now(), went=list(Went)[dice // 8 % 2], place="窗口",
            settled=dice % 5 == 0, reason=Reason.CLOSED if dice % 3 else None,
        )  # fmt: skip
        self.outings.append((journey.id, set(numbers)))

    def stay_in(self, session: Session, dice: int, by: ledger.Person) -> None:
        if self.outings:
            journey_id, served = self.outings[dice % len(self.outings)]
            journey = session.get_one(Journey, journey_id)
            footwork.withdraw_outing(
                session, self.house.settings, journey, by, self.house.clock.now()
            )
            served.clear()

    def adds_up(self) -> None:
        with self.house.db.reading() as session:
            for ticket_id in self.ids:
                ticket = session.get_one(Ticket, ticket_id)
                lines = session.scalars(
                    select(LedgerLine)
                    .where(LedgerLine.object_kind == "ticket", LedgerLine.object_id == ticket_id)
                    .order_by(LedgerLine.sequence)
                ).all()
                the_lines_lead_to(ticket, lines)
                the_deeds_are_the_lines(session, ticket, [line.act for line in lines])
                the_rounds_are_complete(session, ticket)
                no_news_is_stale(session, ticket)
                trips = sum(ticket_id in served for _, served in self.outings)
                assert footwork.count(session, ticket).trips == trips


def the_lines_lead_to(ticket: Ticket, lines: Sequence[LedgerLine]) -> None:
    """Walk the ledger alone: each act by the table, each undoing exactly back."""
    walked = [State.NEW]
    for line in lines:
        if line.act in ACTS:
            assert line.facts["before"] == walked[-1]
            walked.append(TRANSITIONS[walked[-1], Act(line.act)])
            assert line.facts["after"] == walked[-1]
        elif line.act == "undo":
            walked.pop()
            assert line.facts["after"] == walked[-1]
    assert ticket.state is walked[-1]


def the_deeds_are_the_lines(session: Session, ticket: Ticket, lines: Sequence[str]) -> None:
    kept = session.scalars(select(Deed).where(Deed.ticket_id == ticket.id)).all()
    assert sorted(deed.act for deed in kept) == sorted(act for act in lines if act in ACTS)
    undone = list(lines).count("undo")
    assert sum(deed.undone_at is not None for deed in kept) == undone
    assert ticket.version == len(kept) + undone


def the_rounds_are_complete(session: Session, ticket: Ticket) -> None:
    asked = select(TicketRound).where(TicketRound.ticket_id == ticket.id)
    rows = session.scalars(asked.order_by(TicketRound.number)).all()
    assert [row.number for row in rows] == list(range(1, ticket.round + 1))
    assert (rows[-1].done_at, rows[-1].closed_at) == (ticket.done_at, ticket.closed_at)
    assert all(row.done_at for row in rows[:-1]), "only what was done is opened again"


def no_news_is_stale(session: Session, ticket: Ticket) -> None:
    owed = deeds.open_news(session, ticket)
    assert len(owed) <= 1, "one piece of news, the newest"
    assert not (owed and ticket.state in ENDED), "nobody is rung about what has ended"


@settings(HISTORIES, max_examples=STORED)
@given(chance=st.integers(0, 2**32).map(Random))
def test_stored_histories_add_up(house: ErrandHouse, chance: Random) -> None:
    life = Life(house)
    for _ in range(chance.randint(15, 40)):
        life.step(chance.getrandbits(32))
    life.adds_up()
