"""What the committee has done with its books: each reads for a while, in a session that keeps nobody from writing."""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from hotline.runtime import Runtime
from hotline.store import Store
from tickets import audit, ledger, promises, sealing
from tickets.counting import Period
from tickets.models import Promise, PromiseState
from worker import leases


def verify(runtime: Runtime, promise_id: int, token: str | None) -> None:
    """Read the whole ledger, because somebody asked."""
    with runtime.db.reading() as session:
        verdict = audit.verify(session)

    def found(session: Session, promise: Promise, now: datetime) -> None:
        audit.answer(session, verdict, now)
        promises.settle(promise, PromiseState.KEPT, "台账验过了", now)

    leases.write(runtime, promise_id, token, found)


def seal(runtime: Runtime, promise_id: int, token: str | None) -> None:
    """Bundle a month's books for good, because somebody asked."""
    with TemporaryDirectory() as folder:
        with runtime.db.reading() as session:
            month = Period.read(str(session.get_one(Promise, promise_id).month))
            try:
                bundle: Path | None = sealing.prepare(session, month, Path(folder), runtime.clock())
                said = "封存好了。"
            except sealing.NotWholeError as error:
                bundle, said = None, f"台账不对，不封存。{error.fault.sentence}"

        def done(session: Session, promise: Promise, now: datetime) -> None:
            if bundle is not None:
                by = ledger.volunteer(promise.volunteer_id) if promise.volunteer_id else ledger.SYSTEM  # fmt: skip
                sealing.keep(session, Store(runtime.settings.seals), month, bundle, by, now)
            state = PromiseState.KEPT if bundle else PromiseState.OWED
            promises.settle(promise, state, said[:200], now)

        leases.write(runtime, promise_id, token, done)
