"""A resident is rung from the desk through the line: two telephones, no number on the page, never twice."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from carriers.company import ApiFault, Company
from carriers.door import FlaskDoor
from conftest import ON_BOTH, HandClock
from desk_house import BASE, LI, DeskHouse, open_desk
from lines import open_line
from sqlalchemy import select

from hotline.clock import SHANGHAI
from hotline.config import Capability
from ivr.models import Call
from tickets import bridges
from tickets.bridges import Reached
from tickets.models import Duty, Promise, PromiseState, ReturnTry, Volunteer
from worker.jobs import Hands
from worker.sweep import sweep

WANG, WU = "+8613900000001", "+8613900000003"


@pytest.fixture(params=["twilio", "somleng"])
def line(request: pytest.FixtureRequest) -> Iterator[Company]:
    with open_line(request.param) as company:
        yield company


@pytest.fixture
def desk(line: Company, clock: HandClock, tmp_path: Any, database_url: str) -> Iterator[DeskHouse]:
    house = open_desk(
        tmp_path, clock, desk_calls="bridge", database_url=database_url, carrier=line.kind, carrier_api_url=line.api_url,
        carrier_account=line.account, carrier_token=line.token, signing_secrets=(line.secret,), line_number=line.number,
        capabilities_add=tuple(name.lower() for name in line.capabilities if name.lower() in set(Capability)),
    )  # fmt: skip
    line.connect(FlaskDoor(house.app), BASE, clock)
    with house.runtime.db.writing() as session:
        for name, phone in (("王秀兰", WANG), ("吴队长", WU)):
            session.get_one(Volunteer, house.people[name]).phone = phone
    yield house
    house.runtime.close()


def works(desk: DeskHouse) -> None:
    """The hands do what is due; the duty's own calls are not what is tried here."""
    sweep(Hands(desk.runtime), None)


def bridge(desk: DeskHouse, ticket: int = 1) -> Promise:
    with desk.runtime.db.reading() as session:
        found = bridges.newest(session, ticket)
        assert found is not None
        assert len(found.tries) < 2, "one press, one call at most"
        return found


def count(desk: DeskHouse) -> int:
    with desk.runtime.db.reading() as session:
        return len(session.scalars(select(Promise).where(Promise.duty == Duty.BRIDGE)).all())


def test_the_line_rings_both_and_no_page_holds_a_number(desk: DeskHouse, line: Company) -> None:
    ticket, wang = desk.request(), desk.visit("王秀兰")
    wang.posts(f"/request/{ticket}/call", seen="0")
    assert "电话马上响，接起来就是 李桂芳" in wang.text
    assert [entry.act for entry in desk.ledger("bridge")] == ["bridge"], (
        "written before it is dialled"
    )
    assert not re.search(r"\d{7}|\*{4}", wang.page.text.partition("<main")[2]), "no number at all"
    works(desk)
    (ours,) = line.outgoing
    assert ours.phone == WANG
    ours.answers()
    assert "李桂芳" not in "".join(ours.hears()), "nothing of a resident before a key"
    ours.presses("1")
    assert "好，正在接通" in "".join(ours.hears())
    assert ours.call.waiting.numbers[0].phone == LI
    assert ours.call.waiting.caller_id == line.number, "she sees the number of the line"
    ours.volunteer_picks_up().hangs_up(after_seconds=90)
    kept = bridge(desk)
    assert (kept.state, kept.result) == (PromiseState.KEPT, "接通了")
    page = wang.opens(f"/request/{ticket}").page.text
    assert 'value="reached" checked' in page, "the answer is there, and a person gives it"
    assert desk.ticket(ticket).contacted_at is None
    wang.posts(f"/request/{ticket}/called", how="reached")
    assert desk.ticket(ticket).contacted_at is not None
    assert 'value="reached" checked' not in wang.page.text
    assert desk.ledger("see_number") == []


@pytest.mark.parametrize(("how", "said", "known"), [("no-answer", "没人接", Reached.NO_ANSWER), ("busy", "占线", Reached.BUSY)])  # fmt: skip
def test_a_resident_who_is_not_there_or_busy(
    desk: DeskHouse, line: Company, how: str, said: str, known: Reached
) -> None:
    ticket, wang = desk.request(), desk.visit("王秀兰")
    wang.posts(f"/request/{ticket}/call", seen="0")
    works(desk)
    ours = line.outgoing[-1].answers().presses("1")
    ours.call.volunteer_does_not_answer(how)
    assert "没打通" in "".join(ours.hears())
    assert bridges.reached(bridge(desk)) is known
    assert said in wang.opens(f"/request/{ticket}/call").text
    assert 'value="nobody" checked' in wang.page.text
    wang.posts(f"/request/{ticket}/call", seen=str(bridge(desk).id))  # 再打一次
    works(desk)
    assert len(line.outgoing) == 2


@ON_BOTH
def test_one_press_is_one_call_however_often_it_arrives(desk: DeskHouse, line: Company) -> None:
    """Pressed eight times at once, again in an old window when it is over, and by a second person."""
    ticket = desk.request()
    windows = [desk.visit("王秀兰") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each.posts(f"/request/{ticket}/call", seen="0"), windows * 2))
    assert count(desk) == 1
    wu = desk.visit("吴队长")
    assert "王秀兰正在给他打电话" in wu.posts(f"/request/{ticket}/call").text
    hands = [Hands(desk.runtime) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: sweep(each, None), hands))
    assert len(line.outgoing) == 1
    line.outgoing[-1].answers().presses("1").volunteer_picks_up().hangs_up(after_seconds=5)
    assert "接通了" in windows[1].posts(f"/request/{ticket}/call", seen="0").text
    desk.clock.advance(3600)
    works(desk)
    assert len(line.outgoing) == count(desk) == 1


@pytest.mark.parametrize("rings", [True, False])
def test_an_answer_that_was_lost_is_looked_up_and_not_dialled_again(
    desk: DeskHouse, line: Company, rings: bool
) -> None:
    ticket, wang = desk.request(), desk.visit("王秀兰")
    line.api_faults.append(ApiFault(lost=True) if rings else ApiFault(503))
    wang.posts(f"/request/{ticket}/call", seen="0")
    works(desk)
    for _ in range(3):
        desk.clock.advance(130)
        works(desk)
    assert len(line.outgoing) == (1 if rings else 0)
    if rings:
        line.outgoing[-1].answers().presses("1").volunteer_picks_up().hangs_up(after_seconds=60)
    assert bridge(desk).result == ("接通了" if rings else "没打出去")
    page = wang.opens(f"/request/{ticket}/call").page.text
    assert ("看号码，自己打" in page) is not rings
    if not rings:
        assert "138 1234 1234" in wang.posts(f"/request/{ticket}/call", way="number").text
        assert len(desk.ledger("see_number")) == 1


def test_a_volunteer_who_does_not_answer_or_is_gone(desk: DeskHouse, line: Company) -> None:
    ticket, wang = desk.request(), desk.visit("王秀兰")
    for act, said in (
        ("no_answer", "您没接"),
        ("busy", "您的电话占线"),
        ("silent", "您接了，没按 1"),
    ):
        last = bridge(desk).id if act != "no_answer" else 0
        wang.posts(f"/request/{ticket}/call", seen=str(last))
        works(desk)
        ours = line.outgoing[-1]
        if act == "silent":
            ours.answers().hangs_up(after_seconds=2)
        else:
            getattr(ours, act)()
        assert said in wang.opens(f"/request/{ticket}/call").text
        assert LI not in str([sent for sent in line.sent if "Dial" in str(sent)])
        desk.clock.advance(70)


def test_hours_of_rest_are_kept_unless_a_person_answers_for_it(
    desk: DeskHouse, line: Company
) -> None:
    ticket, wang = desk.request(), desk.visit("王秀兰")
    desk.clock.set(datetime(2026, 11, 23, 12, 30, tzinfo=SHANGHAI))
    page = wang.posts(f"/request/{ticket}/call", seen="0")
    assert "现在是他休息的时间，今天下午2:30起再打" in page.text
    assert count(desk) == 0
    wang.posts(f"/request/{ticket}/call", seen="0", anyway="1")
    assert desk.ledger("bridge")[-1].why == "休息时间，有急事"
    works(desk)
    assert len(line.outgoing) == 1


def test_a_full_line_is_waited_for_and_then_given_up(desk: DeskHouse, line: Company) -> None:
    ticket, wang = desk.request(), desk.visit("王秀兰")
    hands = Hands(
        replace(
            desk.runtime, settings=desk.runtime.settings.model_copy(update={"trunk_channels": 4})
        )
    )
    with desk.runtime.db.writing() as session:
        for number in range(2):
            session.add(
                Call(
                    carrier_sid=f"CA{number}",
                    flow="inbound",
                    started_at=desk.clock.now(),
                    caller_kind="known",
                )
            )
    wang.posts(f"/request/{ticket}/call", seen="0")
    for _ in range(8):
        sweep(hands, None)
        desk.clock.advance(20)
    assert line.outgoing == [], "two channels are needed, and one stays free for callers"
    assert bridge(desk).result == bridges.LINE_FULL
    assert "看号码，自己打" in wang.opens(f"/request/{ticket}/call").text


def test_without_a_telephone_of_their_own_the_number_is_shown(
    desk: DeskHouse, line: Company
) -> None:
    ticket = desk.request()
    with desk.runtime.db.writing() as session:
        session.get_one(Volunteer, desk.people["王秀兰"]).phone = None
    assert "138 1234 1234" in desk.visit("王秀兰").posts(f"/request/{ticket}/call", seen="0").text
    assert (len(desk.ledger("see_number")), count(desk), line.outgoing) == (1, 0, [])


def test_one_person_rings_one_resident_at_a_time(desk: DeskHouse, line: Company) -> None:
    first, second = desk.request(), desk.request(phone="+8613812349999")
    wang = desk.visit("王秀兰")
    wang.posts(f"/request/{first}/call", seen="0")
    assert "您还有一个电话没打完" in wang.posts(f"/request/{second}/call", seen="0").text
    works(desk)
    with desk.runtime.db.reading() as session:
        assert len(session.scalars(select(ReturnTry)).all()) == 1
