"""Limits that have passed: the volunteer is reminded, then the substitute, then the duty lead.

One person at a time, each once: the next when the one before had time to act. In duty time only.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, or_, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import ledger, notices
from tickets.hours import Interval, after_duty_time
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import OPEN, State
from tickets.models import Kind, Shift, Ticket, Volunteer
from tickets.real import is_real
from tickets.reminders import Limit, Reminder, Step
from tickets.roster import HORIZON, LEADS, duty_times, next_shift, on_duty

UNTAKEN = (State.NEW, State.ASSIGNED)
UNDONE = (*UNTAKEN, State.IN_HAND)  # who waits for papers is not hurried


def passed(
    settings: Settings, ticket: Ticket, times: Sequence[Interval], now: datetime
) -> dict[Limit, datetime]:
    """The limits that this request is past, and since when; `times` are the shifts around now."""
    limits: dict[Limit, datetime | None] = {}
    if ticket.state in UNTAKEN:
        limits[Limit.ACCEPT] = accept_by(settings, ticket, times)
    if ticket.state in OPEN and ticket.contacted_at is None:
        limits[Limit.CONTACT] = ticket.contact_by
    if ticket.kind is Kind.ERRAND and ticket.state in UNDONE:
        limits[Limit.DONE] = ticket.done_by
    if ticket.kind is Kind.ERRAND and ticket.state is State.DONE and ticket.done_at:
        limits[Limit.TELL] = ticket.done_at + timedelta(hours=settings.tell_within_hours)
    return {limit: since for limit, since in limits.items() if since and since <= now}


def accept_by(settings: Settings, ticket: Ticket, times: Sequence[Interval]) -> datetime:
    """By when it should be taken: whoever it is passed on to has as long as the first had."""
    if ticket.assigned_at is None or ticket.assigned_at <= ticket.opened_at:
        return ticket.accept_by
    allowed = timedelta(minutes=settings.accept_within_minutes)
    return max(ticket.accept_by, after_duty_time(ticket.assigned_at, allowed, times))


def due(session: Session, settings: Settings, now: datetime) -> list[Reminder]:
    """The reminders that should be written now, not written yet; none while nobody has duty."""
    shift = on_duty(session, now)
    if shift is None and next_shift(session, now) is not None:
        return []
    times = duty_times(session, now - HORIZON / 2)
    late = [
        (ticket, limit, since)
        for ticket in _late(session, settings, now)
        for limit, since in passed(settings, ticket, times, now).items()
    ]
    made = _made(session, [ticket.id for ticket, _, _ in late])
    leads = session.scalars(LEADS).all()
    reminders = []
    for ticket, limit, since in late:
        before = made.get((ticket.id, ticket.round, limit), [])
        if _next_at(settings, since, before, times) > now:
            continue
        for step, person_id in _people(ticket, shift, leads, before):
            reminders.append(
                Reminder(
                    ticket_id=ticket.id, round=ticket.round, limit=limit, step=step,
                    volunteer_id=person_id, past_since=since, made_at=now,
                )
            )  # fmt: skip
            break
    return reminders


def remind(session: Session, settings: Settings, now: datetime) -> list[int]:
    """Write the reminders that are due; returns the ids of those that no other sweep wrote first."""
    written = []
    for reminder in due(session, settings, now):
        reminder_id = _insert(session, reminder)
        if reminder_id is None:
            continue
        written.append(reminder_id)
        ledger.write(
            session, at=now, person=SYSTEM, act="remind", object_kind="ticket", object_id=reminder.ticket_id,
            limit=reminder.limit, step=reminder.step, to=reminder.volunteer_id,
        )  # fmt: skip
        notices.remind(session, settings, session.get_one(Reminder, reminder_id), now)
    return written


def standing(
    session: Session, settings: Settings, volunteer_id: int, now: datetime
) -> Sequence[Reminder]:
    """What this person was reminded of and has not seen, where it is still late; the oldest first."""
    times = duty_times(session, now - HORIZON / 2)
    unseen = session.execute(
        select(Reminder, Ticket)
        .join(Ticket, Ticket.id == Reminder.ticket_id)
        .where(Reminder.volunteer_id == volunteer_id, Reminder.seen_at.is_(None))
        .where(Reminder.round == Ticket.round, Ticket.state.in_((*OPEN, State.DONE)))
        .order_by(Reminder.id)
    )
    return [
        reminder
        for reminder, ticket in unseen
        if reminder.limit in passed(settings, ticket, times, now)
    ]


def stands(session: Session, settings: Settings, reminder: Reminder, now: datetime) -> bool:
    """Whether it is still late, and still the same round."""
    ticket = session.get_one(Ticket, reminder.ticket_id)
    times = duty_times(session, now - HORIZON / 2)
    return reminder.round == ticket.round and reminder.limit in passed(settings, ticket, times, now)


def unseen(session: Session, ticket: Ticket, volunteer_id: int) -> Sequence[Reminder]:
    """What this person was reminded of about this request, and has not seen."""
    return session.scalars(_about(ticket, volunteer_id).where(Reminder.seen_at.is_(None))).all()


def was_reminded(session: Session, ticket: Ticket, volunteer_id: int) -> bool:
    """Whether this person was told, in this round, that it is late."""
    this_round = _about(ticket, volunteer_id).where(Reminder.round == ticket.round)
    return session.scalar(this_round.limit(1)) is not None


def see(session: Session, reminder: Reminder, by: Person, now: datetime) -> None:
    """The person says that they know."""
    if reminder.seen_at is None:
        reminder.seen_at = now
        ledger.write(
            session, at=now, person=by, act="see_reminder", object_kind="ticket",
            object_id=reminder.ticket_id, limit=reminder.limit,
        )  # fmt: skip


def _about(ticket: Ticket, volunteer_id: int) -> Select[Reminder]:
    return (
        select(Reminder)
        .where(Reminder.ticket_id == ticket.id, Reminder.volunteer_id == volunteer_id)
        .order_by(Reminder.id)
    )


def _late(session: Session, settings: Settings, now: datetime) -> Sequence[Ticket]:
    """The requests that may be past a limit; what was done long ago is not looked at again."""
    told_by = now - timedelta(hours=settings.tell_within_hours)
    return session.scalars(
        select(Ticket)
        .where(
            Ticket.state.in_((*OPEN, State.DONE)),  # few of many, and the index knows them
            true() if settings.demo else is_real(Ticket),
            or_(
                Ticket.state.in_(UNTAKEN) & (Ticket.accept_by <= now),
                Ticket.state.in_(OPEN) & Ticket.contacted_at.is_(None) & (Ticket.contact_by <= now),
                Ticket.state.in_(UNDONE) & (Ticket.done_by <= now),
                (Ticket.state == State.DONE) & Ticket.done_at.between(told_by - HORIZON, told_by),
            ),
        )
        .order_by(Ticket.id)
    ).all()


def _made(
    session: Session, ticket_ids: Sequence[int]
) -> dict[tuple[int, int, Limit], list[Reminder]]:
    made: dict[tuple[int, int, Limit], list[Reminder]] = {}
    for reminder in session.scalars(
        select(Reminder).where(Reminder.ticket_id.in_(ticket_ids)).order_by(Reminder.id)
    ):
        made.setdefault((reminder.ticket_id, reminder.round, reminder.limit), []).append(reminder)
    return made


def _next_at(
    settings: Settings, since: datetime, before: Sequence[Reminder], times: Sequence[Interval]
) -> datetime:
    if not before:
        return after_duty_time(since, timedelta(0), times)
    pause = timedelta(minutes=settings.remind_after_minutes)
    return after_duty_time(max(since, before[-1].made_at), pause, times)


def _people(
    ticket: Ticket, shift: Shift | None, leads: Sequence[Volunteer], before: Sequence[Reminder]
) -> Iterator[tuple[Step, int]]:
    """Whom it may be said to next, in order."""
    asked = {reminder.volunteer_id for reminder in before}
    steps = {reminder.step for reminder in before}
    theirs = ticket.assignee_id or (shift.volunteer_id if shift else None)
    if theirs and theirs not in asked:
        yield Step.VOLUNTEER, theirs
    if shift and Step.SUBSTITUTE not in steps:
        for person_id in (shift.substitute_id, shift.volunteer_id):
            if person_id and person_id not in asked:
                yield Step.SUBSTITUTE, person_id
    if Step.LEAD not in steps:
        yield from ((Step.LEAD, lead.id) for lead in leads if lead.id not in asked)


def _insert(session: Session, reminder: Reminder) -> int | None:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    columns = ("ticket_id", "round", "limit", "step", "volunteer_id", "past_since", "made_at")
    return session.scalar(
        insert(Reminder)
        .values({name: getattr(reminder, name) for name in columns})
        .on_conflict_do_nothing()
        .returning(Reminder.id)
    )
