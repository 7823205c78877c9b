"""Writing what came of a promise: only while it is still ours."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from hotline import logs
from hotline.runtime import Runtime
from tickets import promises
from tickets.models import Promise

log = logs.logger(__name__)

Change = Callable[[Session, Promise, datetime], object]


def write(runtime: Runtime, promise_id: int, token: str | None, change: Change) -> bool:
    """Write the result if the lease is still ours; a hand that came back too late writes nothing."""
    with runtime.db.writing() as session:
        return change_mine(runtime, session, promise_id, token, change)


def change_mine(
    runtime: Runtime, session: Session, promise_id: int, token: str | None, change: Change
) -> bool:
    """The same inside a transaction that has begun."""
    promise = promises.still_mine(session, promise_id, token)
    if promise is None:
        log.warning("the lease was lost; the result is left to whoever holds it now")
        return False
    change(session, promise, runtime.clock())
    return True
