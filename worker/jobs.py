"""Keeping promises. Each duty reads its row, does the slow part without a transaction, and writes
what came of it only if the lease is still its own."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from asr.recognizer import Recognizer
from hotline import logs
from hotline.runtime import Runtime
from ivr import settling
from ivr.carrier import CarrierError, PerhapsPlacedError
from ivr.fetching import NotYetError, RefusedError, fetch
from ivr.models import Call, CallStatus
from tickets import handover, promises, return_calls
from tickets.models import Duty, Fetch, Promise, PromiseState, Recording, ReturnTry
from tickets.returns import Outcome
from worker import listening, night

log = logs.logger(__name__)

# 1, 2, 4, 8 … seconds: a recording is often ready a moment after its call, and never after a day
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=30)
FETCH_GIVES_UP_AFTER = timedelta(days=1)
DELETE_TRIES = 8
LOOK_AGAIN = timedelta(minutes=2)  # at a call whose end nobody reported
LONGEST_CALL = timedelta(hours=2)


@dataclass(frozen=True)
class Hands:
    """What keeps promises: the house and, if there is one, its ear."""

    runtime: Runtime
    recognizer: Recognizer | None = None

    def keep(self, promise_id: int) -> bool:
        """Keep one promise if it is due and free; False if there was nothing to do."""
        now = self.runtime.clock()
        with self.runtime.db.writing() as session:
            promise = promises.take(session, promise_id, now, self._lease())
            if promise is None:
                return False
            duty, token = promise.duty, promise.lease_token
            logs.about(
                promise=promise_id, duty=duty.value, ticket=promise.ticket_id, call=promise.call_id
            )
        try:
            DUTIES[duty](self, promise_id, token)
        except Exception:
            log.exception("a promise could not be kept; it will be tried again")
            self._write(
                promise_id,
                token,
                lambda _, p, at: promises.put_off(
                    p, at + waiting(p.attempts), "出了毛病，过会儿再试"
                ),
            )
        finally:
            logs.forget()
        return True

    def _lease(self) -> timedelta:
        """Longer than any duty can take, so that two hands never hold one promise."""
        return timedelta(seconds=2 * self.runtime.settings.transcribe_max_seconds + 120)

    def _write(
        self,
        promise_id: int,
        token: str | None,
        change: Callable[[Session, Promise, datetime], object],
    ) -> bool:
        """Write the result if the lease is still ours; a hand that came back too late writes nothing."""
        with self.runtime.db.writing() as session:
            promise = promises.still_mine(session, promise_id, token)
            if promise is None:
                log.warning("the lease was lost; the result is left to whoever holds it now")
                return False
            change(session, promise, self.runtime.clock())
            return True

    def fetch(self, promise_id: int, token: str | None) -> None:
        """Bring a recording home, and owe its transcription and its deletion at the carrier."""
        runtime = self.runtime
        with runtime.db.reading() as session:
            recording = _recording(session, promise_id)
            url, made_at = recording.url, recording.made_at
        try:
            coming = fetch(runtime.settings, url)
            stored = runtime.store.put(coming.blocks(), coming.extension)
        except NotYetError as error:
            self._not_yet(promise_id, token, made_at, str(error))
            return
        except RefusedError as error:
            log.warning("recording refused", why=str(error))
            self._write(promise_id, token, _give_up_fetching)
            return
        owed: list[int] = []

        def arrived(session: Session, promise: Promise, now: datetime) -> None:
            recording = session.get_one(Recording, promise.recording_id)
            recording.fetch, recording.key, recording.media_type = (
                Fetch.STORED,
                stored.key,
                coming.media_type,
            )
            recording.sha256, recording.size_bytes = stored.sha256, stored.size_bytes
            about: dict[str, Any] = {"recording_id": recording.id, "ticket_id": recording.ticket_id}
            owed.append(promises.make(session, Duty.TRANSCRIBE, now, **about).id)
            owed.append(promises.make(session, Duty.DELETE, now, **about).id)
            promises.settle(promise, PromiseState.KEPT, "录音已取回", now)

        if self._write(promise_id, token, arrived):
            transcription, deletion = owed
            self.keep(transcription)  # at once, not by the bell: somebody may be on the line for it
            runtime.bell.ring(deletion)

    def _not_yet(self, promise_id: int, token: str | None, made_at: datetime, why: str) -> None:
        def later(session: Session, promise: Promise, now: datetime) -> None:
            if now - made_at > FETCH_GIVES_UP_AFTER:
                _give_up_fetching(session, promise, now)
            else:
                promises.put_off(promise, now + waiting(promise.attempts), "录音还没好，过会儿再取")

        log.info("recording not ready", why=why)
        self._write(promise_id, token, later)

    def transcribe(self, promise_id: int, token: str | None) -> None:
        """Write down what the ear hears; the recording stays the request, whatever it hears."""
        runtime = self.runtime
        with runtime.db.reading() as session:
            recording = _recording(session, promise_id)
            recording_id, key = recording.id, recording.key
            known = listening.catalogue(session)
        heard = listening.listen(runtime.store, key, self.recognizer, runtime.settings)
        suggestion = listening.understand(
            heard, known, runtime.settings, recording_id, runtime.clock()
        )

        def heard_it(session: Session, promise: Promise, now: datetime) -> None:
            recording = session.get_one(Recording, recording_id)
            listening.write(session, recording, heard, suggestion, now)
            promises.settle(
                promise, PromiseState.KEPT, "已听写" if heard.trusted else "请听原音", now
            )

        self._write(promise_id, token, heard_it)

    def delete(self, promise_id: int, token: str | None) -> None:
        """Have the carrier forget a recording that is safely ours."""
        with self.runtime.db.reading() as session:
            carrier_id = _recording(session, promise_id).carrier_id
        try:
            self.runtime.carrier.delete_recording(carrier_id)
        except CarrierError as error:
            log.warning("not deleted at the carrier", why=str(error))
            self._write(promise_id, token, _delete_later)
        else:
            self._write(
                promise_id,
                token,
                lambda _, p, at: promises.settle(p, PromiseState.KEPT, "线路上的录音已删", at),
            )

    def settle_call(self, promise_id: int, token: str | None) -> None:
        """Close the books of a call; ask the carrier how it ended if nobody said so."""
        with self.runtime.db.reading() as session:
            call = session.get_one(Call, session.get_one(Promise, promise_id).call_id)
            sid, open_since = call.carrier_sid, call.started_at if call.ended_at is None else None
        known = self.runtime.carrier.look_up(sid) if open_since else None

        def close(session: Session, promise: Promise, now: datetime) -> None:
            call = session.get_one(Call, promise.call_id, with_for_update=True)
            if call.ended_at is None:
                if (
                    known
                    and known.status is CallStatus.UNDER_WAY
                    and now - call.started_at < LONGEST_CALL
                ):
                    promises.put_off(promise, now + LOOK_AGAIN, "电话还没挂")
                    return
                call.status = (
                    known.status
                    if known and known.status is not CallStatus.UNDER_WAY
                    else CallStatus.COMPLETED
                )
                call.seconds, call.ended_at = known.seconds if known else None, now
            promises.settle(
                promise,
                PromiseState.KEPT,
                settling.settle(session, self.runtime.settings, call, now),
                now,
            )

        self._write(promise_id, token, close)

    def return_call(self, promise_id: int, token: str | None) -> None:
        """Ring the resident with news, in their hours, never twice for one promise.

        A try whose end is unknown is looked up first: the phone may have rung although the
        carrier's answer to us was lost.
        """
        if self._look_at_last_try(promise_id, token):
            return
        attempt_token, phone = self._begin_try(promise_id, token)
        if attempt_token is None:
            return
        sid: str | None = None
        try:
            sid = self.runtime.carrier.place_call(phone, attempt_token)
        except PerhapsPlacedError as error:
            log.warning("nobody knows whether the call was placed", why=str(error))
        except CarrierError as error:
            log.warning("call not placed", why=str(error))
            self._finish(attempt_token, Outcome.FAULT)
            return

        def placed(session: Session, promise: Promise, now: datetime) -> None:
            attempt = session.query(ReturnTry).filter_by(token=attempt_token).one()
            attempt.carrier_sid = attempt.carrier_sid or sid
            promises.put_off(promise, now + LOOK_AGAIN)

        self._write(promise_id, token, placed)

    def night_round(self, promise_id: int, token: str | None) -> None:
        """Count, mark and forget; the next round is owed with the end of this one."""
        runtime = self.runtime
        night.go_round(runtime.db, runtime.store, runtime.settings, runtime.clock())

        def done(session: Session, promise: Promise, now: datetime) -> None:
            promises.settle(promise, PromiseState.KEPT, "夜里的事做完了", now)
            session.flush()
            night.owe(session, now)

        self._write(promise_id, token, done)

    def _look_at_last_try(self, promise_id: int, token: str | None) -> bool:
        """Whether an earlier try still stands in the way of a new one."""
        runtime = self.runtime
        with runtime.db.reading() as session:
            attempt = return_calls.unanswered(session.get_one(Promise, promise_id))
            if attempt is None:
                return False
            sid, phone, placed_at, attempt_token = (
                attempt.carrier_sid,
                attempt.phone,
                attempt.placed_at,
                attempt.token,
            )
        if sid:
            known = runtime.carrier.look_up(sid)
        else:
            placed = runtime.carrier.calls_to(phone, placed_at - timedelta(seconds=5))
            known = placed[0] if placed else None
        if known is None:
            self._finish(attempt_token, Outcome.FAULT)
        elif (
            known.status is CallStatus.UNDER_WAY
            and runtime.clock() - placed_at < return_calls.UNDER_WAY
        ):
            self._write(promise_id, token, lambda _, p, at: promises.put_off(p, at + LOOK_AGAIN))
        else:
            status = CallStatus.COMPLETED if known.status is CallStatus.UNDER_WAY else known.status
            with runtime.db.writing() as session:
                attempt = session.query(ReturnTry).filter_by(token=attempt_token).one()
                settling.finish(session, runtime.settings, attempt, status, runtime.clock())
        return True

    def _begin_try(self, promise_id: int, token: str | None) -> tuple[str | None, str]:
        """Write a try down if the resident may be rung now; else put the promise off."""
        settings = self.runtime.settings
        begun: list[tuple[str, str]] = []

        def begin(session: Session, promise: Promise, now: datetime) -> None:
            phone = promise.ticket.phone if promise.ticket else None
            if phone is None:
                promises.settle(promise, PromiseState.OWED, "没有号码，请上门告诉一声", now)
                return
            earliest = return_calls.not_before(session, settings, phone, now)
            if earliest > now:
                promises.put_off(promise, earliest)
                return
            begun.append((return_calls.begin_try(session, promise, phone, now).token, phone))

        self._write(promise_id, token, begin)
        return begun[0] if begun else (None, "")

    def _finish(self, attempt_token: str, outcome: Outcome) -> None:
        with self.runtime.db.writing() as session:
            attempt = session.query(ReturnTry).filter_by(token=attempt_token).one()
            return_calls.finish_try(
                session, self.runtime.settings, attempt, outcome, self.runtime.clock()
            )

    def hand_over(self, promise_id: int, token: str | None) -> None:
        """A shift is over: what is open goes to the next."""
        self._write(promise_id, token, handover.keep)


HANDS: ContextVar[Hands] = ContextVar("hands")

DUTIES: Mapping[Duty, Callable[[Hands, int, str | None], None]] = {
    Duty.FETCH: Hands.fetch,
    Duty.TRANSCRIBE: Hands.transcribe,
    Duty.DELETE: Hands.delete,
    Duty.SETTLE_CALL: Hands.settle_call,
    Duty.RETURN_CALL: Hands.return_call,
    Duty.NIGHT_ROUND: Hands.night_round,
    Duty.HAND_OVER: Hands.hand_over,
}


def waiting(attempts: int) -> timedelta:
    """1, 2, 4, 8 … seconds, at most half an hour."""
    return (
        min(FIRST_WAIT * 2 ** min(attempts - 1, 20), LONGEST_WAIT) if attempts > 0 else FIRST_WAIT
    )


def keep(promise_id: int) -> None:
    """The job on the queue, run in a fork of a process that has set HANDS."""
    HANDS.get().keep(promise_id)


def _recording(session: Session, promise_id: int) -> Recording:
    return session.get_one(Recording, session.get_one(Promise, promise_id).recording_id)


def _give_up_fetching(session: Session, promise: Promise, now: datetime) -> None:
    recording = session.get_one(Recording, promise.recording_id)
    recording.fetch = Fetch.FAILED
    promises.settle(promise, PromiseState.OWED, "录音取不回来，请打电话问一问", now)


def _delete_later(_: Session, promise: Promise, now: datetime) -> None:
    if promise.attempts >= DELETE_TRIES:
        promises.settle(promise, PromiseState.OWED, "线路上的录音没删掉", now)
    else:
        promises.put_off(promise, now + waiting(promise.attempts + 6))
