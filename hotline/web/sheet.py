"""One request on its page, and why what was asked of it is not done: shared by all rooms that work on requests."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import abort, render_template, request
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.phone import mask
from hotline.runtime import Runtime
from hotline.web import board, cards, words
from hotline.web.board import Standing
from tickets import bridges, checklist, footwork, ledger, matters, merging, understanding, undo
from tickets.lifecycle import OPEN, Act, possible
from tickets.models import LedgerLine, Promise, Role, Ticket

ONE_LOOK = timedelta(minutes=10)  # one access, however many pieces or times the browser asks


class Refused(Exception):  # noqa: N818  # no mistake of ours: a sentence to the person
    """What was asked for is not done; the name of the sentence, and what it speaks of."""

    def __init__(self, sentence: str, facts: Mapping[str, object] | None = None) -> None:
        super().__init__(sentence)
        self.sentence, self.facts = sentence, facts or {}


def asked_tests(settings: Settings) -> bool | None:
    """Whether a list shows tests (True), real life (False) or, in a demonstration, both (None)."""
    return True if request.args.get("kind") == "test" else None if settings.demo else False


def me(session: Session, now: datetime) -> Standing:
    return board.standing(session, current_user, now)


def show(
    runtime: Runtime, ticket_id: int, refused: Refused | None = None, status: int = 200
) -> tuple[str, int]:
    """The page of a request; after a refusal with its sentence and all that was typed."""
    now = runtime.clock()
    with runtime.db.reading() as session:
        ticket = session.get(Ticket, ticket_id) or abort(404)
        who = me(session, now)
        names, called = board.names(session), understanding.names(session)
        pressed = undo.undoable(session, runtime.settings, ticket, current_user.person, now)
        bridge = bridges.newest(session, ticket_id)
        journeys, listed = footwork.outings(session, ticket), checklist.items(session, ticket)
        page = render_template(
            "request.html", ticket=ticket, card=cards.of(session, runtime.settings, [ticket_id], now)[0], me=who,
            called=called, choices=matters.active(session), guess=understanding.of(ticket), mask=mask,
            buttons=board.buttons(ticket, who), people=board.others(session, who, ticket),
            life=board.life(session, ticket, names), told=board.return_calls(ticket), names=names,
            recordings=merging.recordings(session, ticket), talked=words.TALKED, bridge=bridge,
            heard=_heard(session, bridge) if bridge else None,
            masked=mask(ticket.phone) if ticket.phone else "", now=now, refused=refused,
            typed=request.form, is_open=ticket.state in OPEN, pressed=pressed,
            news=undo.held(session, runtime.settings, ticket, now),
            matter=matters.named(session, ticket.matter), listed=listed,
            ready=checklist.is_ready(listed), journeys=journeys, carried=footwork.carried_open(session, ticket),
            fresh={
                journey.id for journey in journeys
                if journey.written_by == current_user.person.label and now < undo.until(runtime.settings, journey.written_at)
            },
            may_take=not who.may_work(ticket) and who.visitor.role is Role.VOLUNTEER and Act.ACCEPT in possible(ticket.state),
        )  # fmt: skip
    return page, status


def _heard(session: Session, bridge: Promise) -> str | None:
    """The answer that the line knows to 「电话打得怎么样？」, until a person has given one."""
    last = (
        select(LedgerLine.act)
        .where(
            LedgerLine.object_kind == "ticket", LedgerLine.object_id == bridge.ticket_id,
            LedgerLine.act.in_(("bridged", "called")),
        )
        .order_by(LedgerLine.sequence.desc())
    )  # fmt: skip
    known = words.PREFILLED.get(bridges.reached(bridge))
    return known if known and session.scalar(last.limit(1)) == "bridged" else None


def locked(session: Session, ticket_id: int) -> Ticket:
    return session.get(Ticket, ticket_id, with_for_update=True) or abort(404)


def must_be_theirs(who: Standing, ticket: Ticket) -> None:
    """Raises Refused for whoever may only read."""
    if not who.may_work(ticket):
        raise Refused("not_yours", {"who": ticket.assignee.name if ticket.assignee else ""})


def note_look(
    session: Session, act: str, kind: str, object_id: int | None, now: datetime, **facts: Any
) -> None:
    """Write down an access before it is given, once in a while."""
    person = current_user.person
    looked = select(LedgerLine.sequence).where(
        LedgerLine.object_kind == kind, LedgerLine.object_id == object_id, LedgerLine.act == act,
        LedgerLine.person == person.label, LedgerLine.at > now - ONE_LOOK,
    )  # fmt: skip
    if session.scalar(looked.limit(1)) is None:
        ledger.write(
            session, at=now, person=person, act=act, object_kind=kind, object_id=object_id, **facts
        )
