"""A company whose post is lost and whose interface stumbles: nobody is forgotten, nobody rung twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from books import House
from carriers.company import ApiFault, Company
from carriers.door import FlaskDoor
from carriers.somleng import Somleng
from carriers.twilio import Twilio
from conftest import HandClock, open_house, settings_for
from grammar import PHONES, instant

PHONE = PHONES["认得"]
A_LOOK_SECONDS = 60  # how often the sweep comes by in these tests
ASKED_BY_THEN_MINUTES = 60  # until the house has asked the company how a call ended


def on_a_line(**options: object) -> pytest.MarkDecorator:
    """Both companies, with these faults."""
    lines = [(Twilio, options), (Somleng, options)]
    return pytest.mark.parametrize("company", lines, ids=["twilio", "somleng"], indirect=True)


@pytest.fixture
def company(request: pytest.FixtureRequest) -> Iterator[Company]:
    kind, options = request.param
    with kind(**options) as company:
        yield company


@pytest.fixture
def line(house: House, company: Company) -> House:
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    house.clock.set(instant("11月23日 09:10"))
    house.books.knows(PHONE)
    return house


def minutes_pass(house: House, minutes: int) -> None:
    """The sweep comes by every minute."""
    for _ in range(minutes * 60 // A_LOOK_SECONDS):
        house.clock.advance(A_LOOK_SECONDS)
        house.books.works()


def owes_news(house: House) -> None:
    house.books.has_open(PHONE, "交水费")
    house.books.act("受理")
    house.books.works()


# Somebody rings and the company's reports are lost


@on_a_line(loses={"status"})
def test_somebody_who_left_no_words_is_rung_back_although_the_end_was_never_reported(
    line: House, company: Company
) -> None:
    company.caller(PHONE).dials().hangs_up(after_seconds=6)
    minutes_pass(line, ASKED_BY_THEN_MINUTES)
    assert [back.phone for back in line.books.ring_backs_owed()] == [PHONE]


@on_a_line(loses={"status", "recording"})
def test_a_message_is_kept_although_only_its_action_came(line: House, company: Company) -> None:
    company.caller(PHONE).dials().keeps_silent().says("要交水费").hangs_up()
    minutes_pass(line, ASKED_BY_THEN_MINUTES)
    assert [errand.recordings for errand in line.books.errands()] == [1]
    assert line.books.ring_backs_owed() == []


@on_a_line(loses={"status", "hangup action", "recording"})
def test_a_message_of_which_nothing_was_reported_is_at_least_a_ring_back(
    line: House, company: Company
) -> None:
    company.caller(PHONE).dials().keeps_silent().says("要交水费").hangs_up()
    minutes_pass(line, ASKED_BY_THEN_MINUTES)
    assert line.books.errands() or line.books.ring_backs_owed()


@on_a_line(holds={"recording"})
def test_a_recording_reported_an_hour_late_is_still_the_message(
    line: House, company: Company
) -> None:
    company.loses = {"hangup action"}
    company.caller(PHONE).dials().keeps_silent().says("要交水费").hangs_up()
    minutes_pass(line, ASKED_BY_THEN_MINUTES)
    company.delivers_held()
    minutes_pass(line, 5)
    assert [errand.recordings for errand in line.books.errands()] == [1]
    assert line.books.ring_backs_owed() == []


# A return call and the company's reports are lost


@on_a_line(loses={"status"})
@pytest.mark.parametrize("does", ["busy", "no_answer", "fails"])
def test_a_try_whose_end_was_never_reported_is_asked_about_and_tried_again(
    line: House, company: Company, does: str
) -> None:
    owes_news(line)
    getattr(company.outgoing[-1], does)()
    due = None
    for _ in range(ASKED_BY_THEN_MINUTES):
        minutes_pass(line, 1)
        due = line.books.return_calls()[-1].due
        if len(company.outgoing) > 1 or (due and due > instant("11月23日 11:30")):
            break
    assert len(company.outgoing) == 2 if does == "busy" else due is not None
    assert line.books.return_calls()[-1].outcome == "欠着"


@on_a_line(loses={"status"})
def test_key_one_settles_a_return_call_although_its_end_was_never_reported(
    line: House, company: Company
) -> None:
    owes_news(line)
    company.outgoing[-1].answers().presses("1").hears()
    minutes_pass(line, ASKED_BY_THEN_MINUTES)
    assert line.books.return_calls()[-1].outcome == "已听到"
    assert len(company.outgoing) == 1


@on_a_line()
def test_a_call_that_never_ends_does_not_ring_a_second_time_meanwhile(
    line: House, company: Company
) -> None:
    owes_news(line)
    company.outgoing[-1].answers().hears()
    minutes_pass(line, 20)  # still on the line
    assert len(company.outgoing) == 1


@on_a_line()
def test_one_telephone_does_not_ring_for_two_requests_at_once(
    company: Company, clock: HandClock, tmp_path: Path
) -> None:
    """However many channels the trunk has: the second call would only find it busy."""
    house = open_house(
        settings_for(
            tmp_path,
            carrier=company.kind,
            carrier_api_url=company.api_url,
            carrier_account=company.account,
            carrier_token=company.token,
            signing_secrets=(company.secret,),
            trunk_channels=8,
        ),
        clock,
    )
    try:
        company.connect(FlaskDoor(house.app), house.public_url, clock)
        for matter in ("交水费", "修水管"):
            house.books.has_open(PHONE, matter)
            house.books.act("受理")
        house.books.works()
        assert [resident.phone for resident in company.outgoing if resident.rings] == [PHONE]
    finally:
        house.runtime.close()


# The company's interface stumbles


@on_a_line()
@pytest.mark.parametrize(
    "fault", [ApiFault(429), ApiFault(500), ApiFault(503), ApiFault(lost=True)]
)
def test_one_stumble_rings_the_resident_exactly_once(
    line: House, company: Company, fault: ApiFault
) -> None:
    company.api_faults.append(fault)
    owes_news(line)
    for _ in range(ASKED_BY_THEN_MINUTES):
        if not company.outgoing:
            minutes_pass(line, 1)
    company.outgoing[0].answers().presses("1").hears()
    minutes_pass(line, ASKED_BY_THEN_MINUTES)
    assert line.books.return_calls()[-1].outcome == "已听到"
    assert len(company.outgoing) == 1


@on_a_line()
def test_a_lost_answer_and_a_quick_end_ring_nobody_twice(line: House, company: Company) -> None:
    company.api_faults.append(ApiFault(lost=True))
    owes_news(line)
    company.outgoing[0].answers().presses("1").hears()
    minutes_pass(line, ASKED_BY_THEN_MINUTES)
    assert len(company.outgoing) == 1
    assert line.books.return_calls()[-1].outcome == "已听到"


@on_a_line()
def test_an_interface_that_is_down_for_long_is_told_to_the_committee(
    line: House, company: Company
) -> None:
    company.api_faults.extend(ApiFault(429) for _ in range(3))
    owes_news(line)
    minutes_pass(line, 2 * ASKED_BY_THEN_MINUTES)
    assert line.books.return_calls()[-1].outcome == "告诉居委会"
    assert company.outgoing == []


# Recordings that are hard to get


@on_a_line(missing_fetches=4)
def test_a_recording_that_is_late_is_fetched_and_then_forgotten_by_the_company(
    line: House, company: Company
) -> None:
    company.caller(PHONE).dials().keeps_silent().says("要交水费").hangs_up()
    minutes_pass(line, 10)
    assert company.deleted_recordings == company.recordings.keys()


@on_a_line(redirects_recordings=True)
def test_a_recording_in_another_house_is_fetched_without_showing_the_password(
    line: House, company: Company
) -> None:
    company.caller(PHONE).dials().keeps_silent().says("要交水费").hangs_up()
    minutes_pass(line, 10)
    assert company.deleted_recordings == company.recordings.keys()
    assert company.complaints == []


@on_a_line()
def test_a_stumble_while_deleting_is_made_good(line: House, company: Company) -> None:
    company.caller(PHONE).dials().keeps_silent().says("要交水费").hangs_up()
    company.api_faults.extend([ApiFault(503), ApiFault(503), ApiFault(429)])
    minutes_pass(line, 2 * ASKED_BY_THEN_MINUTES)
    assert company.deleted_recordings == company.recordings.keys()
