"""Ringing people for what the house owes them: alone at the dial, never twice, never too often."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from carriers.company import ApiFault, Company
from conftest import ON_BOTH, TestHouse
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from telephone import HER_LANDLINE, LI, MANY_HANDS, SHARED, is_done, with_settings
from test_return_histories import HISTORIES, JUMPS
from test_returns import RULES, at, within

from hotline.clock import local
from ivr.carrier import Carrier
from tickets import promises, return_calls
from tickets.models import (
    Promise,
    PromiseState,
    Resident,
    ResidentPhone,
    ReturnTry,
)
from tickets.returns import UNDISTURBING
from worker.jobs import Hands
from worker.sweep import sweep

STORED = 16  # histories of five residents each
FAULTS = (ApiFault(lost=True), ApiFault(500), ApiFault(429))


def lives(house: TestHouse, name: str, *phones: str) -> int:
    with house.runtime.db.writing() as session:
        resident = Resident(name=name, phones=[ResidentPhone(phone=phone) for phone in phones])
        session.add(resident)
        session.flush()
        return resident.id


def promise(house: TestHouse, promise_id: int) -> tuple[PromiseState, str]:
    with house.runtime.db.reading() as session:
        row = session.get_one(Promise, promise_id)
        return row.state, return_calls.explain(row)


@ON_BOTH
def test_many_hands_keep_to_the_trunk_and_to_the_minute(house: TestHouse, line: Company) -> None:
    owed = [is_done(house, f"+86138123400{number:02}") for number in range(12)]
    for channels, a_minute, placed in ((4, 6, 3), (20, 6, 6), (20, 99, 12)):
        hands = with_settings(house, trunk_channels=channels, calls_a_minute=a_minute)
        house.clock.advance(25)  # what was put off for a moment is due again
        with ThreadPoolExecutor(MANY_HANDS) as pool:
            list(pool.map(hands.keep, owed * 2))
        with house.runtime.db.reading() as session:
            assert session.scalar(select(func.count()).select_from(ReturnTry)) == placed
    assert max(Counter(called.phone for called in line.outgoing).values()) == 1


@ON_BOTH
def test_on_a_full_line_the_urgent_go_first(house: TestHouse, line: Company) -> None:
    routine = [is_done(house, f"+86138123400{number:02}") for number in range(2)]
    house.clock.advance(60)
    urgent = is_done(house, LI)
    with house.runtime.db.writing() as session:
        ticket = session.get_one(Promise, urgent).ticket
        assert ticket
        ticket.urgent = True
        session.flush()
        first = session.get_one(Promise, promises.due(session, house.clock.now())[0])
        assert first.ticket is ticket, "though it came last"
    for each in routine:  # rung for by the bell, before the sweep has looked
        house.hands.keep(each)
    assert line.outgoing == [], "the one free channel is for whoever is in need"
    house.hands.keep(urgent)
    assert [called.phone for called in line.outgoing] == [LI]
    line.outgoing[-1].answers().presses("1").hangs_up()
    house.clock.advance(25)
    house.books.works()
    assert len(line.outgoing) == 2, "then the others, one by one"


@ON_BOTH
def test_many_hands_ring_one_person_once_for_all_their_news(
    house: TestHouse, line: Company
) -> None:
    lives(house, "李桂芳", LI, HER_LANDLINE)
    owed = [is_done(house, phone) for phone in (LI, HER_LANDLINE, LI)]
    hands = with_settings(house, trunk_channels=20, calls_a_minute=99)
    with ThreadPoolExecutor(MANY_HANDS) as pool:
        list(pool.map(hands.keep, owed * 4))
    (li,) = line.outgoing
    assert "您有三件事，有消息了" in "".join(li.answers().hears())
    li.presses("1").hangs_up()
    assert [promise(house, each)[0] for each in owed] == [PromiseState.KEPT] * 3


def test_two_numbers_of_one_resident_are_one_person(house: TestHouse, line: Company) -> None:
    lives(house, "李桂芳", LI, HER_LANDLINE)
    for phone in (LI, HER_LANDLINE):
        is_done(house, phone)
        house.books.works()
        line.outgoing[-1].answers().presses("1").hangs_up()
    third = is_done(house, LI)
    house.clock.set(at("11-23 18:59"))
    house.books.works()
    assert len(line.outgoing) == 2
    house.clock.set(at("11-24 08:30"))
    house.books.works()
    assert len(line.outgoing) == 3
    line.outgoing[-1].answers().presses("1").hangs_up()
    assert promise(house, third) == (PromiseState.KEPT, "11月24日08:30 已听完并按1")


def test_two_residents_who_share_a_telephone_hear_it_twice_a_day_at_most(
    house: TestHouse, line: Company
) -> None:
    for name in ("李桂芳", "王大明", "王小明"):
        lives(house, name, SHARED)
    owed = []
    with house.runtime.db.reading() as session:
        people = session.scalars(select(Resident.id).order_by(Resident.id)).all()
    for resident in people:
        owed.append(is_done(house, SHARED))
        with house.runtime.db.writing() as session:
            row = session.get_one(Promise, owed[-1])
            assert row.ticket is not None
            row.ticket.resident_id = resident
    for _ in range(4):
        house.books.works()
        if line.outgoing[-1].rings:
            told = "".join(line.outgoing[-1].answers().hears())
            assert "两件事" not in told, "nobody hears another's news"
            line.outgoing[-1].presses("1").hangs_up()
        house.clock.advance(1800)
    assert len(line.outgoing) == 2


def test_each_try_is_explained_to_the_auditor(house: TestHouse, line: Company) -> None:
    house.clock.set(at("11-23 10:02"))
    owed = is_done(house, LI)
    house.books.works()
    line.outgoing[-1].no_answer()
    house.clock.set(at("11-23 14:35"))
    house.books.works()
    line.outgoing[-1].answers().presses("1").hangs_up()
    assert promise(house, owed)[1] == "10:02 未接；14:35 已听完并按1"


def test_proof_that_comes_late_takes_the_visit_back(house: TestHouse, line: Company) -> None:
    owed = is_done(house, LI)
    for when in ("11-23 09:30", "11-23 15:00", "11-24 09:00"):
        house.clock.set(at(when))
        house.books.works()
        line.outgoing[-1].no_answer()
    assert promise(house, owed)[0] is PromiseState.OWED
    last = line.outgoing[-1].call
    last.status = "in-progress"  # the carrier was wrong: she had picked up after all
    last.start(last.asked["Url"])
    line.outgoing[-1].presses("1")
    state, explained = promise(house, owed)
    assert state is PromiseState.KEPT
    assert explained.endswith("11月24日09:00 已听完并按1")


class DyingCarrier(Carrier):
    """Places the call, and then the worker dies before it can write down that it did."""

    def place_call(self, phone: str, token: str) -> str:
        super().place_call(phone, token)
        raise KeyboardInterrupt


@ON_BOTH
def test_a_worker_that_dies_at_the_dial_rings_nobody_twice(house: TestHouse, line: Company) -> None:
    owed = is_done(house, LI)
    dying = Hands(replace(house.runtime, carrier=DyingCarrier(house.runtime.settings)))
    with pytest.raises(KeyboardInterrupt):
        dying.keep(owed)
    for _ in range(6):
        house.clock.advance(200)
        house.books.works()
    (li,) = line.outgoing
    li.answers().presses("1").hangs_up()
    assert promise(house, owed)[0] is PromiseState.KEPT


@settings(HISTORIES, max_examples=STORED, phases=[Phase.generate])
@given(chance=st.integers(0, 2**48).map(Random))
def test_stored_histories_end_and_bother_nobody(
    house: TestHouse, line: Company, chance: Random
) -> None:
    """Five residents, six numbers, a few days; hands die, answers are lost, clocks jump."""
    house.clock.set(at("11-16 00:00") + timedelta(minutes=chance.randrange(30 * 24 * 60)))
    phones = [f"+86138{chance.randrange(10**8):08}" for _ in range(6)]
    people = [phones[0:2], phones[1:3], *([phone] for phone in phones[3:6])]
    for theirs in people:
        lives(house, "居民", *theirs)
    dying = Hands(replace(house.runtime, carrier=DyingCarrier(house.runtime.settings)))
    owed: list[int] = []
    for _ in range(chance.randint(3, 10)):
        if chance.random() < 0.6:
            owed.append(is_done(house, chance.choice(phones)))
        house.clock.advance(chance.choice(JUMPS).total_seconds())
        if chance.random() < 0.2:
            line.api_faults.append(chance.choice(FAULTS))
        if owed and chance.random() < 0.2:
            with suppress(KeyboardInterrupt):
                dying.keep(chance.choice(owed))
        _round(house, line, chance)
    line.api_faults.clear()
    for _ in range(300):
        due = _next_due(house, owed)
        if due is None:
            break
        house.clock.set(max(due, house.clock.now() + timedelta(minutes=9)))
        _round(house, line, chance)
    with house.runtime.db.reading() as session:
        for promise_id in owed:
            row = session.get_one(Promise, promise_id)
            assert row.state is not PromiseState.OPEN
            assert return_calls.explain(row)
        tries = session.scalars(select(ReturnTry).where(ReturnTry.phone.in_(phones))).all()
    assert all(within(local(attempt.placed_at)) for attempt in tries)
    disturbing = [t for t in tries if t.outcome not in {how.value for how in UNDISTURBING}]
    for theirs in [*people, *([phone] for phone in phones)]:
        days = Counter(local(t.placed_at).date() for t in disturbing if t.phone in theirs)
        assert max(days.values(), default=0) <= RULES.calls_a_day
    tokens = Counter(called.call.asked["Url"] for called in line.outgoing)
    assert max(tokens.values(), default=0) <= 1


def _round(house: TestHouse, line: Company, chance: Random) -> None:
    """The worker does what is due; whoever's telephone rings does something or nothing."""
    sweep(house.hands, None)
    ringing = [called for called in line.outgoing if called.rings]
    assert max(Counter(called.phone for called in ringing).values(), default=0) <= 1
    for called in ringing:
        match chance.randrange(8):
            case 0:
                called.no_answer()
            case 1:
                called.busy()
            case 2:
                called.fails()
            case 3:
                called.answers().hangs_up(after_seconds=2)
            case 4:
                called.machine_answers()
                called.call.listen()
            case 5 | 6:
                called.answers().presses("1").hangs_up()


def _next_due(house: TestHouse, owed: list[int]) -> datetime | None:
    """When the next of these promises is to be looked at."""
    with house.runtime.db.reading() as session:
        return session.scalar(
            select(func.min(Promise.due_at)).where(
                Promise.id.in_(owed), Promise.state == PromiseState.OPEN
            )
        )
