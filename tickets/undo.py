"""撤回: what a person wrote within the last minutes, taken back as if it had not been.

Both lines stay in the ledger. Whoever wrote it takes it back, nobody else; and only while nobody
has gone on from there and no telephone has rung for it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import deeds, ledger, promises
from tickets.ledger import Person
from tickets.lifecycle import TooLateError, TooLateReason
from tickets.models import Duty, Promise, PromiseState, Ticket
from tickets.rounds import Deed

TAKEN_BACK = "撤回了，不打这一通"


def undoable(
    session: Session, settings: Settings, ticket: Ticket, by: Person, now: datetime
) -> Sequence[Deed]:
    """The newest acts that this person can take back, the newest first; acts of one press go
    together. Empty when there are none."""
    try:
        return _last_press(session, settings, ticket, by, now)
    except TooLateError:
        return ()


def until(settings: Settings, written_at: datetime) -> datetime:
    """The instant from which it stays."""
    return written_at + timedelta(minutes=settings.undo_within_minutes)


def hold_news(session: Session, settings: Settings, owed: Sequence[int], now: datetime) -> None:
    """Let the news of an act wait until the act stays: nobody is rung for what may be taken back."""
    for promise in _all(session, owed):
        if promise.duty is Duty.RETURN_CALL:
            promise.due_at = until(settings, now)


def is_held(settings: Settings, news: Promise, now: datetime) -> bool:
    """Whether it waits for that."""
    return news.due_at > now and not news.tries and now < until(settings, news.made_at)


def held(session: Session, settings: Settings, ticket: Ticket, now: datetime) -> Promise | None:
    """The news of this request that waits for that."""
    news = session.scalar(
        select(Promise).where(
            Promise.ticket_id == ticket.id, Promise.duty == Duty.RETURN_CALL,
            Promise.state == PromiseState.OPEN,
        )
    )  # fmt: skip
    return news if news and is_held(settings, news, now) else None


def undo(
    session: Session,
    settings: Settings,
    ticket: Ticket,
    by: Person,
    now: datetime,
    *,
    seen: int | None = None,
) -> Sequence[Deed]:
    """Take the last press back. Raises ChangedError, TooLateError; then nothing is changed."""
    deeds.lock(session, ticket, seen)
    pressed = _last_press(session, settings, ticket, by, now)
    for deed in pressed:
        before = ticket.state
        deeds.put_back(ticket, deed)
        deed.undone_at = now
        for promise in _all(session, deed.owed):
            promises.settle(promise, PromiseState.DROPPED, TAKEN_BACK, now)
        for promise in _all(session, deed.dropped):
            promise.state, promise.settled_at, promise.result = PromiseState.OPEN, None, ""
        ledger.write(
            session, at=now, person=by, act="undo", object_kind="ticket", object_id=ticket.id,
            undone=deed.act, before=before, after=ticket.state,
        )  # fmt: skip
    deeds.keep_round(session, ticket, now)
    return pressed


def must_be_fresh(settings: Settings, written_by: str, written_at: datetime, by: Person, now: datetime) -> None:  # fmt: skip
    """Raise TooLateError unless this person wrote it within the last minutes."""
    if written_by != by.label:
        raise TooLateError(TooLateReason.NOTHING)
    if now >= until(settings, written_at):
        raise TooLateError(TooLateReason.LATE)


def _last_press(
    session: Session, settings: Settings, ticket: Ticket, by: Person, now: datetime
) -> Sequence[Deed]:
    standing = session.scalars(
        select(Deed)
        .where(Deed.ticket_id == ticket.id, Deed.undone_at.is_(None))
        .order_by(Deed.id.desc())
        .limit(4)
    ).all()
    if not standing:
        raise TooLateError(TooLateReason.NOTHING)
    last = standing[0]
    if last.person != by.label:
        raise TooLateError(TooLateReason.BUILT_ON if _wrote(standing, by) else TooLateReason.NOTHING)  # fmt: skip
    must_be_fresh(settings, last.person, last.at, by, now)
    pressed = list(
        takewhile(lambda deed: (deed.at, deed.person) == (last.at, last.person), standing)
    )
    overtaken = {promise_id for deed in pressed for promise_id in deed.dropped}
    owed = [each for deed in pressed for each in deed.owed if each not in overtaken]
    if any(news.state is not PromiseState.OPEN or news.tries for news in _all(session, owed)):
        raise TooLateError(TooLateReason.TOLD)
    return pressed


def _wrote(standing: Sequence[Deed], by: Person) -> bool:
    return any(deed.person == by.label for deed in standing)


def _all(session: Session, ids: Sequence[int]) -> Sequence[Promise]:
    """The promises with these ids, held until the end of the transaction."""
    if not ids:
        return ()
    return session.scalars(
        select(Promise)
        .where(Promise.id.in_(ids))
        .order_by(Promise.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
