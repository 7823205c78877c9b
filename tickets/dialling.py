"""A try to ring somebody, resident or volunteer: whether the line allows it, the row before it is
dialled, and the promises it is to settle."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets.models import TRY_PROMISES, Duty, Promise, PromiseState, ReturnTry, Ticket
from tickets.real import is_real

# Any fixed number: it names the dial among PostgreSQL's advisory locks. SQLite's writers pass one
# by one anyway.
DIAL = 522_1124
SHORTLY = timedelta(seconds=20)
UNDER_WAY = timedelta(minutes=30)  # a try without a result is looked up at the carrier until then
# A clock that was set back leaves tries in what is now the future: they must not block for long.
MINUTE = timedelta(minutes=1)


def take_the_dial(session: Session) -> None:
    """Look and write alone until the transaction ends. Before any row is locked, or two would
    wait for each other."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:dial)"), {"dial": DIAL})


@dataclass(frozen=True, slots=True)
class Line:
    """What is under way on our line: how many calls, and the tries and telephones among them."""

    calls: int = 0
    tries: frozenset[int] = frozenset()
    phones: frozenset[str] = frozenset()


def is_busy(
    session: Session, settings: Settings, phones: Collection[str], line: Line, now: datetime,
    *, channels: int = 1, urgent: bool = False, test: bool = False,
) -> bool:  # fmt: skip
    """Whether one of a person's telephones, the trunk (one channel stays free for callers) or the
    minute is full. What is not urgent leaves room for what is, and waits for it. A test takes none
    of either, and finds only its own telephones busy."""
    ringing = session.execute(
        select(ReturnTry.id, ReturnTry.phone).where(
            ReturnTry.outcome.is_(None),
            is_real(ReturnTry, tests=test),
            ReturnTry.placed_at.between(now - UNDER_WAY, now + UNDER_WAY),
        )
    ).all()
    in_use = line.calls + sum(attempt.id not in line.tries for attempt in ringing)
    if not line.phones.isdisjoint(phones) or any(attempt.phone in phones for attempt in ringing):
        return True
    if test:
        return False
    last_minute = session.scalar(
        select(func.count())
        .select_from(ReturnTry)
        .where(is_real(ReturnTry), ReturnTry.placed_at.between(now - MINUTE, now + MINUTE))
    )
    ahead = 0 if urgent else _urgent_waiting(session, now)
    return (
        in_use + ahead + channels > max(channels, settings.trunk_channels - 1)
        or (last_minute or 0) + ahead >= settings.calls_a_minute
    )


def begin(
    session: Session,
    promises: Sequence[Promise],
    phone: str,
    now: datetime,
    *,
    volunteer_id: int | None = None,
    test: bool = False,
) -> ReturnTry:
    """Write the try down before anybody dials, with the token its call will be known by.

    The first promise is the one that was due; the others ride along.
    """
    attempt = ReturnTry(
        promise_id=promises[0].id, token=secrets.token_hex(16), phone=phone, placed_at=now,
        volunteer_id=volunteer_id, test=test,
    )  # fmt: skip
    session.add(attempt)
    session.flush()
    bring(session, attempt.id, (promise.id for promise in promises))
    return attempt


def bring(session: Session, try_id: int, promise_ids: Iterable[int]) -> None:
    """Have a try settle these promises too."""
    known = set(_brought_ids(session, try_id))
    if rows := [{"try_id": try_id, "promise_id": p} for p in promise_ids if p not in known]:
        session.execute(insert(TRY_PROMISES), rows)


def brought(session: Session, attempt: ReturnTry, *, lock: bool = False) -> Sequence[Promise]:
    """The promises of a try; locked after their requests, as every act does it: no deadlock."""
    found = select(Promise).where(Promise.id.in_(_brought_ids(session, attempt.id))).order_by(Promise.id)  # fmt: skip
    if not lock:
        return session.scalars(found).all()
    about = found.with_only_columns(Promise.ticket_id).order_by(None)
    tickets = select(Ticket.id).where(Ticket.id.in_(about)).order_by(Ticket.id)
    session.execute(tickets.with_for_update()).all()
    fresh = found.with_for_update().execution_options(populate_existing=True)
    return session.scalars(fresh).all()


def close(session: Session, attempt: ReturnTry) -> bool:
    """Lock the try, to write how it ended; False if somebody has written that already."""
    session.flush()
    session.refresh(attempt, with_for_update=True)
    return attempt.outcome is None


def unanswered(promise: Promise) -> ReturnTry | None:
    """The try whose end nobody has reported yet."""
    return next((attempt for attempt in promise.tries if attempt.outcome is None), None)


def _urgent_waiting(session: Session, now: datetime) -> int:
    """How many calls about urgent requests are to be placed now, or were put off for a moment."""
    ringing = (
        select(TRY_PROMISES.c.promise_id)
        .join(ReturnTry, ReturnTry.id == TRY_PROMISES.c.try_id)
        .where(ReturnTry.outcome.is_(None), TRY_PROMISES.c.promise_id == Promise.id)
    )
    return session.scalar(
        select(func.count()).select_from(Promise).join(Ticket, Ticket.id == Promise.ticket_id).where(
            Promise.state == PromiseState.OPEN, Promise.due_at <= now + SHORTLY, Ticket.urgent, is_real(Ticket),
            Promise.duty.in_((Duty.RETURN_CALL, Duty.TELL_VOLUNTEER)), ~ringing.exists(),
        )
    ) or 0  # fmt: skip


def _brought_ids(session: Session, try_id: int) -> Sequence[int]:
    return session.scalars(
        select(TRY_PROMISES.c.promise_id).where(TRY_PROMISES.c.try_id == try_id)
    ).all()
