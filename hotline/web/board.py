"""What the pages ask of the tables: whose requests are shown to whom, and what one looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings
from hotline.web import cards, words
from hotline.web.auth import Visitor
from hotline.web.cards import Card
from hotline.web.guard import may
from hotline.web.words import BUTTONS, Button
from tickets.lifecycle import OPEN, Act, State, possible
from tickets.models import (
    Duty,
    LedgerLine,
    Promise,
    PromiseState,
    Role,
    Ticket,
    Volunteer,
)
from tickets.real import is_real
from tickets.roster import on_duty

A_PAGE = 30  # more is asked for with a button
MOST_SHOWN = 150  # nobody reads further; the count says how many there are
WEEK = timedelta(days=7)
ENDED = tuple(state for state in State if state not in OPEN)


@dataclass(frozen=True, slots=True)
class Standing:
    """Who looks, and what their part is at this instant."""

    visitor: Visitor
    duty: str  # the name of whoever is on duty, or ""
    is_on_duty: bool

    @property
    def sees_all(self) -> bool:
        return may(self.visitor.role, Role.LEAD)

    def may_work(self, ticket: Ticket) -> bool:
        """Whether the buttons are theirs: it is their own, they are on duty, or they lead the duty.

        A committee member reads; on duty they work like anybody else.
        """
        mine = self.visitor.id in (ticket.assignee_id, ticket.holder_id)
        return mine or self.is_on_duty or self.visitor.role is Role.LEAD


def standing(session: Session, visitor: Visitor, now: datetime) -> Standing:
    shift = on_duty(session, now)
    people = (shift.volunteer_id, shift.substitute_id) if shift else ()
    return Standing(visitor, shift.volunteer.name if shift else "", visitor.id in people)


def to_do(
    session: Session, settings: Settings, me: Standing, now: datetime, shown: int = A_PAGE
) -> tuple[list[Card], int]:
    """What is open for this person: the urgent and the overdue first, then the longest wait; and
    how many there are in all."""
    waits = _waits(), _theirs(me)
    ids = session.scalars(
        select(Ticket.id)
        .where(*waits)
        .order_by(Ticket.urgent.desc(), cards.is_late(settings, now).desc(), Ticket.opened_at)
        .limit(min(shown, MOST_SHOWN))
    ).all()
    count = len(ids)
    if count >= shown:
        count = session.scalar(select(func.count()).select_from(Ticket).where(*waits)) or 0
    return cards.of(session, settings, ids, now), count


def newest(session: Session, me: Standing) -> int:
    """The newest request that is open for this person."""
    return session.scalar(select(func.max(Ticket.id)).where(Ticket.state.in_(OPEN), _theirs(me))) or 0  # fmt: skip


def newer(session: Session, me: Standing, ticket_id: int) -> int:
    """How many requests came to this person's list after the newest they have seen."""
    asked = select(func.count()).select_from(Ticket)
    return session.scalar(asked.where(Ticket.id > ticket_id, Ticket.state.in_(OPEN), _theirs(me))) or 0  # fmt: skip


def finished(
    session: Session, settings: Settings, me: Standing, now: datetime, shown: int = A_PAGE
) -> list[Card]:
    """What was finished or ended within the last seven days, the newest first."""
    ids = session.scalars(
        select(Ticket.id)
        .where(Ticket.state.in_(ENDED), Ticket.opened_at > now - WEEK, _theirs(me))
        .order_by(Ticket.opened_at.desc())
        .limit(min(shown, MOST_SHOWN))
    ).all()
    return cards.of(session, settings, ids, now)


def finished_count(session: Session, me: Standing, now: datetime) -> int:
    asked = select(func.count()).select_from(Ticket)
    ended = Ticket.state.in_(ENDED), Ticket.opened_at > now - WEEK
    return session.scalar(asked.where(*ended, _theirs(me))) or 0


def finished_by(session: Session, label: str, now: datetime) -> int:
    """How many requests this person finished today, by the ledger."""
    morning = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return session.scalar(
        select(func.count(LedgerLine.object_id.distinct())).where(
            LedgerLine.at >= morning, LedgerLine.act == Act.FINISH, LedgerLine.person == label
        )
    ) or 0  # fmt: skip


def everything(
    session: Session,
    settings: Settings,
    now: datetime,
    shown: int = A_PAGE,
    *,
    tests: bool | None = None,
) -> list[Card]:
    """The newest requests of all, for whoever audits; those of tests apart, or (None) with the others."""
    asked = (
        select(Ticket.id)
        if tests is None
        else select(Ticket.id).where(is_real(Ticket, tests=tests))
    )
    ids = session.scalars(
        asked.order_by(Ticket.opened_at.desc()).limit(min(shown, MOST_SHOWN))
    ).all()
    return cards.of(session, settings, ids, now)


def buttons(ticket: Ticket, me: Standing) -> list[tuple[Act, Button]]:
    """The acts that this person may do now; they come from the table of transitions."""
    if not me.may_work(ticket):
        return []
    return [(act, BUTTONS[act]) for act in possible(ticket.state)]


def life(session: Session, ticket: Ticket, names: Mapping[int, str]) -> list[tuple[datetime, str]]:
    """What has happened to a request, in plain words, the oldest first."""
    lines = session.scalars(
        select(LedgerLine)
        .where(LedgerLine.object_kind == "ticket", LedgerLine.object_id == ticket.id)
        .order_by(LedgerLine.sequence)
    )
    return [(entry.at, said) for entry in lines if (said := words.line(entry, names))]


def names(session: Session) -> dict[int, str]:
    """The names of all people who ever signed in, by id."""
    return {row.id: row.name for row in session.execute(select(Volunteer.id, Volunteer.name))}


def others(session: Session, me: Standing, ticket: Ticket) -> Sequence[Volunteer]:
    """To whom a request can be given: active people, without whoever has it."""
    return session.scalars(
        select(Volunteer)
        .where(Volunteer.active, Volunteer.id != (ticket.assignee_id or 0))
        .order_by((Volunteer.id == me.visitor.id).desc(), Volunteer.name)
    ).all()


def return_calls(ticket: Ticket) -> list[tuple[str, str]]:
    """News and its tries: 「告诉他办好了」, 「上午10:02 未接；下午2:35 已听完并按1」"""
    told = []
    for promise in ticket.promises:
        if promise.duty is not Duty.RETURN_CALL or promise.event is None:
            continue
        tries = [f"{words.hour(t.placed_at)} {words.outcome(t.outcome)}" for t in promise.tries]
        last = promise.result if promise.state is not PromiseState.KEPT else ""
        if promise.state is PromiseState.OPEN and not tries:
            last = "等着打"
        if promise.state is PromiseState.OPEN and tries and promise.tries[-1].outcome:
            last = f"下次{local(promise.due_at):%m月%d日}{words.hour(promise.due_at)}再打"
        told.append((words.EVENTS[promise.event], "；".join(filter(None, (*tries, last)))))
    return told


def _waits() -> ColumnElement[bool]:
    """Open, or done and to be told at the door, because the telephone could not."""
    owed = select(Promise.ticket_id).where(
        Promise.duty == Duty.RETURN_CALL, Promise.state == PromiseState.OWED
    )
    return and_(
        Ticket.state.in_((*OPEN, State.DONE)), or_(Ticket.state != State.DONE, Ticket.id.in_(owed))
    )


def _theirs(me: Standing) -> ColumnElement[bool]:
    if me.sees_all:
        return Ticket.id.is_not(None)
    mine = (Ticket.assignee_id == me.visitor.id) | (Ticket.holder_id == me.visitor.id)
    return or_(mine, Ticket.assignee_id.is_(None)) if me.is_on_duty else mine
