"""A call that is going on: its row, its leg, and how the application is told of it."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine
from datetime import datetime
from email.utils import format_datetime
from math import ceil
from typing import Any

from hotline.clock import Clock, utc
from ivr.exchange.leg import Leg
from ivr.exchange.reports import Reports
from ivr.exchange.store import (
    FINAL,
    CallRow,
    CallStatus,
    Direction,
    NotKeptError,
    RecordingRow,
    Store,
    stamp,
)

log = logging.getLogger(__name__)

API_VERSION = "2010-04-01"
FULL_DISK_SECONDS = 5.0
EVENTS = {  # the carrier's names for what may be told
    CallStatus.INITIATED: "initiated",
    CallStatus.RINGING: "ringing",
    CallStatus.IN_PROGRESS: "answered",
}


def new_sid(kind: str) -> str:
    """CA… or RE…: two letters and 32 hex digits."""
    return kind + secrets.token_hex(16)


class Call:
    """One row of `calls` while it lives in this process."""

    def __init__(
        self, row: CallRow, account_sid: str, store: Store, reports: Reports, clock: Clock
    ) -> None:
        self.row = row
        self.leg: Leg | None = None
        self.task: asyncio.Task[None] | None = None
        self.wish: CallStatus | None = None  # canceled or completed, asked for through REST
        self.broken_off = False  # the exchange ends it, whatever was being said
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._account_sid = account_sid
        self._store = store
        self._reports = reports
        self._clock = clock

    @property
    def sid(self) -> str:
        return self.row.sid

    @property
    def is_over(self) -> bool:
        return self.row.status in FINAL

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside the call, which is not kept waiting for the disk."""
        task = asyncio.get_running_loop().create_task(work)
        self._side_tasks.add(task)
        task.add_done_callback(self._beside_done)

    def _beside_done(self, task: asyncio.Task[None]) -> None:
        self._side_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: %s", self.sid, error)

    async def settled(self) -> None:
        """Return when everything begun by `soon` is done."""
        await asyncio.gather(*self._side_tasks, return_exceptions=True)

    def form(self, **more: str) -> dict[str, str]:
        """What every request about this call says, and `more`."""
        row = self.row
        form = {
            "AccountSid": self._account_sid,
            "ApiVersion": API_VERSION,
            "CallSid": row.sid,
            "CallStatus": row.status,
            "Called": row.to_number,
            "Caller": row.from_number,
            "Direction": row.direction,
            "From": row.from_number,
            "To": row.to_number,
        }
        if row.parent_sid:
            form["ParentCallSid"] = row.parent_sid
        return form | more

    async def become(self, status: CallStatus, sip_code: int = 0) -> None:
        """Enter a state, keep it, and tell who asked to be told. A final state stays."""
        if self.is_over:
            return
        now = stamp(self._clock())
        if status is not CallStatus.INITIATED:
            self.row.status = status.value
        if status is CallStatus.IN_PROGRESS:
            self.row.answered_at = now
        if status in FINAL:
            self.row.ended_at = now
            self.row.sip_code = sip_code
        event = "completed" if status in FINAL else EVENTS[status]
        report = self._report(status) if event in self.row.status_events else None
        while not await self._keep(report) and self.is_over:
            await asyncio.sleep(FULL_DISK_SECONDS)  # how a call ended must be told, however late

    async def _keep(self, report: dict[str, str] | None) -> bool:
        """Whether it is written down. If it cannot be, the call matters more than the books."""
        try:
            await self._store.save(self.row)
            if report is not None:
                await self._reports.owe(self.row.status_callback, self.row.status_method, report)
        except NotKeptError as error:
            log.error("%s is %s, which could not be kept: %s", self.sid, self.row.status, error)
            return False
        return True

    async def put_down(
        self,
        row: RecordingRow,
        owed: list[tuple[str, str, dict[str, str]]],
        keep: Callable[[], object] | None,
    ) -> None:
        """Keep a recording's row and what is to be told of it, after its sound where `keep` is
        still to be done. On a full disk: as soon as it can be, beside the call."""

        async def attempt() -> None:
            nonlocal keep
            if keep is not None:
                await asyncio.to_thread(keep)
                keep = None
            await self._store.save(row)
            while owed:
                await self._reports.owe(*owed[0])
                owed.pop(0)

        async def persist() -> None:
            while True:
                await asyncio.sleep(FULL_DISK_SECONDS)
                with contextlib.suppress(OSError):
                    await attempt()
                    return

        try:
            await attempt()
        except OSError as error:
            log.error("%s: %s cannot be put down yet: %s", self.sid, row.sid, error)
            self.soon(persist())

    def _report(self, status: CallStatus) -> dict[str, str]:
        report = status_report(self.form(CallStatus=status.value), self.row, self._clock())
        self.row.sequence += 1
        return report


def status_report(form: dict[str, str], row: CallRow, now: datetime) -> dict[str, str]:
    """The body of a status callback."""
    form |= {
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(row.sequence),
        "Timestamp": rfc2822(now),
    }
    if row.status in FINAL:
        form["CallDuration"] = str(row.duration_seconds)
        form["Duration"] = str(ceil(row.duration_seconds / 60))
    if row.sip_code:
        form["SipResponseCode"] = str(row.sip_code)
    return form


def rfc2822(instant: datetime) -> str:
    return format_datetime(utc(instant))


def incoming_row(sid: str, caller: str, called: str, now: datetime, status_url: str) -> CallRow:
    return CallRow(
        sid=sid,
        direction=Direction.INBOUND.value,
        from_number=caller,
        to_number=called,
        status=CallStatus.RINGING.value,
        created_at=stamp(now),
        status_callback=status_url,
        status_events=["completed"] if status_url else [],
    )
