"""Return calls as rows: who may be rung now, what one call brings, and what came of it."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.config import Settings, read_hours
from tickets import dialling, footwork, ledger, notices, promises, returns, roster, service, undo
from tickets.dialling import SHORTLY, Line
from tickets.ledger import CALLER, SYSTEM
from tickets.lifecycle import Act, State
from tickets.matters import Matter
from tickets.models import (
    Duty,
    Event,
    Promise,
    PromiseState,
    ResidentPhone,
    ReturnTry,
    Ticket,
)
from tickets.notices import Why
from tickets.real import is_real, is_test
from tickets.returns import PROVEN, Outcome, Rules, Verdict

RESULTS = {
    Outcome.HEARD: "已听完并按1",
    Outcome.RECORDED: "说了话，已录下",
    Outcome.TALKED: "跟志愿者说上话了",
    Outcome.NOT_CONFIRMED: "放完了，没按键",
    Outcome.MACHINE: "是留言机，没说内容",
    Outcome.NO_ANSWER: "未接",
    Outcome.BUSY: "占线",
    Outcome.FAULT: "线路故障，没打出去",
}
VISIT_OWED = "打了几次都没说上话，请上门告诉一声"
LINE_AT_FAULT = "线路一直打不出去，请居委会查一查电话"
NO_NUMBER = "没有号码，请上门告诉一声"


def rules(session: Session, settings: Settings) -> Rules:
    """The hours and bounds that the settings and the house's own calendar give."""
    return Rules(
        working=[read_hours(hours) for hours in settings.return_hours],
        rest=[read_hours(hours) for hours in settings.return_hours_rest],
        calls_a_day=settings.return_calls_a_day,
        tries=settings.return_tries,
        calendar=roster.calendar(session),
    )


def begin(
    session: Session, settings: Settings, promise: Promise, line: Line, now: datetime
) -> ReturnTry | None:
    """A try for this promise and all other news of the same person, if they may be rung now.

    Else the promise is put off, also where other news can still be taken back, or owed to a person.
    The caller has taken the dial.
    """
    if promise.ticket is None or promise.ticket.phone is None:
        promises.settle(promise, PromiseState.OWED, NO_NUMBER, now)
        return None
    phone = promise.ticket.phone
    others = [
        other
        for other in news_of_person(session, promise.ticket, lock=True)
        if other is not promise
    ]
    earliest = max(
        not_before(session, settings, promise.ticket, line, now),
        *(other.due_at for other in others if undo.is_held(settings, other, now)),
        now,
    )
    if earliest > now:
        promises.put_off(promise, earliest)
        return None
    return dialling.begin(session, [promise, *others], phone, now, test=is_test(settings, promise))


def not_before(
    session: Session, settings: Settings, ticket: Ticket, line: Line, now: datetime
) -> datetime:
    """`now` if this resident may be rung now, else from when: hours, calls a day, then the line.

    A test disturbs nobody: it waits for nothing but its own telephone.
    """
    numbers = _numbers_of_person(session, ticket)
    if not ticket.test:
        rung = _rung_today(session, numbers, now)
        earliest = returns.may_ring(now, rung, rules(session, settings))
        if earliest > now:
            return earliest
    test = settings.demo or ticket.test
    busy = dialling.is_busy(session, settings, numbers, line, now, urgent=ticket.urgent, test=test)
    return now + SHORTLY if busy else now


def to_tell(session: Session, attempt: ReturnTry) -> Sequence[Promise]:
    """What this call has to say when it is answered: all news of the person, the oldest request first.

    News that came while the telephone rang is told too, in the place of what it overtook. What a
    person owes by now, because the call was already given up, is told after all.
    """
    ticket = attempt.promise.ticket
    given_up = [p for p in dialling.brought(session, attempt) if p.state is PromiseState.OWED]
    news = [*given_up, *news_of_person(session, ticket)] if ticket else []
    return sorted(
        news, key=lambda promise: promise.ticket.opened_at if promise.ticket else promise.made_at
    )


def finish_try(
    session: Session, settings: Settings, attempt: ReturnTry, outcome: Outcome, now: datetime
) -> None:
    """A try ended so. The first word counts, but proof that comes late still proves.

    Each promise it brought is settled, or gets its next due time.
    """
    untold = dialling.close(session, attempt)
    if not untold and (outcome not in PROVEN or attempt.outcome in PROVEN):
        return
    attempt.outcome, attempt.ended_at = outcome, now
    for promise in dialling.brought(session, attempt, lock=True):
        if (ticket := promise.ticket) is None or promise.state is PromiseState.DROPPED:
            continue
        ledger.write(
            session, at=now, person=CALLER if outcome in PROVEN else SYSTEM, act="return_call",
            object_kind="ticket", object_id=ticket.id, outcome=outcome, event=promise.event,
        )  # fmt: skip
        if outcome in PROVEN:
            _heard(session, ticket, promise, outcome, now)
            promises.settle(promise, PromiseState.KEPT, RESULTS[outcome], now)
        elif promise.state is PromiseState.OPEN:
            _go_on(session, settings, promise, outcome, now)


def rate(session: Session, attempt: ReturnTry, satisfaction: int, now: datetime) -> None:
    """What the resident says of what was done: 1 good, 2 so-so, 3 not good.

    Not good opens it again; where one call told of several, all of them: which one it is, is in
    their own words.
    """
    attempt.satisfaction = satisfaction
    for ticket in done_in(session, attempt):
        ticket.satisfaction = satisfaction
        ledger.write(
            session, at=now, person=CALLER, act="rate", object_kind="ticket", object_id=ticket.id,
            satisfaction=satisfaction,
        )  # fmt: skip
        if satisfaction == 3 and ticket.state in {State.CLOSED, State.DONE}:
            service.act(session, ticket, Act.REOPEN, CALLER, now, why="回电时说没办好")


def asks_things(session: Session, done: Sequence[Promise]) -> bool:
    """Whether to ask if what was taken along has come back: the volunteers say so, they do not yet."""
    return any(
        thing.returned_at
        for promise in done
        if promise.ticket
        for thing in footwork.carried_open(session, promise.ticket)
    )


def check_things(
    session: Session, settings: Settings, attempt: ReturnTry, back: bool, now: datetime
) -> None:
    """Whether the resident has everything back; if not, it is taken up again, and the lead hears."""
    for ticket in done_in(session, attempt):
        things = [t for t in footwork.carried_open(session, ticket) if t.returned_at]
        if things and back:
            footwork.confirm_back(session, ticket, CALLER, now)
        elif things and ticket.state in {State.CLOSED, State.DONE}:
            service.act(session, ticket, Act.REOPEN, CALLER, now, why="回电时说东西还没还")
            notices.owe(session, settings, Why.NOT_BACK, now, test=ticket.test)


def asks_trips(session: Session, done: Sequence[Promise]) -> bool:
    """Whether the resident's own count is of use: of one matter that needs papers, or outings."""
    if len(done) != 1 or (ticket := done[0].ticket) is None or ticket.resident_trips is not None:
        return False
    matter = session.scalar(select(Matter).where(Matter.code == ticket.matter))
    return bool(matter and matter.materials) or bool(footwork.outings(session, ticket))


def count_trips(
    session: Session, settings: Settings, attempt: ReturnTry, trips: int, now: datetime
) -> None:
    """How often the resident went out for it themselves, by their own count."""
    for ticket in done_in(session, attempt):
        service.describe(session, settings, ticket, CALLER, now, resident_trips=trips)


def done_in(session: Session, attempt: ReturnTry) -> Sequence[Ticket]:
    """The requests that this call said are done."""
    told = dialling.brought(session, attempt, lock=True)
    return [p.ticket for p in told if p.ticket and p.event is Event.DONE and p.state is not PromiseState.DROPPED]  # fmt: skip


def explain(promise: Promise) -> str:
    """Each attempt in plain words, for the auditor: 「10:02 未接；14:35 已听完并按1」.

    The day is said where it is another than that of the attempt before, or of the promise.
    """
    said, day = [], local(promise.made_at).date()
    for attempt in promise.tries:
        at = local(attempt.placed_at)
        when = f"{at:%H:%M}" if at.date() == day else f"{at.month}月{at.day}日{at:%H:%M}"
        day = at.date()
        said.append(f"{when} {RESULTS[Outcome(attempt.outcome)] if attempt.outcome else '正在打'}")
    if promise.state in {PromiseState.OWED, PromiseState.DROPPED}:
        said.append(promise.result)
    return "；".join(said)


def _go_on(
    session: Session, settings: Settings, promise: Promise, outcome: Outcome, now: datetime
) -> None:
    next_ = returns.after(_outcomes(session, promise), now, rules(session, settings))
    match next_.verdict:
        case Verdict.VISIT:
            promises.settle(promise, PromiseState.OWED, VISIT_OWED, now)
        case Verdict.TELL_COMMITTEE:
            promises.settle(promise, PromiseState.OWED, LINE_AT_FAULT, now)
            notices.owe(session, settings, Why.LINE_AT_FAULT, now, test=is_test(settings, promise))
        case _:
            promises.put_off(promise, next_.due_at or now, RESULTS[outcome])


def _heard(
    session: Session, ticket: Ticket, promise: Promise, outcome: Outcome, now: datetime
) -> None:
    ticket.contacted_at = ticket.contacted_at or now
    if promise.event is Event.DONE and outcome is Outcome.HEARD and ticket.state is State.DONE:
        service.act(session, ticket, Act.CONFIRM, CALLER, now, why="回电按1")


def news_of_person(session: Session, ticket: Ticket, *, lock: bool = False) -> Sequence[Promise]:
    """All that is still to be told to the person of this request.

    Where nobody knows whose the number is, the number stands for the person; two residents who
    share one are never told each other's news.
    """
    same = (
        Ticket.resident_id == ticket.resident_id
        if ticket.resident_id
        else and_(Ticket.resident_id.is_(None), Ticket.phone == ticket.phone)
    )
    news = (
        select(Promise)
        .join(Ticket)
        .where(
            Promise.duty == Duty.RETURN_CALL, Promise.state == PromiseState.OPEN, same,
            Ticket.phone.is_not(None), Ticket.test == ticket.test,
        )
        .order_by(Promise.id)
    )  # fmt: skip
    return session.scalars(news.with_for_update(of=Promise) if lock else news).all()


def _outcomes(session: Session, promise: Promise) -> Sequence[Outcome]:
    session.flush()
    session.expire(promise, ["tries"])
    return [Outcome(attempt.outcome) for attempt in promise.tries if attempt.outcome]


def _rung_today(session: Session, numbers: Collection[str], now: datetime) -> int:
    """How often a person was disturbed today, on whichever of their numbers."""
    midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    undisturbed = [outcome.value for outcome in returns.UNDISTURBING]
    return session.scalar(
        select(func.count()).select_from(ReturnTry).where(
            ReturnTry.phone.in_(numbers),
            ReturnTry.placed_at >= midnight, ReturnTry.placed_at < midnight + timedelta(days=1),
            ReturnTry.volunteer_id.is_(None), is_real(ReturnTry),
            ReturnTry.outcome.is_(None) | ReturnTry.outcome.not_in(undisturbed),
        )
    ) or 0  # fmt: skip


def _numbers_of_person(session: Session, ticket: Ticket) -> set[str]:
    """Every number of the resident; where it may be anybody's of several, all of all of theirs."""
    whose = select(ResidentPhone.resident_id).where(
        ResidentPhone.resident_id == ticket.resident_id
        if ticket.resident_id
        else ResidentPhone.phone == ticket.phone
    )
    theirs = select(ResidentPhone.phone).where(ResidentPhone.resident_id.in_(whose))
    return {*filter(None, [ticket.phone]), *session.scalars(theirs)}
