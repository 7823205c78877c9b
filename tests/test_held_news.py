"""What may still be taken back is told to nobody; then it is, and once for all that was done meanwhile."""

from carriers.company import Company
from conftest import ON_BOTH, TestHouse
from telephone import LI, is_done
from test_ringing import lives, promise

from tickets import ahead, ledger, undo
from tickets.models import Promise, PromiseState, Ticket
from worker.sweep import sweep

MINUTE = 60


def pressed(house: TestHouse) -> int:
    """A request that was dealt with at the desk just now; returns the promise to tell."""
    news = is_done(house, LI)
    with house.runtime.db.writing() as session:
        undo.hold_news(session, house.runtime.settings, [news], house.clock.now())
    return news


def rings(house: TestHouse, line: Company, minutes: float) -> int:
    """How many telephones ring in so many minutes."""
    before = len(line.outgoing)
    for _ in range(int(minutes * 4)):
        house.clock.advance(MINUTE / 4)
        sweep(house.hands, None)
    return len(line.outgoing) - before


@ON_BOTH
def test_nobody_is_rung_for_what_can_be_taken_back(house: TestHouse, line: Company) -> None:
    lives(house, "李桂芳", LI)
    pressed(house)
    assert rings(house, line, 9.75) == 0
    assert rings(house, line, 0.25) == 1


@ON_BOTH
def test_what_was_taken_back_is_never_told(house: TestHouse, line: Company) -> None:
    lives(house, "李桂芳", LI)
    news = pressed(house)
    assert rings(house, line, 9) == 0
    with house.runtime.db.writing() as session:
        ticket = session.get_one(Ticket, session.get_one(Promise, news).ticket_id)
        by = ledger.volunteer(ticket.assignee_id or 0)
        undo.undo(session, house.runtime.settings, ticket, by, house.clock.now())
    assert rings(house, line, 30) == 0
    assert promise(house, news)[0] is PromiseState.DROPPED


@ON_BOTH
def test_one_call_waits_for_all_that_was_done_for_a_person(house: TestHouse, line: Company) -> None:
    lives(house, "李桂芳", LI)
    first = pressed(house)
    assert rings(house, line, 6) == 0
    second = pressed(house)
    assert rings(house, line, 9.5) == 0
    assert rings(house, line, 1) == 1
    line.outgoing[-1].answers().presses("1").hears()
    line.outgoing[-1].hangs_up()
    assert rings(house, line, 30) == 0
    assert {promise(house, news)[0] for news in (first, second)} == {PromiseState.KEPT}


@ON_BOTH
def test_whoever_is_sure_need_not_wait(house: TestHouse, line: Company) -> None:
    lives(house, "李桂芳", LI)
    pressed(house)
    news = pressed(house)
    with house.runtime.db.writing() as session:
        held = session.get_one(Promise, news)
        ahead.bring_forward(session, held, house.clock.now(), ledger.volunteer(1), "不等了")
    assert rings(house, line, 0.25) == 1
