"""What to have ready, in the same call: in time or not at all, and never by the caller's loss."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from caller import Caller
from carriers.company import Company
from carriers.door import FlaskDoor
from conftest import ON_BOTH, TestHouse
from ledger_books import demonstration_ear
from lines import open_line
from samples import sample_of
from sqlalchemy import select

from hotline.app import create_app
from ivr.models import Turn
from tickets.models import Transcript
from worker.jobs import Hands

GRANDMA = "+8613812345678"
WORDS = "我想问一下，看病的钱怎么报销"


@pytest.fixture(params=["twilio", "somleng"])
def company(request: pytest.FixtureRequest) -> Iterator[Company]:
    with open_line(request.param) as company:
        yield company


@pytest.fixture
def line(house: TestHouse, company: Company) -> Company:
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    house.books.checks("医保报销")
    house.books.writes_down(ready=False)
    return company


def leaves_a_message(line: Company, words: str = WORDS) -> Caller:
    """And stays on the line, without a key, until the menu after it has passed."""
    grandma = line.caller(GRANDMA).dials()
    grandma.keeps_silent()
    grandma.says(words, file=sample_of(words))
    grandma.keeps_silent()
    return grandma


def test_nobody_waits_longer_than_the_setting_says(house: TestHouse, line: Company) -> None:
    grandma = leaves_a_message(line)
    grandma.keeps_silent()
    began = house.clock.now()
    goodbye = grandma.hears()
    waited = house.clock.now() - began
    said = goodbye.index("您稍等一下。")
    spoken = sum(len(words) for words in goodbye if "再见" in words) / 3
    assert goodbye[said + 1 : -1] == ["♪two_seconds"] * 3
    assert waited.total_seconds() - spoken <= house.runtime.settings.ready_wait_seconds


@ON_BOTH
def test_a_look_that_comes_late_or_twice_hears_the_same_and_counts_once(
    house: TestHouse, line: Company
) -> None:
    grandma = leaves_a_message(line)
    grandma.keeps_silent()
    house.books.writes_down(ready=True)
    grandma.hears()
    looks = [sent for sent in line.sent if "/ivr/turn?" in sent[1]]
    _, url, form = looks[-1]
    with house.runtime.db.reading() as session:
        before = len(session.scalars(select(Turn)).all())
    assert line.calls  # the call is over; its last look is sent once more
    signed = {"X-Twilio-Signature": line.signs(url, form)}
    again = FlaskDoor(house.app).send("POST", url, form, signed)
    assert "请准备好：医保卡、身份证" in again.body.decode()
    with house.runtime.db.reading() as session:
        assert len(session.scalars(select(Turn)).all()) == before


def test_the_bell_alone_brings_the_text_in_time(house: TestHouse, company: Company) -> None:
    """No sweep: fetching is rung for by the webhook, and writing down by the fetching."""

    class Door:
        """Rings at the hands themselves."""

        def ring(self, *promise_ids: int) -> None:
            for promise_id in promise_ids:
                hands.keep(promise_id)

        def close(self) -> None:
            pass

    runtime = replace(house.runtime, bell=Door())
    hands = Hands(runtime, demonstration_ear())
    company.connect(FlaskDoor(create_app(runtime)), house.public_url, house.clock)
    house.books.checks("医保报销")
    grandma = leaves_a_message(company)
    with runtime.db.reading() as session:
        heard = session.scalars(select(Transcript)).one()
        assert heard.text == "我想问一下看病的钱怎么报销"
        assert heard.trusted
    grandma.keeps_silent()
    assert "办这件事，请准备好：医保卡、身份证。" in grandma.hears()
    assert "您稍等一下。" not in grandma.hears()


def test_who_hung_up_is_rung_for_nothing_and_has_lost_nothing(
    house: TestHouse, line: Company
) -> None:
    grandma = leaves_a_message(line)
    grandma.keeps_silent()
    grandma.hangs_up(after_seconds=1)
    house.books.writes_down(ready=True)
    (errand,) = house.books.errands()
    assert errand.recordings == 1
    assert house.books.ring_backs_owed() == []
