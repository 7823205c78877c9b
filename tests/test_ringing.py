"""Ringing people for what the house owes them: alone at the dial, never twice, never too often."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import pytest
from carriers.company import ApiFault, Company
from carriers.door import FlaskDoor
from conftest import ON_BOTH, TestHouse
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lines import open_line
from sqlalchemy import delete, func, select
from test_return_histories import HISTORIES, JUMPS
from test_returns import RULES, at, within

from asr.transcript import Outcome
from asr.transcript import Transcript as Heard
from hotline.clock import local
from ivr.carrier import Carrier
from tickets import ledger, notices, return_calls, service, volunteer_calls
from tickets.lifecycle import Act
from tickets.models import (
    Duty,
    Kind,
    LedgerLine,
    Promise,
    PromiseState,
    Recording,
    Resident,
    ResidentPhone,
    ReturnTry,
    Shift,
    Source,
    Ticket,
    Volunteer,
)
from tickets.notices import Why
from tickets.returns import UNDISTURBING
from worker import listening
from worker.jobs import Hands
from worker.sweep import sweep

LI, HER_LANDLINE, SHARED = "+8613812345678", "+8657982345678", "+8657982341111"
STORED = 40  # histories of five residents each
FAULTS = (ApiFault(lost=True), ApiFault(500), ApiFault(429))
MANY_HANDS = 8


@pytest.fixture
def company() -> Iterator[Company]:
    with open_line("twilio") as company:
        yield company


@pytest.fixture
def line(house: TestHouse, company: Company) -> Company:
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    return company


def lives(house: TestHouse, name: str, *phones: str) -> int:
    with house.runtime.db.writing() as session:
        resident = Resident(name=name, phones=[ResidentPhone(phone=phone) for phone in phones])
        session.add(resident)
        session.flush()
        return resident.id


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


def promise(house: TestHouse, promise_id: int) -> tuple[PromiseState, str]:
    with house.runtime.db.reading() as session:
        row = session.get_one(Promise, promise_id)
        return row.state, return_calls.explain(row)


def with_settings(house: TestHouse, **changed: Any) -> Hands:
    settings = house.runtime.settings.model_copy(update=changed)
    return Hands(replace(house.runtime, settings=settings))


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


# The volunteers' groups and their telephones


class Group(ThreadingHTTPServer):
    """A group on loopback: keeps what it was told, or is out of order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.broken = False
        super().__init__(("127.0.0.1", 0), _GroupHandler)


class _GroupHandler(BaseHTTPRequestHandler):
    server: Group

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.server.broken:
            self.server.said.append(body["message"])
        self.send_response(503 if self.server.broken else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its own name
        """Quiet: the tests speak."""


@pytest.fixture
def group() -> Iterator[Group]:
    with Group() as group:
        thread = threading.Thread(target=group.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield group
        group.shutdown()
        thread.join()


def hands_with_group(house: TestHouse, group: Group) -> Hands:
    return with_settings(house, notice_urls=(f"json://127.0.0.1:{group.server_port}",))


def owe_notice(house: TestHouse, hands: Hands, why: Why) -> None:
    with house.runtime.db.writing() as session:
        assert notices.owe(session, hands.runtime.settings, why, house.clock.now())


def test_the_group_is_told_that_there_is_something_and_nothing_of_whom(
    house: TestHouse, line: Company, group: Group
) -> None:
    hands = hands_with_group(house, group)
    with house.runtime.db.writing() as session:
        for phone in (LI, SHARED):
            service.open_ticket(
                session, hands.runtime.settings, house.clock.now(), kind=Kind.ERRAND,
                source=Source.MESSAGE, phone=phone, by=ledger.CALLER,
            )  # fmt: skip
    sweep(hands, None)
    assert group.said == ["红色助跑热线：有2件新的事，请值班的人看一下。"]
    sweep(hands, None)
    assert len(group.said) == 1


def test_at_night_the_group_sleeps_unless_it_is_urgent(
    house: TestHouse, line: Company, group: Group
) -> None:
    hands = hands_with_group(house, group)
    house.clock.set(at("11-23 22:00"))
    owe_notice(house, hands, Why.NEW)
    sweep(hands, None)
    assert group.said == []
    owe_notice(house, hands, Why.URGENT)
    sweep(hands, None)
    assert group.said == ["红色助跑热线：有1件急事，请值班的人马上看一下。"]
    house.clock.set(at("11-24 08:30"))
    sweep(hands, None)
    assert len(group.said) == 2


def test_an_emergency_heard_is_told_to_the_group_at_once(
    house: TestHouse, line: Company, group: Group
) -> None:
    hands = hands_with_group(house, group)
    house.clock.set(at("11-23 22:00"))
    leaves_a_message(line)
    now, given = house.clock.now(), hands.runtime.settings
    with house.runtime.db.writing() as session:
        recording = session.scalars(select(Recording)).one()
        heard = Heard(Outcome.HEARD, text="快来人，我老伴摔倒了，起不来", trusted=True)
        about = listening.understand(heard, listening.catalogue(session), given, recording.id, now)
        listening.write(session, given, recording, heard, about, now)
    sweep(hands, None)
    assert group.said == ["红色助跑热线：有1件急事，请值班的人马上看一下。"]


def test_what_is_wrong_with_the_roster_is_told_to_the_group(
    house: TestHouse, line: Company, group: Group
) -> None:
    hands = hands_with_group(house, group)
    with house.runtime.db.writing() as session:
        session.execute(delete(Shift).where(Shift.starts_at > house.clock.now()))
    sweep(hands, None)
    (said,) = group.said
    assert said.startswith("红色助跑热线：值班表有")
    sweep(hands, None)
    assert len(group.said) == 1


def test_a_group_out_of_order_is_told_later_and_at_last_given_up(
    house: TestHouse, line: Company, group: Group
) -> None:
    hands = hands_with_group(house, group)
    group.broken = True
    owe_notice(house, hands, Why.NEW)
    sweep(hands, None)
    house.clock.advance(60)
    group.broken = False
    sweep(hands, None)
    assert len(group.said) == 1
    group.broken = True
    owe_notice(house, hands, Why.NEW)
    for _ in range(12):
        sweep(hands, None)
        house.clock.advance(3600)
    with house.runtime.db.reading() as session:
        states = session.scalars(select(Promise.state).where(Promise.duty == Duty.NOTICE)).all()
    assert states == [PromiseState.KEPT, PromiseState.OWED]


def leaves_a_message(line: Company) -> None:
    grandma = line.caller(LI).dials()
    grandma.keeps_silent()
    grandma.says("我要交水费").hangs_up()


def test_a_residents_voice_is_for_the_volunteer_who_was_rung(
    house: TestHouse, line: Company
) -> None:
    """Its address is signed and dies; hearing it stands in the ledger before it is heard."""
    leaves_a_message(line)
    house.books.rings_volunteers()
    house.books.works()
    volunteer = line.outgoing[-1].answers()
    volunteer.presses("1")
    (address,) = [item.url for item in volunteer.heard() if "/ivr/own/" in getattr(item, "url", "")]
    with house.runtime.db.reading() as session:
        heard = session.scalars(select(LedgerLine).where(LedgerLine.act == "listen")).one()
        recording = session.scalars(select(Recording)).one()
        assert (heard.object_kind, heard.object_id) == ("recording", recording.id)
        assert (heard.person, heard.origin) == ("volunteer:2", "phone")
    door = FlaskDoor(house.app)
    assert door.send("GET", address, {}, {}).body[:4] == b"RIFF"
    assert door.send("GET", address.replace("/own/", "/own/x"), {}, {}).status == 404
    house.clock.advance(3600)
    assert door.send("GET", address, {}, {}).status == 404
    volunteer.presses("1")
    with house.runtime.db.reading() as session:
        seen = session.scalars(select(LedgerLine).where(LedgerLine.act == "see_number")).all()
    assert [line.person for line in seen] == ["volunteer:2"], "his number is told once he takes it"


@ON_BOTH
def test_the_start_of_duty_is_told_once_however_many_look(house: TestHouse, line: Company) -> None:
    house.books.rings_volunteers()
    hands = with_settings(house, trunk_channels=20)
    with ThreadPoolExecutor(MANY_HANDS) as pool:
        list(pool.map(lambda _: sweep(hands, None), range(MANY_HANDS)))
    assert len(line.outgoing) == 1
    line.outgoing[-1].answers().presses("1").hangs_up()
    house.clock.advance(3600)
    house.books.works()
    assert len(line.outgoing) == 1


def test_nobody_picks_up_and_who_was_rung_is_kept(
    house: TestHouse, line: Company, group: Group
) -> None:
    leaves_a_message(line)
    house.books.rings_volunteers()
    hands = hands_with_group(house, group)
    for _ in range(60):
        sweep(hands, None)
        if line.outgoing[-1].rings:
            line.outgoing[-1].no_answer()
        house.clock.advance(60)
    with house.runtime.db.reading() as session:
        ticket = session.scalars(select(Ticket)).one()
        told = session.scalars(
            select(Promise).where(
                Promise.duty == Duty.TELL_VOLUNTEER, Promise.ticket_id == ticket.id
            )
        ).one()
        names = [session.get_one(Volunteer, t.volunteer_id).name for t in told.tries]
        assert (told.state, told.result) == (PromiseState.OWED, volunteer_calls.NOBODY)
    assert names == ["陈国庆", "王秀兰", "李爱华"] * 2
    assert any("还没人接" in said for said in group.said)


def test_whoever_is_content_with_the_page_is_not_rung(house: TestHouse, line: Company) -> None:
    leaves_a_message(line)
    house.books.works()
    assert line.outgoing == []
