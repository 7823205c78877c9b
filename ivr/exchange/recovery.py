"""After a crash: calls that were never ended are ended, what was said is kept, both are told."""

import logging
from datetime import datetime

from ivr.exchange.call import API_VERSION, status_report
from ivr.exchange.recorder import make_wav, seconds_of, unfinished
from ivr.exchange.recordings import recording_form
from ivr.exchange.reports import Reports
from ivr.exchange.settings import ExchangeSettings
from ivr.exchange.store import (
    CallRow,
    CallStatus,
    Store,
    find_call,
    find_recording,
    stamp,
    unfinished_calls,
    unfinished_recordings,
)

log = logging.getLogger(__name__)


async def recover(
    store: Store, reports: Reports, settings: ExchangeSettings, now: datetime
) -> None:
    """Run once at the start, before the first call."""
    await _keep_recordings(store, reports, settings)
    for row in await store.do(unfinished_calls):
        answered = row.answered_at is not None
        row.status = (CallStatus.COMPLETED if answered else CallStatus.FAILED).value
        row.ended_at = stamp(now)
        form = call_form(row, settings)
        report = status_report(form, row, now)
        row.sequence += 1
        await store.save(row)
        log.warning("%s was cut off by a restart: %s", row.sid, row.status)
        if "completed" in row.status_events:
            await reports.owe(row.status_callback, row.status_method, report)


async def _keep_recordings(store: Store, reports: Reports, settings: ExchangeSettings) -> None:
    """Those that were being made, and those that were whole but could not be written down."""
    for raw in unfinished(store.recordings_folder):
        row = await store.do(lambda session, sid=raw.stem: find_recording(session, sid))  # type: ignore[misc]
        if row is None:
            raw.unlink()
            continue
        row.status = "in-progress"  # also where an Asterisk was lost, and found again
        await store.save(row)
        make_wav(raw, store.wav(row.sid))
    for row in await store.do(unfinished_recordings):
        wav = store.wav(row.sid)
        row.seconds = seconds_of(wav) if wav.exists() else 0.0
        row.status = "completed" if row.seconds >= 1 else "absent"
        await store.save(row)
        if row.status != "completed":
            wav.unlink(missing_ok=True)
            continue
        log.warning("%s: %.0f s of a broken-off recording are kept", row.sid, row.seconds)
        call = await store.do(lambda session, sid=row.call_sid: find_call(session, sid))  # type: ignore[misc]
        if call is not None and row.callback:
            form = call_form(call, settings) | recording_form(row, settings, cut_short=True)
            await reports.owe(row.callback, row.callback_method, form)
    for half in store.recordings_folder.glob("*.half"):
        half.unlink()


def call_form(row: CallRow, settings: ExchangeSettings) -> dict[str, str]:
    """What a request says of a call that lives no more."""
    return {
        "AccountSid": settings.account_sid,
        "ApiVersion": API_VERSION,
        "CallSid": row.sid,
        "CallStatus": row.status,
        "Direction": row.direction,
        "From": row.from_number,
        "To": row.to_number,
        "Caller": row.from_number,
        "Called": row.to_number,
    }
