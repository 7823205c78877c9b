"""What can be done by telephone alone: on one line, slowly, late, and by a volunteer without a screen."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from carriers.company import Company
from carriers.door import FlaskDoor
from conftest import ON_BOTH, TestHouse
from grammar import PIN
from sqlalchemy import func, select
from telephone import LI, MANY_HANDS, is_done, leaves_a_message
from test_returns import at

from hotline.app import create_app
from hotline.web.phone_door import porter
from ivr.engine import Way
from tickets import footwork, limits
from tickets.lifecycle import State
from tickets.models import (
    LedgerLine,
    Promise,
    PromiseState,
    Resident,
    ResidentPhone,
    Ticket,
    Volunteer,
)
from tickets.outings import Reason, Went
from tickets.reminders import Reminder

CHEN = "+8613900000002"  # has duty this morning


def rings_in(house: TestHouse, line: Company, *keys: str) -> str:
    """陈国庆 dials in, says who he is, presses keys and hangs up; the last words he heard."""
    house.books.has_pin(CHEN, PIN)
    chen = line.caller(CHEN).dials().presses("1").presses(PIN)
    for key in keys:
        chen.presses(key)
    heard = "".join(chen.hears())
    chen.hangs_up()
    return heard


def only_ticket(house: TestHouse) -> Ticket:
    with house.runtime.db.reading() as session:
        return session.scalars(select(Ticket)).one()


def test_a_call_from_home_is_the_first_contact_once_he_says_so(
    house: TestHouse, line: Company
) -> None:
    leaves_a_message(line)
    rings_in(house, line, "1", "1")  # takes it, and has the number
    assert only_ticket(house).contacted_at is None
    house.clock.advance(600)
    before = house.clock.now()
    assert "没有别的事了" in rings_in(house, line, "3", "1")
    ticket = only_ticket(house)
    assert ticket.contacted_at
    assert before < ticket.contacted_at <= house.clock.now()
    assert ticket.state is State.IN_HAND
    with house.runtime.db.reading() as session:
        called = session.scalars(select(LedgerLine).where(LedgerLine.act == "called")).one()
        assert (called.person, called.origin) == ("volunteer:2", "phone")
    assert "没有别的事了" in rings_in(house, line, "3"), "asked once"


def test_why_he_went_twice_is_kept_with_both_outings(house: TestHouse, line: Company) -> None:
    leaves_a_message(line)
    rings_in(house, line, "1", "1")
    rings_in(house, line, "1", "1", "2", "3", "3")  # done, spoken, two outings, 别的, 要他本人去
    ticket = only_ticket(house)
    assert ticket.state is State.DONE
    with house.runtime.db.reading() as session:
        made = footwork.outings(session, session.get_one(Ticket, ticket.id))
        assert [(j.went, j.settled, j.reason) for j in made] == [
            (Went.VOLUNTEER, False, Reason.IN_PERSON), (Went.VOLUNTEER, True, Reason.IN_PERSON),
        ]  # fmt: skip


def test_who_hangs_up_before_saying_why_has_still_said_that_it_is_done(
    house: TestHouse, line: Company
) -> None:
    leaves_a_message(line)
    rings_in(house, line, "1", "1")
    rings_in(house, line, "1", "1", "3")
    with house.runtime.db.reading() as session:
        ticket = session.scalars(select(Ticket)).one()
        assert ticket.state is State.DONE
        assert [journey.reason for journey in footwork.outings(session, ticket)] == [
            Reason.OTHER
        ] * 3


@ON_BOTH
def test_what_is_late_rings_each_in_turn_and_the_group_at_last(
    house: TestHouse, line: Company
) -> None:
    """Nobody answers: each is rung twice at most, in duty hours, and each try stands in the books."""
    house.books.has_open(LI, "交水费")
    house.books.rings_volunteers()
    house.books.works()
    line.outgoing[-1].answers().presses("1").hangs_up()  # the start of duty
    for _ in range(40):
        house.clock.advance(600)
        house.books.works()
        if line.outgoing[-1].rings:
            line.outgoing[-1].no_answer()
    with house.runtime.db.reading() as session:
        reminders = session.scalars(select(Reminder).order_by(Reminder.id)).all()
        rung = session.scalars(
            select(Promise).where(Promise.reminder_id.is_not(None)).order_by(Promise.id)
        ).all()
        assert [promise.reminder_id for promise in rung] == [reminder.id for reminder in reminders]
        assert len({reminder.volunteer_id for reminder in reminders}) == 3
        for promise, reminder in zip(rung, reminders, strict=True):
            assert {attempt.volunteer_id for attempt in promise.tries} <= {reminder.volunteer_id}
            assert len(promise.tries) <= 2
        assert rung[0].state is PromiseState.OWED
        assert rung[0].result == "催了几次没人接电话，照次序催下一个人"


def test_hearing_it_is_seeing_it_and_nobody_is_rung_again(house: TestHouse, line: Company) -> None:
    house.books.has_open(LI, "交水费")
    with house.runtime.db.writing() as session:
        session.get_one(Volunteer, 2).ring_me = True
    house.clock.set(at("11-23 11:15"))
    house.books.works()
    chen = line.outgoing[-1].answers()
    assert "有一件事等着" in "".join(chen.hears()), "the start of duty brings it along"
    chen.presses("1").hangs_up()
    rung = len(line.outgoing)
    house.clock.advance(600)
    house.books.works()
    assert len(line.outgoing) == rung
    with house.runtime.db.reading() as session:
        assert limits.standing(session, house.runtime.settings, 2, house.clock.now()) == []


def on_one_line(house: TestHouse, line: Company) -> None:
    """The house with a single telephone line: nobody can be joined with anybody."""
    settings = house.runtime.settings.model_copy(update={"trunk_channels": 1})
    app = create_app(replace(house.runtime, settings=settings))
    line.connect(FlaskDoor(app), house.public_url, house.clock)


def test_on_one_line_nobody_can_be_joined_and_a_call_is_promised(
    house: TestHouse, line: Company
) -> None:
    on_one_line(house, line)
    grandma = line.caller(LI).dials().presses("0")
    said = "".join(grandma.hears())
    assert "这条线接不过去" in said
    assert "两小时内打给您" in said
    assert "都在忙" not in said
    grandma.says("找居委会问医保").hangs_up()
    assert only_ticket(house).contact_by is not None
    assert line.outgoing == []


def test_who_says_nothing_then_is_owed_a_call_by_the_volunteer(
    house: TestHouse, line: Company
) -> None:
    on_one_line(house, line)
    line.caller(LI).dials().presses("0").hangs_up(after_seconds=4)
    assert [owed.phone for owed in house.books.ring_backs_owed()] == [LI]


@pytest.mark.parametrize(("slow", "waits"), [(False, (4, 8)), (True, (8, 12))])
def test_who_is_spoken_to_slowly_has_longer_to_find_a_key(
    house: TestHouse, line: Company, slow: bool, waits: tuple[int, int]
) -> None:
    with house.runtime.db.writing() as session:
        session.add(Resident(name="李桂芳", slow=slow, phones=[ResidentPhone(phone=LI)]))
    opening = line.caller(LI).dials()
    assert opening.asked_for_a_key
    first = opening.asked_for_a_key.timeout_seconds
    opening.hangs_up()
    is_done(house, LI)
    house.books.works()
    news = line.outgoing[-1].answers()
    assert news.asked_for_a_key
    assert (first, news.asked_for_a_key.timeout_seconds) == waits


@ON_BOTH
def test_one_wrong_pin_reported_twice_at_once_is_one_try(house: TestHouse) -> None:
    house.books.has_pin(CHEN, PIN)
    judge = porter(house.runtime)
    with ThreadPoolExecutor(MANY_HANDS) as crowd:
        said = list(crowd.map(lambda _: judge(2, "111111", "7:2"), range(MANY_HANDS)))
    assert set(said) == {Way.REFUSED}, "eight copies would have closed the door"
    with house.runtime.db.reading() as session:
        assert session.get_one(Volunteer, 2).wrong_pins == 1
        wrong = select(func.count()).select_from(LedgerLine).where(LedgerLine.act == "wrong_pin")
        assert session.scalar(wrong) == 1
    for question in range(4):
        judge(2, "111111", f"8:{question}")
    assert judge(2, PIN, "9:1") is Way.LOCKED
