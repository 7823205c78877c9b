"""Calls to volunteers as rows: whom to ring for what, in their duty hours, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import dialling, handover, ledger, limits, notices, promises, roster, summons
from tickets.dialling import SHORTLY, Line
from tickets.ledger import SYSTEM
from tickets.lifecycle import OPEN, State
from tickets.models import Duty, Promise, PromiseState, ReturnTry, Shift, Ticket, Volunteer
from tickets.notices import Why, wants_rings
from tickets.real import is_real, is_test
from tickets.reminders import Reminder, Step
from tickets.returns import Outcome
from tickets.summons import TAKES, Ask, Asked

RESULTS = {
    Outcome.HEARD: "接了，听了",
    Outcome.NOT_CONFIRMED: "接了，没按键",
    Outcome.MACHINE: "是留言机",
    Outcome.NO_ANSWER: "未接",
    Outcome.BUSY: "占线",
    Outcome.FAULT: "线路故障，没打出去",
}
TAKEN, ON_PAGE, SHIFT_OVER = "有人接了", "本人在页面上看，不打电话", "班次已经过了"
SEEN, IN_TIME = "本人知道了", "不用再催了"
NOBODY = "打了一圈没人接，请组长安排"
NOT_REMINDED = "催了几次没人接电话，照次序催下一个人"
LONGEST_NOTE = 100  # more is not taken in by ear
WAITING = frozenset({State.NEW, State.ASSIGNED})  # for somebody to take it


def owes_start_of_duty(session: Session, now: datetime) -> Shift | None:
    """The shift whose volunteer has not been owed a ring yet; also after a restart in its midst."""
    shift = roster.on_duty(session, now)
    told = select(Promise.id).where(Promise.duty == Duty.TELL_VOLUNTEER)
    if shift is None or session.scalar(told.where(Promise.shift_id == shift.id)) is not None:
        return None
    return shift


def owe_start_of_duty(session: Session, now: datetime) -> None:
    """Whoever is on duty is rung once a shift."""
    if (shift := owes_start_of_duty(session, now)) is not None:
        promises.make(session, Duty.TELL_VOLUNTEER, now, shift_id=shift.id)


def begin(
    session: Session, settings: Settings, promise: Promise, line: Line, now: datetime
) -> ReturnTry | None:
    """A try for this and all else that the same volunteer is to hear, if they may be rung now."""
    if (done := _needless(session, settings, promise, now)) is not None:
        promises.settle(promise, PromiseState.KEPT, done, now)
        return None
    if roster.on_duty(session, now) is None:
        following = roster.next_shift(session, now)
        promises.put_off(promise, following.starts_at if following else now + timedelta(days=1))
        return None
    people = _people(session, settings, promise, now)
    if not people:
        promises.settle(promise, PromiseState.KEPT, ON_PAGE, now)
        return None
    ask = _ask(people, promise, now)
    if ask is None:
        _give_up(session, settings, promise, now)
        return None
    phone = next(person.phone for person in people if person.id == ask.who) or ""
    test = is_test(settings, promise)
    urgent = bool(promise.ticket and promise.ticket.urgent)
    if ask.at > now or dialling.is_busy(
        session, settings, {phone}, line, now, urgent=urgent, test=test
    ):
        promises.put_off(promise, max(ask.at, now + SHORTLY))
        return None
    others = [
        other
        for other in _waiting(session, now)
        if other is not promise and is_test(settings, other) is test
        and dialling.unanswered(other) is None and _needless(session, settings, other, now) is None
        and (theirs := _ask(_people(session, settings, other, now), other, now)) and theirs.who == ask.who
    ]  # fmt: skip
    return dialling.begin(session, [promise, *others], phone, now, volunteer_id=ask.who, test=test)


@dataclass(frozen=True, slots=True)
class ToHear:
    """What a call brings, each list with the urgent first, and the shift that begins."""

    waiting: Sequence[Ticket]  # for him to take
    in_hand: Sequence[Ticket]  # his, and late
    untold: Sequence[Ticket]  # done, and the resident does not know
    late: Sequence[int]  # which of all these are past a limit
    shift: Shift | None


def to_hear(session: Session, attempt: ReturnTry) -> ToHear:
    """All that this call brings, each request once."""
    brought = dialling.brought(session, attempt)
    tickets = {p.ticket.id: p.ticket for p in brought if p.ticket}
    late = [p.ticket_id for p in brought if p.reminder_id and p.ticket_id]
    mine = {t.id for t in tickets.values() if t.assignee_id == attempt.volunteer_id and t.state not in WAITING}  # fmt: skip
    new = [t for t in tickets.values() if t.state in WAITING or (t.id in late and t.state in OPEN)]
    return ToHear(
        waiting=sorted((ticket for ticket in new if ticket.id not in mine), key=_urgency),
        in_hand=sorted((ticket for ticket in new if ticket.id in mine), key=_urgency),
        untold=sorted((t for t in tickets.values() if t.state is State.DONE), key=_urgency),
        late=late,
        shift=next((session.get(Shift, p.shift_id) for p in brought if p.shift_id), None),
    )


def notes_left(session: Session, attempt: ReturnTry) -> list[str]:
    """What those who had duty before want this volunteer to know, and he has not heard yet."""
    left = handover.unheard(session, attempt.volunteer_id or 0)
    return [row.note[:LONGEST_NOTE].rstrip("。") for row in left if row.note]


def requests_of(session: Session, volunteer_id: int, *, test: bool) -> Sequence[Ticket]:
    """All that a volunteer has in his hands, the urgent first; tests apart from real ones."""
    mine = session.scalars(
        select(Ticket).where(
            Ticket.assignee_id == volunteer_id,
            Ticket.state.in_(OPEN),
            is_real(Ticket, tests=test),
        )
    )
    return sorted(mine, key=_urgency)


def finish_try(
    session: Session, settings: Settings, attempt: ReturnTry, outcome: Outcome, now: datetime
) -> None:
    """A try ended so, or somebody has begun to listen: then they have a while to decide."""
    if not dialling.close(session, attempt):
        return
    attempt.outcome, attempt.ended_at = outcome, now
    for promise in dialling.brought(session, attempt, lock=True):
        ledger.write(
            session, at=now, person=SYSTEM, act="rang_volunteer",
            object_kind="ticket" if promise.ticket_id else "shift",
            object_id=promise.ticket_id or promise.shift_id, outcome=outcome, to=attempt.volunteer_id,
        )  # fmt: skip
        if promise.state is not PromiseState.OPEN:
            continue
        if promise.reminder_id and outcome is Outcome.HEARD:
            promises.settle(promise, PromiseState.KEPT, RESULTS[outcome], now)
        elif promise.shift_id and outcome is Outcome.HEARD:
            promises.settle(promise, PromiseState.KEPT, RESULTS[outcome], now)
            by = ledger.volunteer(attempt.volunteer_id or 0, "phone")
            for row in handover.unheard(session, attempt.volunteer_id or 0):
                handover.hear(session, row, by, now)
        else:
            wait = TAKES if outcome is Outcome.HEARD else timedelta()
            promises.put_off(promise, now + wait, RESULTS[outcome])


def hang_up(session: Session, attempt: ReturnTry, now: datetime) -> list[int]:
    """The volunteer has put the telephone down: what he did not take, the next one hears.

    Returns the promises to ring the bell for.
    """
    left = [
        promise
        for promise in dialling.brought(session, attempt, lock=True)
        if promise.state is PromiseState.OPEN and promise.tries[-1] is attempt
    ]
    for promise in left:
        promises.put_off(promise, min(promise.due_at, now))
    return [promise.id for promise in left]


def settle(session: Session, ticket: Ticket, result: str, now: datetime) -> None:
    """Nobody need be rung about this request any more."""
    for promise in ticket.promises:
        if promise.duty is Duty.TELL_VOLUNTEER and promise.state is PromiseState.OPEN:
            promises.settle(promise, PromiseState.KEPT, result, now)


def _needless(session: Session, settings: Settings, promise: Promise, now: datetime) -> str | None:
    """Why nobody need be rung any more."""
    if promise.reminder_id is not None:
        reminder = session.get_one(Reminder, promise.reminder_id)
        if reminder.seen_at is not None:
            return SEEN
        return None if limits.stands(session, settings, reminder, now) else IN_TIME
    if promise.ticket is not None:
        return None if promise.ticket.state in WAITING else TAKEN
    shift = session.get(Shift, promise.shift_id) if promise.shift_id else None
    return None if shift and shift.starts_at <= now < shift.ends_at else SHIFT_OVER


def _people(
    session: Session, settings: Settings, promise: Promise, now: datetime
) -> list[Volunteer]:
    """Whom to ring, in order: whose it is, on duty, substitute, lead; nobody if the first has said
    that the page is enough. A reminder is for one person: the next gets their own."""
    if promise.reminder_id is not None:
        reminder = session.get_one(Reminder, promise.reminder_id)
        reminded = session.get_one(Volunteer, reminder.volunteer_id)
        return [reminded] if reminded.active and wants_rings(reminded, settings) else []
    first = promise.ticket.assignee if promise.ticket else None
    asked = [p for p in (first, *roster.people_to_ring(session, now)) if p and p.active and p.phone]
    people = list({person.id: person for person in asked}.values())
    if not people or not wants_rings(people[0], settings):
        return []
    return [person for person in people if wants_rings(person, settings)]


def _ask(people: Sequence[Volunteer], promise: Promise, now: datetime) -> Ask | None:
    tries = [
        Asked(attempt.volunteer_id, attempt.ended_at or attempt.placed_at, Outcome(attempt.outcome))
        for attempt in promise.tries
        if attempt.volunteer_id and attempt.outcome
    ]
    return summons.next_to_ask([person.id for person in people], tries, now)


def _waiting(session: Session, now: datetime) -> Sequence[Promise]:
    """All that volunteers are to hear now, locked."""
    return session.scalars(
        select(Promise)
        .where(
            Promise.duty == Duty.TELL_VOLUNTEER, Promise.state == PromiseState.OPEN,
            Promise.due_at <= now, or_(Promise.ticket_id.is_not(None), Promise.shift_id.is_not(None)),
        )
        .order_by(Promise.id)
        .with_for_update(of=Promise)
    ).all()  # fmt: skip


def _give_up(session: Session, settings: Settings, promise: Promise, now: datetime) -> None:
    if promise.reminder_id is None:
        promises.settle(promise, PromiseState.OWED, NOBODY, now)
        notices.owe(session, settings, Why.NOT_TAKEN, now, test=is_test(settings, promise))
        return
    promises.settle(promise, PromiseState.OWED, NOT_REMINDED, now)
    if session.get_one(Reminder, promise.reminder_id).step is Step.LEAD:
        notices.owe(session, settings, Why.LATE, now)


def _urgency(ticket: Ticket) -> tuple[bool, datetime]:
    return not ticket.urgent, ticket.opened_at
