"""What is late: the volunteer is reminded, then the substitute, then the duty lead, each once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from conftest import ON_BOTH, DeafBell, HandClock
from errand_house import CHEN, WANG, WU, ErrandHouse, at, open_errands
from sqlalchemy import select

from hotline.runtime import build
from tickets import limits
from tickets.lifecycle import Act
from tickets.models import Ticket
from tickets.reminders import Limit, Reminder
from worker import sweep
from worker.jobs import Hands


@pytest.fixture
def house(tmp_path: Path, clock: HandClock, database_url: str) -> Iterator[ErrandHouse]:
    opened = open_errands(tmp_path, clock, database_url)
    yield opened
    opened.db.close()


def until(house: ErrandHouse, last: datetime, minutes: int = 5) -> list[tuple[datetime, str, str]]:
    """Sweep every few minutes until then; when who was reminded of what."""
    names = {person.volunteer_id: name for name, person in house.people.items()}
    told = []
    while house.clock.now() < last:
        house.clock.advance(60 * minutes)
        with house.writing() as session:
            for reminder_id in limits.remind(session, house.settings, house.clock.now()):
                row = session.get_one(Reminder, reminder_id)
                told.append((house.clock.now(), str(row.limit), names[row.volunteer_id]))
    return told


def test_nobody_takes_it(house: ErrandHouse) -> None:
    house.asks()
    told = until(house, at(16))
    accept = [(when, who) for when, limit, who in told if limit == "accept"]
    contact = [(when, who) for when, limit, who in told if limit == "contact"]
    assert accept == [(at(9, 40), WANG), (at(10, 10), CHEN), (at(10, 40), WU)]
    assert contact == [(at(11, 10), WANG), (at(14, 10), CHEN), (at(14, 40), WU)], "not at noon"


def test_nobody_is_reminded_at_night(house: ErrandHouse) -> None:
    house.clock.set(at(16, 45))
    house.asks()
    assert until(house, at(8, 30, day=24)) == []
    assert until(house, at(9, day=24)) == [(at(8, 45, day=24), "accept", WANG)]


def test_done_but_nobody_told(house: ErrandHouse) -> None:
    ticket = house.asks()
    house.does(WANG, ticket, Act.ACCEPT, Act.FINISH)
    assert until(house, at(9, day=24)) == []
    told = until(house, at(16, day=24), 2)
    assert [(limit, who) for _, limit, who in told] == [
        ("tell", WANG),
        ("tell", CHEN),
        ("tell", WU),
    ]
    house.does(WANG, ticket, Act.CONFIRM)
    assert until(house, at(16, day=25)) == []


def test_who_waits_for_papers_is_not_hurried_and_who_was_called_is_content(
    house: ErrandHouse,
) -> None:
    ticket = house.asks()
    house.does(WANG, ticket, Act.ACCEPT)
    house.does(WANG, ticket, Act.ASK_MATERIALS, missing="照片")
    with house.writing() as session:
        session.get_one(Ticket, ticket).contacted_at = house.clock.now()
    assert until(house, at(16, day=26), 30) == []
    house.does(WANG, ticket, Act.RESUME)
    assert [limit for _, limit, _ in until(house, at(16, 30, day=26))] == ["done"]


def test_whoever_it_is_passed_on_to_has_as_long_as_the_first(house: ErrandHouse) -> None:
    ticket = house.asks()
    house.clock.set(at(9, 34))
    house.does(WANG, ticket, Act.PASS_ON, to=WU)
    told = [each for each in until(house, at(11)) if each[1] == "accept"]
    assert told == [(at(10, 5), "accept", WU), (at(10, 35), "accept", CHEN)], "the lead has it"


def test_a_second_round_is_reminded_of_anew(house: ErrandHouse) -> None:
    ticket = house.asks()
    house.does(WANG, ticket, Act.ACCEPT)
    with house.writing() as session:
        session.get_one(Ticket, ticket).contacted_at = house.clock.now()
    first = until(house, at(16, day=25), 30)
    house.does(WANG, ticket, Act.FINISH, Act.CONFIRM, Act.REOPEN)
    second = until(house, at(16, day=29), 30)
    assert [who for _, _, who in first] == [who for _, _, who in second] == [WANG, CHEN, WU]


@ON_BOTH
def test_many_sweeps_remind_once(house: ErrandHouse) -> None:
    house.asks()
    now, crowd = at(9, 45), 4
    start = Barrier(crowd)

    def look(_: int) -> int:
        start.wait()
        with house.writing() as session:
            return len(limits.remind(session, house.settings, now))

    with ThreadPoolExecutor(crowd) as sweeps:
        assert sum(sweeps.map(look, range(crowd))) == 1
    assert house.acts(1).count("remind") == 1


def test_it_stands_on_the_page_until_it_is_seen_or_settled(house: ErrandHouse) -> None:
    first, second = house.asks(), house.asks()
    until(house, at(9, 45))

    def standing() -> list[int]:
        with house.db.reading() as session:
            found = limits.standing(session, house.settings, house.id_of(WANG), house.clock.now())
            assert all(reminder.limit is Limit.ACCEPT for reminder in found)
            return [reminder.ticket_id for reminder in found]

    assert standing() == [first, second]
    house.does(WANG, first, Act.ACCEPT)
    assert standing() == [second]
    with house.writing() as session:
        (reminder,) = limits.standing(session, house.settings, house.id_of(WANG), house.clock.now())
        for _ in range(2):
            limits.see(session, reminder, house.people[WANG], house.clock.now())
    assert standing() == []
    assert house.acts(second).count("see_reminder") == 1


def test_the_worker_finds_what_is_late(house: ErrandHouse) -> None:
    ticket = house.asks()
    runtime = build(house.settings, house.clock.now, DeafBell())
    hands = Hands(runtime)
    assert sweep.remind(hands) == []
    house.clock.advance(31 * 60)
    assert len(sweep.remind(hands)) == 1
    assert sweep.remind(hands) == []
    runtime.close()
    with house.db.reading() as session:
        (reminder,) = session.scalars(select(Reminder))
        assert (reminder.ticket_id, reminder.volunteer_id) == (ticket, house.id_of(WANG))
        assert reminder.past_since == at(9, 10) + timedelta(minutes=30)
