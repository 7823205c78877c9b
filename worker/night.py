"""The night's round: past days are counted, the ledger's end is marked, what is too old is deleted, and
the house is backed up.

Small steps, each its own transaction, each safe to do again: a round that was killed goes on
with the next one.
"""

from collections.abc import Callable
from datetime import datetime, time, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hotline import backup, clock, logs
from hotline.config import Settings
from hotline.db import Database
from hotline.store import Store
from tickets import audit, counting, promises, retention, waiting_sheets
from tickets.models import Duty, Promise, PromiseState

log = logs.logger(__name__)

AT = time(2, 30)  # nobody rings, and nobody is on duty
DAYS = 5  # counted in one transaction: whoever rings at night waits no longer than that


def owe(session: Session, now: datetime) -> int | None:
    """See to it that the next round is owed; None if it was."""
    if session.scalar(_open_round()) is not None:
        return None
    due_at = datetime.combine(clock.local(now).date(), AT, clock.SHANGHAI)
    due_at += timedelta(days=due_at <= now)
    return promises.make(session, Duty.NIGHT_ROUND, now, due_at=due_at).id


def is_owed(session: Session) -> bool:
    return session.scalar(_open_round()) is not None


def go_round(db: Database, store: Store, settings: Settings, now: datetime) -> None:
    """Everything that is done at night."""
    while _step(db, lambda session: counting.count_past_days(session, now, DAYS)) == DAYS:
        pass
    _step(db, lambda session: audit.head(session, now) is not None)
    _step(db, lambda session: waiting_sheets.forget_old(session, now))
    forget(db, store, settings, now)
    try:
        backup.make(db, settings, now)
    except (
        backup.BackupError
    ):  # the round is done all the same; the page says how old the last one is
        log.exception("no backup was made")


def forget(db: Database, store: Store, settings: Settings, now: datetime) -> None:
    """Delete what is too old: sound, then words and names, then old lines of the ledger."""
    while _forget_audio(db, store, settings, now):
        pass
    for rule in (retention.forget_requests, retention.forget_calls, retention.forget_lines):
        while _step(db, lambda session, rule=rule: rule(session, settings, now)):  # type: ignore[misc]
            pass


def _forget_audio(db: Database, store: Store, settings: Settings, now: datetime) -> int:
    with db.reading() as session:
        ids, keys = retention.audio_due(session, settings, now)
    for key in keys:  # no transaction is open: a store may be far away
        store.delete(key)
    if ids:
        rule = f"录音满 {settings.keep_audio_months} 个月删除"
        with db.writing() as session:
            retention.audio_deleted(session, ids, rule, now)
    return len(ids)


def _step(db: Database, step: Callable[[Session], int]) -> int:
    with db.writing() as session:
        return step(session)


def _open_round() -> Select[int]:
    return (
        select(Promise.id)
        .where(Promise.duty == Duty.NIGHT_ROUND, Promise.state == PromiseState.OPEN)
        .limit(1)
    )
