"""What a message seems to be about: a guess on the page, a person's word in the ticket, emergencies first."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import LI, DeskHouse, open_desk
from sqlalchemy import select

from asr.transcript import Outcome
from asr.transcript import Transcript as Heard
from tickets.models import Recording
from tickets.suggestion import Suggestion
from worker import listening


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


def test_the_volunteer_sees_what_it_may_be_and_why_and_agrees_with_one_button(
    desk: DeskHouse,
) -> None:
    ticket = desk.request(text="我想问一下看病的钱怎么报销")
    wang = desk.visit("王秀兰")
    assert "可能是：医保报销（听到：看病的钱、怎么报销）" in wang.text
    wang.opens(f"/request/{ticket}")
    assert "可能是：医保报销（听到：看病的钱、怎么报销） 机器听着猜的，不一定对。" in wang.text
    assert '<option value="medical_claim" selected>' in wang.page.text

    wang.posts(f"/request/{ticket}/about", matter="medical_claim")

    assert "办的是： 医保报销" in wang.text
    assert "可能是" not in wang.text
    assert "王秀兰看是医保报销" in wang.text
    assert "医保报销" in wang.opens("/").text
    (line,) = desk.ledger("choose_matter")
    assert line.facts == {"matter": "medical_claim", "before": None, "suggested": "medical_claim"}
    wang.posts(f"/request/{ticket}/about", matter="medical_claim")
    assert len(desk.ledger("choose_matter")) == 1  # said already


def test_what_a_person_says_against_the_guess_is_kept_beside_it(desk: DeskHouse) -> None:
    ticket = desk.request(text="我想问一下看病的钱怎么报销")
    desk.visit("王秀兰").posts(f"/request/{ticket}/about", matter="medicine")
    assert desk.ticket(ticket).matter == "medicine"
    assert desk.ledger("choose_matter")[0].facts["suggested"] == "medical_claim"
    with desk.runtime.db.reading() as session:
        assert session.scalars(select(Suggestion)).one().matter == "medical_claim"


def test_below_the_threshold_nothing_is_suggested(desk: DeskHouse) -> None:
    ticket = desk.request(text="今天天气蛮好的")
    wang = desk.visit("王秀兰")
    assert "可能是" not in wang.text
    wang.opens(f"/request/{ticket}")
    assert "可能是" not in wang.text
    assert "机器猜不出是什么事" in wang.text
    assert '<option value="">还不清楚</option>' in wang.page.text


def test_what_was_hardly_heard_is_about_nothing(desk: DeskHouse) -> None:
    house = desk.runtime
    said = "〔听不清〕车停了〔听不清〕挪一下车我住三幢二单元明天上午九点"
    for unheard, found in ((0.4, "move_car"), (0.6, None)):
        heard = Heard(Outcome.HEARD, text=said, weak_share=unheard)
        with house.db.reading() as session:
            about = listening.understand(
                heard, listening.catalogue(session), house.settings, 1, house.clock()
            )
        assert about.matter == found
        assert bool(about.place) == bool(about.times) == bool(found)


def test_an_emergency_is_urgent_and_stands_before_everything_else(desk: DeskHouse) -> None:
    desk.request(text="我要交水费")
    desk.clock.advance(60)
    desk.request(text="快来人我老伴摔倒了起不来", phone="+8613900001111")
    wang = desk.visit("王秀兰")
    assert wang.text.index("可能是：紧急求助（听到：摔倒了") < wang.text.index(
        "可能是：水电燃气缴费"
    )
    (line,) = desk.ledger("urgent")
    assert "摔倒了" in line.why
    assert "急" in wang.opens("/request/2").text


def test_where_and_when_are_shown_as_they_were_said(desk: DeskHouse) -> None:
    ticket = desk.request(text="我住二十七幢二单元明天上午送我去医院")
    assert "他说到：27幢2单元，明天上午" in desk.visit("王秀兰").opens(f"/request/{ticket}").text


def test_the_number_that_a_withheld_caller_spoke_is_taken_once_somebody_has_listened(
    desk: DeskHouse,
) -> None:
    said = "我的电话一三八一二三四一二三四我要办老年优待证"
    ticket = desk.request(text=said, phone=None)
    wang = desk.visit("王秀兰").opens(f"/request/{ticket}")
    assert "他说的号码是 138****1234" in wang.text
    assert LI.removeprefix("+86") not in wang.page.text
    assert "给 他 打电话" not in wang.text

    wang.posts(f"/request/{ticket}/about", matter="senior_card", spoken="1")

    assert desk.ticket(ticket).phone == LI
    assert "李桂芳，3幢2单元501" in wang.text
    assert "给 李桂芳 打电话" in wang.text
    assert "王秀兰记下了他说的号码" in wang.text
    assert desk.ledger("take_number")[0].facts == {}


def test_a_number_heard_otherwise_is_written_by_hand(desk: DeskHouse) -> None:
    ticket = desk.request(text="电话一三八一二三四一二三四", phone=None)
    desk.visit("王秀兰").posts(f"/request/{ticket}/about", matter="", phone="82345678")
    assert desk.ticket(ticket).phone == "+8657982345678"


def test_two_spoken_numbers_are_no_number(desk: DeskHouse) -> None:
    desk.request(text="电话一三八一二三四一二三四，打不通就打一三九一二三四一二三四", phone=None)
    with desk.runtime.db.reading() as session:
        assert session.scalars(select(Suggestion)).one().phone is None


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"matter": ""}, "还没有选"),
        ({"matter": "dance"}, "请再选一次"),
        (
            {"matter": "other", "phone": "12345"},
            "这个号码看不懂，请听着录音再写一次。您写的是： 12345",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(
    desk: DeskHouse, form: dict[str, str], sentence: str
) -> None:
    ticket = desk.request(phone=None)
    wang = desk.visit("王秀兰").posts(f"/request/{ticket}/about", **form)
    assert wang.status == 409
    assert sentence in wang.text
    assert desk.ticket(ticket).matter is None
    assert desk.ledger("choose_matter") == []


def test_who_only_reads_does_not_choose(desk: DeskHouse) -> None:
    ticket = desk.request()
    committee = desk.visit("李主任").opens(f"/request/{ticket}")
    assert "可能是：水电燃气缴费" in committee.text
    assert "就是这件事" not in committee.text
    assert committee.posts(f"/request/{ticket}/about", matter="other").status == 409
    assert desk.ticket(ticket).matter is None


def test_a_message_that_was_said_again_is_no_longer_what_it_is_about(desk: DeskHouse) -> None:
    ticket = desk.request(text="我要交水费")
    with desk.runtime.db.writing() as session:
        first = session.scalars(select(Recording)).one()
        first.superseded = True
    wang = desk.visit("王秀兰")
    assert "水电燃气缴费" not in wang.text
    assert "可能是" not in wang.opens(f"/request/{ticket}").text
