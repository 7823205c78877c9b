"""Volunteers by telephone and their groups: told once, never who it is, and nobody in vain."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from carriers.company import Company
from carriers.door import FlaskDoor
from conftest import ON_BOTH, TestHouse
from sqlalchemy import delete, select
from telephone import LI, MANY_HANDS, SHARED, leaves_a_message, with_settings
from test_returns import at

from asr.transcript import Outcome
from asr.transcript import Transcript as Heard
from tickets import ledger, notices, service, volunteer_calls
from tickets.models import (
    Duty,
    Kind,
    LedgerLine,
    Promise,
    PromiseState,
    Recording,
    Shift,
    Source,
    Ticket,
    Volunteer,
)
from tickets.notices import Why
from worker import listening
from worker.jobs import Hands
from worker.sweep import sweep


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
