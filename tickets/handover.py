"""The end of a shift: what nobody has taken yet goes to the next on duty, with a note.

Whoever took a request first keeps it until another accepts it (首接负责).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Text, cast, exists, or_, select
from sqlalchemy.orm import Session

from tickets import ledger, promises, roster, service
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import Act, State
from tickets.models import Duty, Promise, PromiseState, Shift, Ticket, Volunteer
from tickets.rota import HandOver

LATEST = timedelta(days=1)  # a shift that ended longer ago is past handing over
HELD = (State.IN_HAND, State.WAITING)


def ended(session: Session, now: datetime) -> Sequence[int]:
    """The shifts that are over and of which nobody has promised to hand over what is open."""
    promised = exists().where(Promise.duty == Duty.HAND_OVER, Promise.shift_id == Shift.id)
    return session.scalars(
        select(Shift.id)
        .where(Shift.ends_at <= now, Shift.ends_at > now - LATEST, ~promised)
        .order_by(Shift.ends_at, Shift.id)
    ).all()


def owe(session: Session, now: datetime) -> list[int]:
    """Owe the hand-over of every shift that has ended; the promises to ring the bell for."""
    return [
        promises.make(session, Duty.HAND_OVER, now, shift_id=shift_id).id
        for shift_id in ended(session, now)
    ]


def keep(session: Session, promise: Promise, now: datetime) -> None:
    """Do it, and settle the promise with what came of it."""
    shift = session.get(Shift, promise.shift_id) if promise.shift_id else None
    if shift is None:
        promises.settle(promise, PromiseState.DROPPED, "这一班已经改掉了", now)
        return
    following = roster.on_duty(session, now) or roster.next_shift(session, now)
    to = following.volunteer if following else None
    row = _row(session, shift)
    held = _tickets(session, shift.volunteer_id, HELD, shift.ends_at)
    if to is not None and to.id != shift.volunteer_id:
        row.passed = hand_on(
            session, shift.volunteer_id, to, SYSTEM, now, opened_before=shift.ends_at
        )
        row.to_id = to.id
    row.still_held, row.at = [ticket.id for ticket in held], now
    ledger.write(
        session, at=now, person=SYSTEM, act="hand_over", object_kind="shift", object_id=shift.id,
        to=row.to_id, passed=row.passed, still_held=row.still_held,
    )  # fmt: skip
    promises.settle(promise, PromiseState.KEPT, _told(row, to), now)


def hand_on(
    session: Session,
    from_id: int,
    to: Volunteer,
    by: Person,
    now: datetime,
    *,
    opened_before: datetime | None = None,
) -> list[int]:
    """Pass on what waits for somebody and was not taken; the tickets that went."""
    waiting = _tickets(session, from_id, (State.ASSIGNED,), opened_before)
    for ticket in waiting:
        service.act(session, ticket, Act.PASS_ON, by, now, to=to, why="交班")
    return [ticket.id for ticket in waiting]


def write_note(session: Session, shift: Shift, text: str, by: Person, now: datetime) -> HandOver:
    """What the one on duty wants the next to know; may be written again until they heard it."""
    row = _row(session, shift)
    row.note = text.strip()
    ledger.write(
        session, at=now, person=by, act="hand_over_note", object_kind="shift", object_id=shift.id
    )
    return row


def unheard(session: Session, volunteer_id: int) -> Sequence[HandOver]:
    """What was left to this person and not heard yet, the oldest first; nothing is not worth hearing."""
    something = or_(HandOver.note != "", cast(HandOver.passed, Text) != "[]")
    return session.scalars(
        select(HandOver)
        .where(
            HandOver.to_id == volunteer_id,
            HandOver.at.is_not(None),
            HandOver.heard_at.is_(None),
            something,
        )
        .order_by(HandOver.at, HandOver.id)
    ).all()


def hear(session: Session, row: HandOver, by: Person, now: datetime) -> None:
    """The next has read or heard it."""
    if row.heard_at is None:
        row.heard_at = now
        ledger.write(
            session, at=now, person=by, act="hear_hand_over", object_kind="shift",
            object_id=row.shift_id,
        )  # fmt: skip


def _row(session: Session, shift: Shift) -> HandOver:
    row = session.scalar(select(HandOver).where(HandOver.shift_id == shift.id))
    if row is None:
        row = HandOver(shift_id=shift.id)
        session.add(row)
        session.flush()
    return row


def _tickets(
    session: Session, assignee_id: int, states: tuple[State, ...], before: datetime | None
) -> Sequence[Ticket]:
    asked = select(Ticket).where(Ticket.assignee_id == assignee_id, Ticket.state.in_(states))
    if before is not None:
        asked = asked.where(Ticket.opened_at < before)
    return session.scalars(asked.order_by(Ticket.opened_at, Ticket.id)).all()


def _told(row: HandOver, to: Volunteer | None) -> str:
    held = f"，{len(row.still_held)}件还在原来的人手里" if row.still_held else ""
    if row.to_id is None:
        return f"{'下一班还是本人' if to else '后面没有人值班'}，没有交出去{held}"
    return f"交给下一班{len(row.passed)}件{held}"
