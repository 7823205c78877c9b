"""What a list shows first, and that it shows a page of it."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path
from random import Random

import pytest
from conftest import HandClock
from desk_house import LI, DeskHouse, open_desk
from sqlalchemy import select

from hotline.web import board, cards
from hotline.web.auth import Visitor
from tickets import ledger, service
from tickets.lifecycle import State
from tickets.models import Kind, Role, Source, Ticket

LEAD = Visitor(3, "吴队长", Role.LEAD, "")
STATES = (State.ASSIGNED, State.IN_HAND, State.WAITING)


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    """Requests in every mixture of state, urgency and deadline, in the order of a shuffled pack."""
    house, chance, now = open_desk(tmp_path, clock), Random(1124), clock.now()
    mixtures = list(product(STATES, (True, False), (True, False), range(4)))
    chance.shuffle(mixtures)
    with house.runtime.db.writing() as session:
        for state, urgent, contacted, hours in mixtures:
            ticket = service.open_ticket(
                session, house.runtime.settings, now, kind=Kind.ERRAND, source=Source.MESSAGE, phone=LI, by=ledger.CALLER
            )  # fmt: skip
            ticket.state, ticket.urgent = state, urgent
            ticket.opened_at = now - timedelta(minutes=chance.randrange(6000))
            ticket.contacted_at = now if contacted else None
            ticket.accept_by = now + timedelta(hours=hours - 2)
            ticket.contact_by = now + timedelta(hours=hours - 1.5)
            ticket.done_by = now + timedelta(hours=hours - 1.5) if hours else None
    yield house
    house.runtime.close()


def test_the_urgent_and_the_overdue_come_first(desk: DeskHouse) -> None:
    """What the table sorts by is what each card says."""
    now = desk.clock.now()
    with desk.runtime.db.reading() as session:
        me = board.standing(session, LEAD, now)
        shown, count = board.to_do(session, desk.runtime.settings, me, now, board.MOST_SHOWN)
        opened = dict(session.execute(select(Ticket.id, Ticket.opened_at)).all())  # type: ignore[arg-type]
        late = set(session.scalars(select(Ticket.id).where(cards.is_late(desk.runtime.settings, now))))  # fmt: skip
    assert late == {card.id for card in shown if card.late}
    assert 0 < len(late) < len(shown) == count == 48
    assert shown == sorted(
        shown, key=lambda card: ("急" not in card.tags, not card.late, opened[card.id])
    )


def test_a_page_shows_thirty_and_a_button_the_rest(desk: DeskHouse) -> None:
    wu = desk.visit("吴队长").opens("/")
    assert "还有 48 件事要办" in wu.text
    assert wu.text.count("办这件事") == 30
    assert "再看18件" in wu.text
    assert wu.opens("/?shown=60").text.count("办这件事") == 48
    assert "再看" not in wu.text
    assert wu.opens("/?shown=999999999").status == 200
    assert wu.opens("/?shown=x").text.count("办这件事") == 30
