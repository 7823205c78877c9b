"""The life of a request: who holds it, round after round; two at once; slips taken back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from conftest import ON_BOTH, HandClock
from errand_house import CHEN, WANG, WU, ZHANG, ErrandHouse, at, open_errands
from sqlalchemy import select

from hotline.clock import local
from tickets import deeds, ledger, merging, numbers, service, undo
from tickets.lifecycle import (
    TRANSITIONS,
    Act,
    ChangedError,
    IncompleteError,
    NotPossibleError,
    State,
    TooLateError,
    TooLateReason,
)
from tickets.merging import Hindrance, NotMergedError
from tickets.models import Complexity, Elsewhere, Kind, Mode, Recording, Source, Ticket
from tickets.rounds import Deed, TicketRound


@pytest.fixture
def house(tmp_path: Path, clock: HandClock, database_url: str) -> Iterator[ErrandHouse]:
    opened = open_errands(tmp_path, clock, database_url)
    yield opened
    opened.db.close()


def rounds(house: ErrandHouse, ticket_id: int) -> list[TicketRound]:
    with house.db.reading() as session:
        asked = select(TicketRound).where(TicketRound.ticket_id == ticket_id)
        return list(session.scalars(asked.order_by(TicketRound.number)))


def test_opened_again_it_has_a_second_round_and_keeps_the_first(house: ErrandHouse) -> None:
    ticket = house.asks()
    house.does(WANG, ticket, Act.ACCEPT, Act.FINISH, Act.CONFIRM)
    house.clock.advance(3600)
    house.does(CHEN, ticket, Act.REOPEN, why="他说没办好")
    house.does(WANG, ticket, Act.FINISH)

    first, second = rounds(house, ticket)
    assert first.began_at == at(9, 10)
    assert (first.accepted_at, first.accepted_by) == (at(9, 11), house.id_of(WANG))
    assert (first.done_at, first.closed_at) == (at(9, 12), at(9, 13))
    assert first.done_by == at(9, 10) + timedelta(hours=48)
    assert (second.began_at, second.why) == (at(10, 14), "他说没办好")
    assert (second.done_at, second.closed_at) == (at(10, 15), None)
    assert second.done_by == at(10, 14) + timedelta(hours=48), "as much time as the first had"
    now = house.ticket(ticket)
    assert (now.round, now.done_at, now.closed_at) == (2, at(10, 15), None)


def test_whoever_accepted_holds_it_until_another_accepts(house: ErrandHouse) -> None:
    ticket = house.asks()
    house.does(WANG, ticket, Act.ACCEPT)
    house.does(WANG, ticket, Act.PASS_ON, to=CHEN)
    passed_on = house.ticket(ticket)
    assert (passed_on.assignee_id, passed_on.holder_id) == (house.id_of(CHEN), house.id_of(WANG))
    house.does(CHEN, ticket, Act.ACCEPT)
    taken = house.ticket(ticket)
    assert (taken.holder_id, taken.first_taker_id) == (house.id_of(CHEN), house.id_of(WANG))
    assert taken.accepted_at == at(9, 11), "the round was accepted when the first accepted it"


LACKING = {
    Act.PASS_ON: ({}, "to"),
    Act.MERGE: ({}, "into"),
    Act.REFER: ({"why": "别处管"}, "elsewhere"),
    Act.VOID: ({"why": "  "}, "why"),
}


@pytest.mark.parametrize("what", LACKING)
def test_what_has_to_be_said_is_asked_for(house: ErrandHouse, what: Act) -> None:
    ticket = house.asks()
    lines, version = house.ledger_lines(), house.ticket(ticket).version
    said, lacks = LACKING[what]
    with pytest.raises(IncompleteError) as refused:
        house.does(WANG, ticket, what, **said)
    assert refused.value.lacks == lacks
    assert (house.ledger_lines(), house.ticket(ticket).version) == (lines, version)


def test_an_act_that_is_not_open_changes_nothing(house: ErrandHouse) -> None:
    ticket = house.asks()
    lines = house.ledger_lines()
    with pytest.raises(NotPossibleError):
        house.does(WANG, ticket, Act.FINISH)
    assert house.ledger_lines() == lines
    assert house.ticket(ticket).state is State.ASSIGNED


def test_where_it_went_and_why_it_was_none_is_kept(house: ErrandHouse) -> None:
    referred, void = house.asks(), house.asks()
    house.does(WANG, referred, Act.REFER, elsewhere=Elsewhere.CITY_LINE, why="路灯归市里")
    house.does(WANG, void, Act.VOID, why="没有声音")
    assert house.ticket(referred).referred_to is Elsewhere.CITY_LINE
    assert house.ticket(void).void_reason == "没有声音"


def test_what_becomes_known_is_written_down_once(house: ErrandHouse) -> None:
    ticket = house.asks(in_person=True, source=Source.DESK)
    for _ in range(2):
        with house.writing() as session:
            service.describe(
                session, house.settings, session.get_one(Ticket, ticket), house.people[WANG], house.clock.now(),
                mode=Mode.FOR_THEM, complexity=Complexity.COMPLEX, matter="medical_claim",
            )  # fmt: skip
    told = house.ticket(ticket)
    assert (told.mode, told.matter, told.in_person) == (Mode.FOR_THEM, "medical_claim", True)
    assert told.done_by == at(9, 10) + timedelta(days=7)
    assert rounds(house, ticket)[0].done_by == told.done_by
    assert house.acts(ticket).count("describe") == 1


def test_the_second_of_two_is_told_who_did_what_and_when(house: ErrandHouse) -> None:
    ticket = house.asks()
    seen = house.ticket(ticket).version
    house.does(WANG, ticket, Act.PASS_ON, to=CHEN)
    lines = house.ledger_lines()
    with pytest.raises(ChangedError) as told:
        house.does(WU, ticket, Act.PASS_ON, to=WU, seen=seen)
    assert (told.value.did, told.value.person) == (Act.PASS_ON, house.people[WANG].label)
    assert (told.value.at, told.value.state) == (at(9, 11), State.ASSIGNED)
    assert house.ledger_lines() == lines
    assert house.ticket(ticket).assignee_id == house.id_of(CHEN)

    house.takes_back(WANG, ticket, seen=seen + 1)
    with pytest.raises(ChangedError) as told:
        house.does(CHEN, ticket, Act.ACCEPT, seen=seen + 1)
    assert told.value.undone


@ON_BOTH
def test_of_two_at_the_same_instant_one_acts_and_the_other_is_told(house: ErrandHouse) -> None:
    ticket = house.asks()
    seen, start, now = house.ticket(ticket).version, Barrier(2), house.clock.now()

    def press(who: str) -> ChangedError | None:
        start.wait()
        try:
            with house.writing() as session:
                row = session.get_one(Ticket, ticket)
                service.act(session, row, Act.ACCEPT, house.people[who], now, seen=seen)
        except ChangedError as told:
            return told
        return None

    with ThreadPoolExecutor(2) as crowd:
        wang, chen = crowd.map(press, (WANG, CHEN))
    (told,) = filter(None, (wang, chen))
    winner = WANG if wang is None else CHEN
    assert (told.did, told.person) == (Act.ACCEPT, house.people[winner].label)
    assert house.ticket(ticket).holder_id == house.id_of(winner)
    assert house.acts(ticket).count("accept") == 1


@ON_BOTH
def test_numbers_are_never_given_twice(house: ErrandHouse) -> None:
    crowd, each = 8, 5
    start = Barrier(crowd)

    def ring(line: int) -> list[int]:
        start.wait()
        return [house.asks(f"+86138000{line:02d}{n:03d}") for n in range(each)]

    with ThreadPoolExecutor(crowd) as callers:
        opened = [ticket for tickets in callers.map(ring, range(crowd)) for ticket in tickets]
    given = sorted(house.ticket(ticket).number for ticket in opened)
    assert given == [f"1123-{n:02d}" for n in range(1, crowd * each + 1)]


def test_a_number_is_found_as_it_is_said(house: ErrandHouse) -> None:
    old = house.asks()
    house.clock.set(at(9).replace(year=2027))
    new = house.asks()
    with house.db.reading() as session:
        for said in ("1123-01", " 1123－01 ", "112301", "1123 01"):
            found = numbers.find(session, said)
            assert found
            assert found.id == new, "of two years the newer is meant"
        for said in ("", "1123", "1123-02", "水管", "9999-99", "1123-01; DROP TABLE tickets"):
            assert numbers.find(session, said) is None
    assert old != new


class TestMerging:
    def suggested(self, house: ErrandHouse, ticket: int) -> list[int]:
        with house.db.reading() as session:
            within = timedelta(days=house.settings.same_request_days)
            row = session.get_one(Ticket, ticket)
            return [same.id for same in merging.likely_same(session, row, within=within)]

    def test_a_repeated_request_is_suggested_and_nothing_more(self, house: ErrandHouse) -> None:
        first, neighbours, own_other = house.asks(), house.asks(ZHANG), house.asks()
        with house.writing() as session:
            session.get_one(Ticket, own_other).matter = "parcel"
        house.clock.advance(2 * 86400)
        again = house.asks()
        assert self.suggested(house, again) == [own_other, first]
        with house.writing() as session:
            session.get_one(Ticket, again).matter = "medicine"
        assert self.suggested(house, again) == [first], "a parcel is no medicine"
        assert self.suggested(house, first) == []
        assert self.suggested(house, house.asks(None)) == []
        house.does(WANG, first, Act.WITHDRAW)
        assert self.suggested(house, again) == []
        house.clock.advance(8 * 86400)
        assert own_other not in self.suggested(house, house.asks())
        assert house.ticket(again).state is State.ASSIGNED
        assert neighbours not in self.suggested(house, again)

    def test_merged_its_words_are_heard_with_the_other(self, house: ErrandHouse) -> None:
        first, second, third = house.asks(), house.asks(), house.asks()
        with house.writing() as session:
            for ticket in (first, second, third):
                session.add(
                    Recording(carrier_id=f"RE{ticket}", url="", made_at=house.clock.now(), ticket_id=ticket)
                )  # fmt: skip
        house.does(WANG, second, Act.MERGE, into=first)
        house.does(WANG, first, Act.MERGE, into=third)
        assert self.heard(house, third) == [first, second, third]
        assert self.heard(house, second) == [second]
        late = house.asks()
        house.does(WANG, late, Act.MERGE, into=second)
        assert house.ticket(late).merged_into_id == third, "it goes where the other lives on"
        house.takes_back(WANG, late)
        house.takes_back(WANG, first)
        assert self.heard(house, first) == [first, second]

    def heard(self, house: ErrandHouse, ticket: int) -> list[int | None]:
        with house.db.reading() as session:
            row = session.get_one(Ticket, ticket)
            return sorted(said.ticket_id or 0 for said in merging.recordings(session, row))

    def test_what_was_to_be_told_of_the_merged_is_not_told(self, house: ErrandHouse) -> None:
        first, second = house.asks(), house.asks()
        house.does(WANG, second, Act.ACCEPT)
        house.does(WANG, second, Act.ASK_MATERIALS, missing="医保卡")
        house.does(WANG, second, Act.RESUME)
        house.does(WANG, second, Act.PASS_ON, to=CHEN)
        with house.writing() as session:
            row = session.get_one(Ticket, second)
            service.announce(session, row, service.Event.ACCEPTED, ledger.SYSTEM, house.clock.now())
        house.does(WANG, second, Act.MERGE, into=first)
        assert house.promises(second) == [("materials", "dropped"), ("accepted", "dropped")]
        house.takes_back(WANG, second)
        assert house.promises(second) == [("materials", "dropped"), ("accepted", "open")]

    def test_nothing_is_merged_into_itself_or_into_what_has_ended(self, house: ErrandHouse) -> None:
        first, second, third = house.asks(), house.asks(), house.asks()
        house.does(WANG, second, Act.MERGE, into=first)
        house.does(WANG, third, Act.WITHDRAW)
        for into, why in ((first, Hindrance.SAME), (second, Hindrance.SAME), (third, Hindrance.ENDED)):  # fmt: skip
            with pytest.raises(NotMergedError) as told:
                house.does(WANG, first, Act.MERGE, into=into)
            assert told.value.why is why
        assert house.ticket(first).state is State.ASSIGNED


def bring_to(house: ErrandHouse, state: State) -> int:
    """A request in this state, by acts of 陈国强 alone."""
    ticket = house.asks()
    steps: dict[State, list[Act]] = {
        State.ASSIGNED: [], State.IN_HAND: [Act.ACCEPT], State.WAITING: [Act.ACCEPT, Act.ASK_MATERIALS],
        State.DONE: [Act.ACCEPT, Act.FINISH], State.CLOSED: [Act.ACCEPT, Act.FINISH, Act.CONFIRM],
    }  # fmt: skip
    if state is State.NEW:
        with house.writing() as session:
            row = session.get_one(Ticket, ticket)
            row.state, row.assignee_id = State.NEW, None
    for step in steps.get(state, []):
        house.does(CHEN, ticket, step, **({"missing": "照片"} if step is Act.ASK_MATERIALS else {}))
    return ticket


SAID: dict[Act, dict[str, Any]] = {
    Act.ASSIGN: {"to": WU}, Act.PASS_ON: {"to": WU}, Act.ASK_MATERIALS: {"missing": "户口本"},
    Act.REFER: {"elsewhere": Elsewhere.POLICE}, Act.VOID: {"why": "打错了"}, Act.REOPEN: {"why": "没好"},
}  # fmt: skip


class TestUndoing:
    @pytest.mark.parametrize(("state", "what"), list(TRANSITIONS))
    def test_every_act_is_put_back(self, house: ErrandHouse, state: State, what: Act) -> None:
        other = house.asks(ZHANG)
        ticket = bring_to(house, state)
        before, rows = self.everything(house, ticket), house.promises(ticket)
        lines, round_rows = house.acts(ticket), len(rounds(house, ticket))
        house.clock.advance(3600)
        said = {"into": other} if what is Act.MERGE else dict(SAID.get(what, {}))
        house.does(WANG, ticket, what, **said)
        assert self.everything(house, ticket) != before

        assert house.takes_back(WANG, ticket) == [what]

        assert self.everything(house, ticket) == before
        made = house.promises(ticket)[len(rows) :]
        assert house.promises(ticket)[: len(rows)] == rows
        assert all(state == "dropped" for _, state in made)
        assert len(rounds(house, ticket)) == round_rows
        new = [act for act in house.acts(ticket)[len(lines) :] if act != "owe_return_call"]
        assert new == [what, "undo"], "both lines stay"

    def everything(self, house: ErrandHouse, ticket: int) -> dict[str, Any]:
        return {
            name: local(value) if hasattr(value, "tzinfo") else value
            for name in deeds.COLUMNS
            for value in [getattr(house.ticket(ticket), name)]
        }

    def test_ten_minutes_and_no_longer(self, house: ErrandHouse) -> None:
        ticket = house.asks()
        house.does(WANG, ticket, Act.ACCEPT)
        house.clock.advance(600)
        self.stays(house, WANG, ticket, TooLateReason.LATE)
        house.clock.advance(-1)
        assert house.takes_back(WANG, ticket) == [Act.ACCEPT]
        self.stays(house, WANG, ticket, TooLateReason.NOTHING)

    def stays(self, house: ErrandHouse, who: str, ticket: int, why: TooLateReason) -> None:
        lines = house.ledger_lines()
        with pytest.raises(TooLateError) as told:
            house.takes_back(who, ticket)
        assert told.value.why is why
        assert house.ledger_lines() == lines
        with house.db.reading() as session:
            row = session.get_one(Ticket, ticket)
            assert not undo.undoable(
                session, house.settings, row, house.people[who], house.clock.now()
            )

    def test_only_ones_own_and_only_the_last(self, house: ErrandHouse) -> None:
        ticket = house.asks()
        self.stays(house, WANG, ticket, TooLateReason.NOTHING)  # the machine assigned it
        house.does(WANG, ticket, Act.ACCEPT)
        self.stays(house, CHEN, ticket, TooLateReason.NOTHING)
        house.does(CHEN, ticket, Act.PASS_ON, to=WU)
        self.stays(house, WANG, ticket, TooLateReason.BUILT_ON)
        house.takes_back(CHEN, ticket)
        assert house.takes_back(WANG, ticket) == [Act.ACCEPT]

    def test_what_was_rung_about_stays(self, house: ErrandHouse) -> None:
        ticket = house.asks()
        house.does(WANG, ticket, Act.ACCEPT, Act.FINISH)
        house.rings(ticket)
        self.stays(house, WANG, ticket, TooLateReason.TOLD)

    def test_one_press_is_one(self, house: ErrandHouse) -> None:
        """A ring-back is finished and confirmed by the same button."""
        ticket = house.asks(kind=Kind.RING_BACK, source=Source.SHORT_CALL)
        house.does(WANG, ticket, Act.ACCEPT)
        house.clock.advance(60)
        with house.writing() as session:
            for what in (Act.FINISH, Act.CONFIRM):
                service.act(
                    session, session.get_one(Ticket, ticket), what, house.people[WANG], house.clock.now()
                )  # fmt: skip
        assert house.takes_back(WANG, ticket) == [Act.CONFIRM, Act.FINISH]
        assert house.ticket(ticket).state is State.IN_HAND
        assert house.takes_back(WANG, ticket) == [Act.ACCEPT]
        with house.db.reading() as session:
            kept = session.scalars(select(Deed).where(Deed.ticket_id == ticket)).all()
            assert sum(deed.undone_at is not None for deed in kept) == 3
