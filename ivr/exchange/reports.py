"""What the application must be told: written down first, sent at once, sent again until heard."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.orm import Session

from hotline.clock import Clock
from ivr.exchange.store import ReportRow, Store, due_reports, forget_old, stamp
from ivr.exchange.webhook import WebApp, WebhookError

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 300.0
AT_ONCE = 8  # reports on their way at one moment


class Reports:
    """Status callbacks and recording callbacks; a dead application hears them when it is back."""

    def __init__(self, store: Store, web: WebApp, clock: Clock, keep_days: int) -> None:
        self._store = store
        self._web = web
        self._clock = clock
        self._keep = timedelta(days=keep_days)
        self._wake = asyncio.Event()
        self._sweeper: asyncio.Task[None] | None = None
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self, patience_seconds: float = 2.0) -> None:
        """Give what is on its way a moment; the rest is sent after the next start."""
        if self._sending:
            await asyncio.wait(self._sending.values(), timeout=patience_seconds)
        for task in (self._sweeper, *self._sending.values()):
            if task is not None:
                task.cancel()
        await asyncio.gather(
            *(t for t in (self._sweeper, *self._sending.values()) if t), return_exceptions=True
        )

    async def owe(self, url: str, method: str, form: Mapping[str, str]) -> None:
        """Promise a report, and send it without waiting for it."""
        if not url:
            return
        now = stamp(self._clock())
        row = ReportRow(
            url=url,
            method=method,
            form=dict(form),
            created_at=now,
            due_at=stamp(self._clock() + timedelta(seconds=FIRST_PAUSE_SECONDS)),
        )

        def work(session: Session) -> ReportRow:
            session.add(row)
            session.flush()
            return row

        self._send(await self._store.do(work))

    def _send(self, row: ReportRow) -> None:
        if row.id in self._sending:
            return
        task = asyncio.create_task(self._deliver(row))
        self._sending[row.id] = task
        task.add_done_callback(lambda _: self._sending.pop(row.id, None))

    async def _deliver(self, row: ReportRow) -> None:
        async with self._slots:
            try:
                status = await self._web.tell(row.url, row.method, row.form)
            except WebhookError as error:
                await self._put_off(row, str(error))
                return
        if status >= 500 or status in {408, 429}:
            await self._put_off(row, f"HTTP {status}")
            return
        if status >= 400:
            log.error("a report was refused with HTTP %d and is dropped", status)
        await self._store.do(lambda session: _drop(session, row.id))

    async def _put_off(self, row: ReportRow, reason: str) -> None:
        row.attempts += 1
        pause = min(FIRST_PAUSE_SECONDS * 2**row.attempts, LONGEST_PAUSE_SECONDS)
        log.warning("a report waits %.0f s: %s", pause, reason)
        due_at = stamp(self._clock() + timedelta(seconds=pause))
        attempts = row.attempts

        def work(session: Session) -> None:
            known = session.get(ReportRow, row.id)
            if known is not None:
                known.attempts, known.due_at = attempts, due_at

        await self._store.do(work)

    async def _sweep(self) -> None:
        rounds = 0
        while True:
            try:
                now = self._clock()
                for row in await self._store.do(lambda s, now=now: due_reports(s, now)):  # type: ignore[misc]
                    self._send(row)
                if rounds % 3600 == 0:
                    await self._store.do(
                        lambda s, before=now - self._keep: forget_old(s, before)  # type: ignore[misc]
                    )
            except Exception:
                log.exception("the reports could not be looked through")
            rounds += 1
            await asyncio.sleep(1)


def _drop(session: Session, report_id: int) -> None:
    known = session.get(ReportRow, report_id)
    if known is not None:
        session.delete(known)
