"""Outings and what hangs on them: counted once, explained, taken back, never forbidden."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from conftest import HandClock
from errand_house import CHEN, WANG, ZHANG, ErrandHouse, at, open_errands
from sqlalchemy import select

from tickets import checklist, footwork, ledger, matters, service, trips
from tickets.footwork import FutureError, OutingChangedError
from tickets.lifecycle import Act, IncompleteError, TooLateError, TooLateReason
from tickets.merging import Hindrance, NotMergedError
from tickets.models import Ticket
from tickets.outings import Carried, Journey, Reason, VisitKind, Went
from tickets.trips import Count, Outing


@pytest.fixture
def house(tmp_path: Path, clock: HandClock) -> Iterator[ErrandHouse]:
    opened = open_errands(tmp_path, clock)
    yield opened
    opened.db.close()


def goes(house: ErrandHouse, who: str, *tickets: int, **more: Any) -> tuple[int, dict[int, int]]:
    """An outing to the counter, a minute later; its id, and its number for each request."""
    house.clock.advance(60)
    given = {"went": Went.VOLUNTEER, "place": "窗口", "settled": True, **more}
    with house.writing() as session:
        rows = [session.get_one(Ticket, ticket) for ticket in tickets]
        journey, numbers = footwork.log_outing(
            session, rows, house.people[who], house.clock.now(), **given
        )
        return journey.id, numbers


def counted(house: ErrandHouse, ticket: int) -> Count:
    with house.db.reading() as session:
        return footwork.count(session, session.get_one(Ticket, ticket))


def test_one_outing_for_two_requests_is_one_trip_for_each(house: ErrandHouse) -> None:
    first, second = house.asks(), house.asks(ZHANG)
    assert goes(house, WANG, first, second)[1] == {first: 1, second: 1}
    assert goes(house, WANG, second, reason=Reason.CLOSED)[1] == {second: 2}
    assert counted(house, first) == Count(resident=0, volunteer=1)
    assert counted(house, first).holds
    assert house.acts(first)[-1] == house.acts(second)[-1] == "outing"


def test_residents_own_outing_counts_and_says_no_volunteer(house: ErrandHouse) -> None:
    ticket = house.asks()
    journey, _ = goes(
        house, WANG, ticket, went=Went.RESIDENT, settled=False, reason=Reason.MATERIALS
    )
    goes(house, WANG, ticket)
    assert counted(house, ticket) == Count(resident=1, volunteer=1)
    assert not counted(house, ticket).holds
    with house.db.reading() as session:
        assert session.get_one(Journey, journey).volunteer_id is None


def test_the_second_outing_asks_why_and_shows_the_list(house: ErrandHouse) -> None:
    ticket = house.asks()
    with house.writing() as session:
        row, wang = session.get_one(Ticket, ticket), house.people[WANG]
        service.describe(session, house.settings, row, wang, house.clock.now(), matter="medicine")
        checklist.tick(session, row, "医保卡", wang, house.clock.now())
        checklist.tick(session, row, "医保卡", house.people[CHEN], house.clock.now())

    def ahead() -> footwork.Ahead:
        with house.db.reading() as session:
            return footwork.ahead(session, session.get_one(Ticket, ticket))

    before = ahead()
    assert (before.number, before.again, before.asks_reason) == (1, False, False)
    assert [(item.what, item.by) for item in before.list] == [("医保卡", house.id_of(WANG))]
    goes(house, WANG, ticket)
    second = ahead()
    assert (second.number, second.again, second.asks_reason) == (2, True, True)
    with pytest.raises(IncompleteError) as asked:
        goes(house, WANG, ticket)
    assert asked.value.lacks == "reason"
    goes(house, WANG, ticket, settled=False, reason=Reason.WRONG_PLACE, note="搬家了")
    third = ahead()
    assert (third.asks_reason, third.reason) == (False, Reason.WRONG_PLACE)
    for number in range(3, 8):
        assert goes(house, WANG, ticket, reason=Reason.OTHER)[1] == {ticket: number}
    assert counted(house, ticket).trips == 7, "it is never forbidden"


LACKING = {
    "reason": {"settled": False},
    "place": {"place": "  "},
    "volunteer": {"who": ledger.CALLER},
}


@pytest.mark.parametrize("lacks", LACKING)
def test_what_an_outing_has_to_say(house: ErrandHouse, lacks: str) -> None:
    ticket = house.asks()
    house.people["他本人"] = ledger.CALLER
    said = dict(LACKING[lacks])
    who = "他本人" if said.pop("who", None) else WANG
    with pytest.raises(IncompleteError) as asked:
        goes(house, who, ticket, **said)
    assert asked.value.lacks == lacks
    with pytest.raises(FutureError):
        goes(house, WANG, ticket, at=at(23))
    with pytest.raises(IncompleteError):
        goes(house, WANG)
    assert counted(house, ticket).trips == 0
    assert house.acts(ticket) == ["open", "assign"]


def test_pressed_twice_it_is_written_once(house: ErrandHouse) -> None:
    ticket = house.asks()
    goes(house, WANG, ticket, seen=0)
    with pytest.raises(OutingChangedError) as told:
        goes(house, WANG, ticket, seen=0)
    assert told.value.outings == 1
    assert told.value.last
    assert counted(house, ticket).trips == 1


def test_an_outing_is_taken_back_for_all_its_requests(house: ErrandHouse) -> None:
    first, second = house.asks(), house.asks(ZHANG)
    journey, _ = goes(house, WANG, first, second)

    def takes_back(who: str) -> None:
        with house.writing() as session:
            footwork.withdraw_outing(
                session, house.settings, session.get_one(Journey, journey), house.people[who], house.clock.now()
            )  # fmt: skip

    with pytest.raises(TooLateError):
        takes_back(CHEN)
    house.clock.advance(600)
    with pytest.raises(TooLateError) as told:
        takes_back(WANG)
    assert told.value.why is TooLateReason.LATE
    assert counted(house, second).trips == 1
    house.clock.advance(-60)
    takes_back(WANG)
    takes_back(WANG)
    assert counted(house, first).trips == counted(house, second).trips == 0
    for ticket in (first, second):
        assert house.acts(ticket)[-2:] == ["outing", "withdraw_outing"], "both lines stay"


def test_for_a_merged_request_it_counts_where_that_lives_on(house: ErrandHouse) -> None:
    first, second, third = house.asks(), house.asks(), house.asks()
    house.does(WANG, second, Act.MERGE, into=first)
    goes(house, WANG, second, first)
    assert counted(house, first).trips == 1
    assert counted(house, second).trips == 0
    with pytest.raises(NotMergedError) as told:
        house.does(WANG, first, Act.MERGE, into=third)
    assert told.value.why is Hindrance.OUTINGS, "its outings would be lost from sight"


def test_visits_are_counted_apart(house: ErrandHouse) -> None:
    ticket = house.asks()
    wang, now = house.people[WANG], house.clock.now()
    with house.writing() as session:
        row = session.get_one(Ticket, ticket)
        fetched = footwork.log_visit(session, row, VisitKind.FETCH, wang, now)
        footwork.log_visit(session, row, VisitKind.DELIVER, wang, now)
        footwork.withdraw_visit(session, house.settings, fetched, wang, now + timedelta(minutes=9))
        assert [visit.kind for visit in footwork.visits(session, row)] == [VisitKind.DELIVER]
        with pytest.raises(IncompleteError):
            footwork.log_visit(session, row, VisitKind.FETCH, ledger.SYSTEM, now)
        with pytest.raises(FutureError):
            footwork.log_visit(session, row, VisitKind.FETCH, wang, now, at=at(23))
    assert counted(house, ticket).trips == 0


def test_what_was_taken_along_is_open_until_the_resident_says_so(house: ErrandHouse) -> None:
    ticket = house.asks()
    wang, now = house.people[WANG], house.clock.now()

    def still_open() -> list[tuple[str, bool]]:
        with house.db.reading() as session:
            things = footwork.carried_open(session, session.get_one(Ticket, ticket))
            return [(thing.what, thing.returned_at is not None) for thing in things]

    with house.writing() as session:
        row = session.get_one(Ticket, ticket)
        card = footwork.take_along(session, row, "医保卡", wang, now)
        footwork.take_along(session, row, " 钥匙 ", wang, now)
        with pytest.raises(IncompleteError):
            footwork.take_along(session, row, " ", wang, now)
        footwork.give_back(session, card, wang, now)
        footwork.give_back(session, card, house.people[CHEN], now)
    assert still_open() == [("医保卡", True), ("钥匙", False)]
    with house.writing() as session:
        row = session.get_one(Ticket, ticket)
        assert [
            thing.what for thing in footwork.confirm_back(session, row, ledger.CALLER, now)
        ] == ["医保卡"]
    assert still_open() == [("钥匙", False)], "the key is not said to be back"
    with house.db.reading() as session:
        assert session.scalars(select(Carried.returned_by)).first() == house.id_of(WANG)


def test_the_residents_own_count_stands_beside_ours(house: ErrandHouse) -> None:
    ticket = house.asks()
    goes(house, WANG, ticket, went=Went.RESIDENT)

    def says(own_count: int) -> bool:
        with house.writing() as session:
            row = session.get_one(Ticket, ticket)
            service.describe(
                session, house.settings, row, ledger.CALLER, house.clock.now(), resident_trips=own_count
            )  # fmt: skip
            return footwork.own_count_differs(session, row)

    assert [says(count) for count in (1, 2, 0)] == [False, True, True]


def test_what_is_missing_stands_on_the_list_too(house: ErrandHouse) -> None:
    ticket = house.asks()
    house.does(WANG, ticket, Act.ACCEPT)
    house.does(WANG, ticket, Act.ASK_MATERIALS, missing="户口本、照片")
    wang, now = house.people[WANG], house.clock.now()
    with house.writing() as session:
        row = session.get_one(Ticket, ticket)
        for what in ("照片", "老花镜"):
            checklist.tick(session, row, what, wang, now)
        with pytest.raises(IncompleteError):
            checklist.tick(session, row, "  ", wang, now)
        listed = checklist.items(session, row)
        assert [(item.what, item.by) for item in listed] == [
            ("户口本", None), ("照片", house.id_of(WANG)), ("老花镜", house.id_of(WANG)),
        ]  # fmt: skip
        assert not checklist.is_ready(listed)
        checklist.tick(session, row, "户口本", wang, now)
        checklist.untick(session, row, "老花镜", wang, now)
        checklist.untick(session, row, "老花镜", wang, now)
        assert checklist.is_ready(checklist.items(session, row))
        assert matters.named(session, None) is None
    assert house.acts(ticket).count("untick") == 1


def test_trips_of_every_short_story_equal_a_plain_recount() -> None:
    """All stories of up to three outings: who went, whether it settled it, and why not."""
    kinds = [Outing(went, settled, reason) for went, settled, reason in product(Went, (True, False), (None, Reason.CLOSED, Reason.OTHER))]  # fmt: skip
    for length in range(4):
        for story in product(kinds, repeat=length):
            count = trips.count(story)
            assert count.trips == length
            assert count.resident == len([o for o in story if o.went == "resident"])
            assert count.holds == (length in (0, 1))
            assert trips.stayed_home(count, None) == (count.resident == 0)
            assert not trips.stayed_home(count, 1)
            assert trips.differs(count, None) is False
            assert len(trips.reasons(story)) == max(0, length - 1)
            asks = trips.needs_reason(story, settled=True)
            assert asks == (length > 0 and story[-1].reason is None)
            assert trips.needs_reason(story, settled=False)
