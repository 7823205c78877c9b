"""Calls to volunteers as rows: whom to ring for what, in their duty hours, and what came of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import (
    dialling,
    footwork,
    handover,
    ledger,
    notices,
    promises,
    roster,
    service,
    summons,
)
from tickets.dialling import SHORTLY, Line
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import OPEN, Act, NotPossibleError, State, possible
from tickets.models import (
    Duty,
    Event,
    Promise,
    PromiseState,
    ReturnTry,
    Shift,
    Ticket,
    Volunteer,
)
from tickets.notices import Why
from tickets.outings import Reason, Went
from tickets.real import is_real, is_test
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
NOBODY = "打了一圈没人接，请组长安排"
LONGEST_NOTE = 100  # more is not taken in by ear
PLACE_UNSAID = "其他"  # by telephone nobody is asked where
WAITING = frozenset({State.NEW, State.ASSIGNED})  # for somebody to take it
STEPS_TO_DONE: dict[State, tuple[Act, ...]] = {
    State.ASSIGNED: (Act.ACCEPT, Act.FINISH),
    State.IN_HAND: (Act.FINISH,),
    State.WAITING: (Act.RESUME, Act.FINISH),
}


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
    if (done := _needless(session, promise, now)) is not None:
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
    if ask.at > now or dialling.is_busy(session, settings, {phone}, line, now, test=test):
        promises.put_off(promise, max(ask.at, now + SHORTLY))
        return None
    others = [
        other
        for other in _waiting(session, now)
        if other is not promise and is_test(settings, other) is test
        and dialling.unanswered(other) is None and _needless(session, other, now) is None
        and (theirs := _ask(_people(session, settings, other, now), other, now)) and theirs.who == ask.who
    ]  # fmt: skip
    return dialling.begin(session, [promise, *others], phone, now, volunteer_id=ask.who, test=test)


def to_hear(session: Session, attempt: ReturnTry, now: datetime) -> tuple[Sequence[Ticket], Shift | None]:  # fmt: skip
    """The requests that this call brings, the urgent first, and the shift that begins."""
    brought = dialling.brought(session, attempt)
    waiting = [p.ticket for p in brought if p.ticket and p.ticket.state in WAITING]
    shift = next((session.get(Shift, p.shift_id) for p in brought if p.shift_id), None)
    return sorted(waiting, key=_urgency), shift


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
        if promise.shift_id and outcome is Outcome.HEARD:
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


def listen(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> None:
    """Written before a volunteer hears a request."""
    by = ledger.volunteer(volunteer_id, "phone")
    for recording in ticket.recordings:
        if not recording.superseded:
            ledger.write(
                session, at=now, person=by, act="listen", object_kind="recording",
                object_id=recording.id,
            )  # fmt: skip


def see_number(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> None:
    """Written before the number is said to him that he is to ring."""
    ledger.write(
        session, at=now, person=ledger.volunteer(volunteer_id, "phone"), act="see_number",
        object_kind="ticket", object_id=ticket.id, why="电话里念给他听",
    )  # fmt: skip


def take(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> None:
    """He takes it, unless somebody else was quicker."""
    if ticket.state is State.NEW:
        person = session.get_one(Volunteer, volunteer_id)
        service.act(session, ticket, Act.ASSIGN, SYSTEM, now, to=person)
    if Act.ACCEPT in possible(ticket.state):
        service.act(session, ticket, Act.ACCEPT, ledger.volunteer(volunteer_id, "phone"), now)
        _settle(session, ticket, TAKEN, now)


def tell(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> list[int]:
    """He wants the line to tell the resident that he is coming."""
    if ticket.assignee_id != volunteer_id or ticket.state is not State.IN_HAND:
        return []
    by = ledger.volunteer(volunteer_id, "phone")
    return service.announce(session, ticket, Event.ACCEPTED, by, now)


def pass_on(
    session: Session, settings: Settings, ticket: Ticket, volunteer_id: int, now: datetime
) -> None:
    """Somebody else is to do it: the next on duty, the substitute, the lead; else the lead hears of it."""
    if ticket.state not in OPEN or ticket.assignee_id not in {volunteer_id, None}:
        return
    to = next_person(session, ticket, volunteer_id, now)
    if to is None or Act.PASS_ON not in possible(ticket.state):
        notices.owe(session, settings, Why.NOT_TAKEN, now, test=ticket.test)
        return
    by = ledger.volunteer(volunteer_id, "phone")
    service.act(session, ticket, Act.PASS_ON, by, now, to=to, why="电话里转给别人")


def next_person(
    session: Session, ticket: Ticket, volunteer_id: int, now: datetime
) -> Volunteer | None:
    """To whom it goes; whoever was rung for it already comes last."""
    rung = select(ReturnTry.volunteer_id).join(Promise).where(Promise.ticket_id == ticket.id)
    tried = set(session.scalars(rung))
    others = [p for p in roster.people_to_ring(session, now) if p.id != volunteer_id]
    return min(others, key=lambda person: person.id in tried, default=None)


def finish(
    session: Session, ticket: Ticket, volunteer_id: int, now: datetime, *, outings: int | None
) -> list[int]:
    """It is done, he says. Returns the promises to ring the bell for."""
    if ticket.assignee_id != volunteer_id:
        return []
    by, owed = ledger.volunteer(volunteer_id, "phone"), []
    why = "" if outings is None else f"出门{outings}趟"
    if outings and ticket.state in STEPS_TO_DONE:
        _log_outings(session, ticket, by, outings, now)
    try:
        for act in STEPS_TO_DONE.get(ticket.state, ()):
            owed += service.act(session, ticket, act, by, now, why=why if act is Act.FINISH else "")
    except NotPossibleError:  # the table has changed: nothing is done by halves
        return owed
    _settle(session, ticket, TAKEN, now)
    return owed


def _log_outings(session: Session, ticket: Ticket, by: Person, outings: int, now: datetime) -> None:
    """Those of all he names that nobody has written down yet; the last settled it."""
    for number in range(footwork.count(session, ticket).volunteer + 1, outings + 1):
        footwork.log_outing(
            session, [ticket], by, now, went=Went.VOLUNTEER, place=PLACE_UNSAID,
            settled=number == outings, reason=Reason.OTHER if outings > 1 else None,
        )  # fmt: skip


def _needless(session: Session, promise: Promise, now: datetime) -> str | None:
    """Why nobody need be rung any more."""
    if promise.ticket is not None:
        return None if promise.ticket.state in WAITING else TAKEN
    shift = session.get(Shift, promise.shift_id) if promise.shift_id else None
    return None if shift and shift.starts_at <= now < shift.ends_at else SHIFT_OVER


def _people(
    session: Session, settings: Settings, promise: Promise, now: datetime
) -> list[Volunteer]:
    """Whom to ring, in order: whose it is, on duty, substitute, lead; nobody if the first has said
    that the page is enough."""
    first = promise.ticket.assignee if promise.ticket else None
    asked = [p for p in (first, *roster.people_to_ring(session, now)) if p and p.active and p.phone]
    people = list({person.id: person for person in asked}.values())
    if not people or not _wants_rings(people[0], settings):
        return []
    return [person for person in people if _wants_rings(person, settings)]


def _wants_rings(person: Volunteer, settings: Settings) -> bool:
    return settings.ring_volunteers if person.ring_me is None else person.ring_me


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
    promises.settle(promise, PromiseState.OWED, NOBODY, now)
    notices.owe(session, settings, Why.NOT_TAKEN, now, test=is_test(settings, promise))


def _settle(session: Session, ticket: Ticket, result: str, now: datetime) -> None:
    for promise in ticket.promises:
        if promise.duty is Duty.TELL_VOLUNTEER and promise.state is PromiseState.OPEN:
            promises.settle(promise, PromiseState.KEPT, result, now)


def _urgency(ticket: Ticket) -> tuple[bool, datetime]:
    return not ticket.urgent, ticket.opened_at
