"""Whatever somebody does on the phone, the line understands it and nobody is stranded.

People who press anything, say anything or nothing, and hang up anywhere; a seed is a person.
"""

import random
from collections.abc import Iterator

import pytest
from books import House
from caller import OnThePhone
from carriers.company import WITHHELD, Company
from carriers.document import Dial, Gather, Record
from carriers.door import FlaskDoor
from grammar import PHONES, instant
from lines import open_line
from transcript import SETTLING_SECONDS

MAX_ACTS = 30  # then even the most stubborn puts the phone down
SHORT_CALL_SECONDS = 3
PERSONS = range(24)
OUTCOMES = {"欠着", "已听到", "已留言", "欠上门", "告诉居委会", "作废"}


@pytest.fixture(params=["twilio-twice", "somleng-shuffled"])
def company(request: pytest.FixtureRequest) -> Iterator[Company]:
    with open_line(request.param) as company:
        yield company


@pytest.fixture
def line(house: House, company: Company) -> House:
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    house.clock.set(instant("11月23日 09:10"))
    house.books.knows(PHONES["认得"])
    return house


@pytest.mark.parametrize("seed", PERSONS)
def test_a_caller_is_never_stranded(line: House, company: Company, seed: int) -> None:
    chance = random.Random(seed)
    phone = chance.choice([PHONES["认得"], PHONES["陌生"], WITHHELD])
    caller = company.caller(phone).dials()
    talked = wanders(caller, chance)
    closes_its_books(line, company)
    said = [recording for recording in company.recordings.values() if recording.words]
    kept = sum(errand.recordings for errand in line.books.errands())
    owed = [back.phone for back in line.books.ring_backs_owed()]
    if said:
        assert 1 <= kept <= len(said)
        assert len(line.books.errands()) == 1
        assert owed == []
    elif talked or phone == WITHHELD or round(caller.call.seconds) < SHORT_CALL_SECONDS:
        assert owed == []
    else:
        assert owed == [phone]
    if not talked:  # whether a talk alone is written down is left to the house
        assert bool(said) == bool(line.books.errands())


@pytest.mark.parametrize("seed", PERSONS)
def test_a_caller_with_an_open_request_is_never_stranded(
    line: House, company: Company, seed: int
) -> None:
    chance = random.Random(1000 + seed)
    for matter in ("交水费", "修水管")[: chance.randint(1, 2)]:
        line.books.has_open(PHONES["认得"], matter)
    before = sum(errand.recordings for errand in line.books.errands())
    wanders(company.caller(PHONES["认得"]).dials(), chance)
    closes_its_books(line, company)
    said = [recording for recording in company.recordings.values() if recording.words]
    more = sum(errand.recordings for errand in line.books.errands()) - before
    assert (1 <= more <= len(said)) if said else more == 0


@pytest.mark.parametrize("seed", PERSONS)
def test_a_resident_who_is_rung_may_do_anything(line: House, company: Company, seed: int) -> None:
    chance = random.Random(2000 + seed)
    line.books.has_open(PHONES["认得"], "交水费")
    line.books.act(chance.choice(["受理", "上门", "办好了"]))
    for _ in range(8):
        due = line.books.return_calls()[-1].due
        if due is not None:
            line.clock.set(max(due, line.clock.now()))
        line.books.works()
        ringing = [resident for resident in company.outgoing if resident.rings]
        assert len(ringing) <= 1, "one telephone rings twice"
        if not ringing:
            break
        match chance.randrange(6):
            case 0:
                ringing[0].busy()
            case 1:
                ringing[0].no_answer()
            case 2:
                ringing[0].fails()
            case _:
                wanders(ringing[0].answers(), chance)
    last = line.books.return_calls()[-1]
    assert last.outcome in OUTCOMES
    assert (last.due is not None) == (last.outcome == "欠着")


def closes_its_books(house: House, company: Company) -> None:
    company.delivers()
    house.clock.advance(SETTLING_SECONDS)
    house.books.works()


def wanders(person: OnThePhone, chance: random.Random) -> bool:
    """Does one thing after another until the call is over; was a volunteer reached?"""
    talked = False
    if chance.random() < 0.1:
        person.hangs_up(after_seconds=chance.uniform(0, 9))
    for _ in range(MAX_ACTS):
        if person.hung_up:
            break
        match person.call.waiting:
            case Gather():
                _at_a_question(person, chance)
            case Record():
                _after_the_beep(person, chance)
            case Dial():
                talked = _while_it_rings(person, chance) or talked
    if not person.hung_up:
        person.hangs_up()
    return talked


def _at_a_question(person: OnThePhone, chance: random.Random) -> None:
    what = chance.random()
    if what < 0.6:
        person.presses(chance.choice("0123456789#*"), at_once=chance.random() < 0.3)
    elif what < 0.9:
        person.keeps_silent()
    else:
        person.hangs_up()


def _after_the_beep(person: OnThePhone, chance: random.Random) -> None:
    if chance.random() < 0.4:
        person.says("要交水费", seconds=chance.choice([1, 5, 60, 400]))
        if person.recorded is None:
            return  # spoken until the longest time
    match chance.randrange(3):
        case 0:
            person.presses(chance.choice("0123456789#*"))
        case 1:
            person.keeps_silent()
        case _:
            person.hangs_up()


def _while_it_rings(person: OnThePhone, chance: random.Random) -> bool:
    """True if a volunteer talked with the caller."""
    match chance.randrange(5):
        case 0 | 1:
            person.nobody_picks_up()
        case 2:
            person.volunteer_is_busy()
        case 3:
            person.hangs_up()
        case _:
            person.volunteer_picks_up(press=chance.choice(["1", None, "5"]))
            if person.call.bridged:
                if chance.random() < 0.5:
                    person.hangs_up()
                else:
                    person.volunteer_hangs_up()
                return True
    return False
