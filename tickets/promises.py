"""What the house owes, as rows: made with their cause, taken under a lease, settled once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import false, func, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from tickets.models import Duty, Promise, PromiseState, Ticket


def make(
    session: Session, duty: Duty, now: datetime, *, due_at: datetime | None = None, **about: Any
) -> Promise:
    """Owe something. The caller rings the bell with its id once the transaction is committed."""
    promise = Promise(duty=duty, made_at=now, due_at=due_at or now, **about)
    session.add(promise)
    session.flush()
    return promise


def due(session: Session, now: datetime, limit: int = 100) -> Sequence[int]:
    """The ids of promises that are due and in nobody's hands: urgent requests' first, then the
    longest due."""
    return session.scalars(
        select(Promise.id)
        .outerjoin(Ticket, Ticket.id == Promise.ticket_id)
        .where(*_free(now))
        .order_by(func.coalesce(Ticket.urgent, false()).desc(), Promise.due_at, Promise.id)
        .limit(limit)
    ).all()


def take(
    session: Session, promise_id: int, now: datetime, lease: timedelta, token: str
) -> Promise | None:
    """The promise under a fresh lease; None if it is not due, settled, or in another's hands."""
    taken = session.execute(
        update(Promise)
        .where(Promise.id == promise_id, *_free(now))
        .values(lease_until=now + lease, lease_token=token, attempts=Promise.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(taken, CursorResult)  # noqa: S101
    return session.get(Promise, promise_id, populate_existing=True) if taken.rowcount else None


def held(session: Session, now: datetime) -> Sequence[str]:
    """The tokens of all leases that run."""
    asked = select(Promise.lease_token).where(
        Promise.state == PromiseState.OPEN, Promise.lease_until > now
    )
    return [token for token in session.scalars(asked) if token]


def release(session: Session, tokens: Sequence[str]) -> None:
    """End these leases before their time."""
    session.execute(
        update(Promise)
        .where(Promise.lease_token.in_(tokens))
        .values(lease_until=None, lease_token=None)
        .execution_options(synchronize_session=False)
    )


def still_mine(session: Session, promise_id: int, token: str | None) -> Promise | None:
    """The promise, locked, if the lease is still ours and it is still open; else None."""
    return session.scalar(
        select(Promise)
        .where(
            Promise.id == promise_id,
            Promise.lease_token == token,
            Promise.state == PromiseState.OPEN,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def settle(promise: Promise, state: PromiseState, result: str, now: datetime) -> None:
    """End it: what came of it, in plain words for the auditor."""
    promise.state, promise.result, promise.settled_at = state, result[:200], now
    promise.lease_until = promise.lease_token = None


def put_off(promise: Promise, due_at: datetime, result: str = "") -> None:
    """Leave it open for later and give the lease back."""
    promise.due_at, promise.result = due_at, result[:200] or promise.result
    promise.lease_until = promise.lease_token = None


def _free(now: datetime) -> tuple[Any, ...]:
    return (
        Promise.state == PromiseState.OPEN,
        Promise.due_at <= now,
        or_(Promise.lease_until.is_(None), Promise.lease_until <= now),
    )
