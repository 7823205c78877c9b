"""What the pages ask of the tables: whose requests are shown to whom, and what one looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, selectinload

from hotline.clock import local
from hotline.config import Settings
from hotline.phone import mask
from hotline.web import words
from hotline.web.auth import Visitor
from hotline.web.guard import may
from hotline.web.words import BUTTONS, Button
from tickets import understanding
from tickets.lifecycle import OPEN, Act, State, possible
from tickets.models import (
    Duty,
    Kind,
    LedgerLine,
    Promise,
    PromiseState,
    Recording,
    Role,
    Ticket,
    Volunteer,
)
from tickets.real import is_real
from tickets.roster import on_duty

MOST_SHOWN = 200
MOST_FINISHED = 50  # nobody reads further back; the count says how many there are
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


@dataclass(frozen=True, slots=True)
class Card:
    """One request as a list shows it."""

    id: int
    number: str
    title: str
    hint: str
    about: str
    tags: tuple[str, ...]
    late: bool
    waited: str
    until: str
    assignee: str


def standing(session: Session, visitor: Visitor, now: datetime) -> Standing:
    shift = on_duty(session, now)
    people = (shift.volunteer_id, shift.substitute_id) if shift else ()
    return Standing(visitor, shift.volunteer.name if shift else "", visitor.id in people)


def to_do(session: Session, settings: Settings, me: Standing, now: datetime) -> list[Card]:
    """What is open for this person: the urgent and the overdue first, then the longest wait."""
    visit_owed = (
        select(Promise.ticket_id)
        .where(Promise.duty == Duty.RETURN_CALL, Promise.state == PromiseState.OWED)
        .scalar_subquery()
    )
    waits = Ticket.state.in_(OPEN) | ((Ticket.state == State.DONE) & Ticket.id.in_(visit_owed))
    tickets = session.scalars(
        _shown().where(waits, _theirs(me)).order_by(Ticket.opened_at).limit(MOST_SHOWN)
    ).all()
    called = understanding.names(session)
    cards = [(ticket, card(ticket, settings, now, called)) for ticket in tickets]
    cards.sort(key=lambda pair: (not pair[0].urgent, not pair[1].late, pair[0].opened_at))
    return [shown for _, shown in cards]


def newer(session: Session, me: Standing, ticket_id: int) -> int:
    """How many requests came to this person's list after the newest they have seen."""
    asked = select(func.count()).select_from(Ticket)
    return session.scalar(asked.where(Ticket.id > ticket_id, Ticket.state.in_(OPEN), _theirs(me))) or 0  # fmt: skip


def finished(session: Session, settings: Settings, me: Standing, now: datetime) -> list[Card]:
    """What was finished or ended within the last seven days, the newest first."""
    tickets = session.scalars(
        _shown()
        .where(Ticket.state.in_(ENDED), Ticket.opened_at > now - timedelta(days=7), _theirs(me))
        .order_by(Ticket.opened_at.desc())
        .limit(MOST_FINISHED)
    ).all()
    called = understanding.names(session)
    return [card(ticket, settings, now, called) for ticket in tickets]


def finished_count(session: Session, me: Standing, now: datetime) -> int:
    asked = select(func.count()).select_from(Ticket)
    since = now - timedelta(days=7)
    return session.scalar(
        asked.where(Ticket.state.in_(ENDED), Ticket.opened_at > since, _theirs(me))
    ) or 0  # fmt: skip


def finished_by(session: Session, label: str, now: datetime) -> int:
    """How many requests this person finished today, by the ledger."""
    morning = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return session.scalar(
        select(func.count(LedgerLine.object_id.distinct())).where(
            LedgerLine.at >= morning, LedgerLine.act == Act.FINISH, LedgerLine.person == label
        )
    ) or 0  # fmt: skip


def everything(
    session: Session, settings: Settings, now: datetime, *, tests: bool | None
) -> list[Card]:
    """The newest requests of all, for whoever audits; those of tests apart, or (None) with the others."""
    asked = _shown() if tests is None else _shown().where(is_real(Ticket, tests=tests))
    tickets = session.scalars(asked.order_by(Ticket.opened_at.desc()).limit(MOST_SHOWN)).all()
    called = understanding.names(session)
    return [card(ticket, settings, now, called) for ticket in tickets]


def card(ticket: Ticket, settings: Settings, now: datetime, called: Mapping[str, str]) -> Card:
    until = deadline(ticket, settings)
    late = until is not None and until < now
    tags = [words.STATES[ticket.state]]
    if ticket.kind is Kind.RING_BACK and ticket.state in OPEN:
        tags = ["没留话，请回电"]
    if ticket.state is State.DONE and owes_visit(ticket):
        tags = ["请上门告诉一声"]
    if ticket.urgent and ticket.state in OPEN:
        tags.insert(0, "急")
    if ticket.test and not settings.demo:  # there all are
        tags.insert(0, "试打")
    return Card(
        id=ticket.id,
        number=ticket.number,
        title=title(ticket),
        hint=hint(ticket),
        about=about(ticket, called),
        tags=tuple(tags),
        late=late,
        waited=words.waited(ticket.opened_at, now) if ticket.state in OPEN else "",
        until=_until(ticket, until, now),
        assignee=ticket.assignee.name if ticket.assignee else "",
    )


def deadline(ticket: Ticket, settings: Settings) -> datetime | None:
    """By when the next thing should have happened; None when nothing is due."""
    if ticket.state not in OPEN or ticket.state is State.WAITING:
        return None
    if ticket.contacted_at is None:
        first = ticket.accept_by if ticket.state in {State.NEW, State.ASSIGNED} else None
        return min(filter(None, (first, ticket.contact_by)))
    return ticket.done_by or ticket.opened_at + timedelta(hours=settings.done_within_hours)


def title(ticket: Ticket) -> str:
    """李桂芳，3幢2单元501; a number that may be anybody's only masked."""
    if ticket.resident:
        where = ticket.resident
        home = "".join(
            part + name
            for part, name in ((where.building, "幢"), (where.unit, "单元"), (where.room, ""))
            if part
        )
        return "，".join(filter(None, (where.name, home)))
    return f"来电 {mask(ticket.phone)}" if ticket.phone else "号码没显示的来电"


def hint(ticket: Ticket) -> str:
    """What it is about, as far as somebody or the machine could tell."""
    if ticket.kind is Kind.RING_BACK:
        return ""
    for recording in reversed(ticket.recordings):
        heard = recording.transcript
        if recording.superseded or heard is None:
            continue
        if heard.corrected_text:
            return heard.corrected_text
        if heard.trusted and heard.text:
            return words.clean(heard.text)
    return ticket.note or "请听原音"


def about(ticket: Ticket, called: Mapping[str, str]) -> str:
    """What a person said it is; else what the machine takes it to be, as the guess it is."""
    if ticket.matter:
        return called.get(ticket.matter, "")
    suggestion = understanding.of(ticket)
    return words.guess(suggestion.ranked[0]) if suggestion and suggestion.ranked else ""


def owes_visit(ticket: Ticket) -> bool:
    news = [p for p in ticket.promises if p.duty is Duty.RETURN_CALL]
    return bool(news) and news[-1].state is PromiseState.OWED


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


def _until(ticket: Ticket, until: datetime | None, now: datetime) -> str:
    if until is None:
        return ""
    do = "打电话" if ticket.contacted_at is None else "办好"
    when = words.moment(until, now)
    return f"{when}前就该{do}" if until < now else f"请在{when}前{do}"


def _shown() -> Select[Ticket]:
    return select(Ticket).options(
        selectinload(Ticket.resident),
        selectinload(Ticket.assignee),
        selectinload(Ticket.recordings).selectinload(Recording.transcript),
        selectinload(Ticket.recordings).selectinload(Recording.suggestion),
        selectinload(Ticket.promises),
    )


def _theirs(me: Standing) -> ColumnElement[bool]:
    if me.sees_all:
        return Ticket.id.is_not(None)
    mine = (Ticket.assignee_id == me.visitor.id) | (Ticket.holder_id == me.visitor.id)
    return or_(mine, Ticket.assignee_id.is_(None)) if me.is_on_duty else mine
