"""Keeping promises. Each duty reads its row, does the slow part without a transaction, and writes
what came of it only if the lease is still its own."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from asr.booth import Booth
from asr.recognizer import Recognizer
from hotline import logs
from hotline.runtime import Runtime
from hotline.training import holding
from ivr import settling, spoken_takes, studio
from ivr.carrier import CarrierError
from ivr.fetching import NotYetError, RefusedError, fetch
from ivr.models import Call, CallStatus
from ivr.takes import Fault, Take
from tickets import bridges, handover, notices, promises, return_calls, volunteer_calls
from tickets.models import Duty, Fetch, Promise, PromiseState, Recording
from worker import bookkeeping, holders, leases, listening, night
from worker.notifying import send
from worker.ringing import LOOK_AGAIN, Ringing

log = logs.logger(__name__)

# 1, 2, 4, 8 … seconds: a recording is often ready a moment after its call, and never after a day
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=30)
FETCH_GIVES_UP_AFTER = timedelta(days=1)
DELETE_TRIES = 8
NOTICE_TRIES = 8  # the last about half an hour after the first
LONGEST_CALL = timedelta(hours=2)


@dataclass(frozen=True)
class Hands:
    """What keeps promises: the house and, if there is one, its ear."""

    runtime: Runtime
    recognizer: Recognizer | None = None

    def keep(self, promise_id: int) -> bool:
        """Keep one promise if it is due and free; False if there was nothing to do."""
        self.runtime.rules.look()
        now = self.runtime.clock()
        with self.runtime.db.writing() as session:
            promise = promises.take(session, promise_id, now, self._lease(), holders.draw_token())
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

    @cached_property
    def _booth(self) -> Booth:
        return listening.open_booth(self.recognizer, self.runtime.settings)

    def open_booth(self) -> None:
        """Fork the child that listens; else the first recording does."""
        self._booth.open()

    def close(self) -> None:
        self._booth.close()

    def _lease(self) -> timedelta:
        """Longer than any duty can take, so that two hands never hold one promise."""
        return timedelta(seconds=2 * self.runtime.settings.transcribe_max_seconds + 120)

    def _write(
        self,
        promise_id: int,
        token: str | None,
        change: leases.Change,
    ) -> bool:
        return leases.write(self.runtime, promise_id, token, change)

    def fetch(self, promise_id: int, token: str | None) -> None:
        """Bring a recording home, and owe its transcription and its deletion at the carrier."""
        runtime = self.runtime
        with runtime.db.reading() as session:
            recording = _recording(session, promise_id)
            url, made_at, owner = recording.url, recording.made_at, str(recording.id)
        try:
            coming = fetch(holding(runtime.settings, url), url)
            stored = runtime.store.put(coming.blocks(), coming.extension, owner=owner)
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
            of_prompt = session.scalar(select(Take.id).where(Take.recording_id == recording.id))
            next_duty = Duty.LEVEL if of_prompt else Duty.TRANSCRIBE
            owed.append(promises.make(session, next_duty, now, **about).id)
            owed.append(promises.make(session, Duty.DELETE, now, **about).id)
            promises.settle(promise, PromiseState.KEPT, "录音已取回", now)

        if self._write(promise_id, token, arrived):
            hearing, deletion = owed
            self.keep(hearing)  # at once, not by the bell: somebody may be on the line for it
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
        heard = listening.listen(runtime.store, key, self._booth)
        suggestion = listening.understand(
            heard, known, runtime.settings, recording_id, runtime.clock()
        )

        def heard_it(session: Session, promise: Promise, now: datetime) -> None:
            recording = session.get_one(Recording, recording_id)
            listening.write(session, runtime.settings, recording, heard, suggestion, now)
            promises.settle(
                promise, PromiseState.KEPT, "已听写" if heard.trusted else "请听原音", now
            )

        self._write(promise_id, token, heard_it)

    def level(self, promise_id: int, token: str | None) -> None:
        """Make what was spoken of a prompt fit for the line, and use it if that was wanted."""
        runtime = self.runtime
        with runtime.db.reading() as session:
            recording = _recording(session, promise_id)
            recording_id, key, media_type = recording.id, recording.key, recording.media_type
        with runtime.store.as_file(key or "") as file:
            sound = studio.bring_home(runtime.prompt_store, file, media_type)

        def levelled(session: Session, promise: Promise, now: datetime) -> None:
            asked = select(Take).where(Take.recording_id == recording_id).with_for_update()
            take = session.scalars(asked).one()
            studio.give_sound(take, sound)
            spoken_takes.use_if_wanted(session, runtime.settings, take, now)
            promises.settle(promise, PromiseState.KEPT, "提示语的录音整理好了", now)

        self._write(promise_id, token, levelled)

    def delete(self, promise_id: int, token: str | None) -> None:
        """Have the carrier forget a recording that is safely ours."""
        with self.runtime.db.reading() as session:
            recording = _recording(session, promise_id)
            carrier_id, url = recording.carrier_id, recording.url
        try:
            self.runtime.carrier_of(test=self.runtime.browsers.keeps(url)).delete_recording(
                carrier_id
            )
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
            sid, is_open = call.carrier_sid, call.ended_at is None
            carrier = self.runtime.carrier_of(test=call.test)
        known = carrier.look_up(sid) if is_open else None

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
        """Ring a resident with all the news there is for them, in their hours."""
        settings = self.runtime.settings
        Ringing(self.runtime, promise_id, token).ring(
            lambda session, promise, line, now: return_calls.begin(
                session, settings, promise, line, now
            )
        )

    def tell_volunteer(self, promise_id: int, token: str | None) -> None:
        """Ring whoever is on duty, or is to take a request, in their duty hours."""
        settings = self.runtime.settings
        Ringing(self.runtime, promise_id, token).ring(
            lambda session, promise, line, now: volunteer_calls.begin(
                session, settings, promise, line, now
            )
        )

    def bridge(self, promise_id: int, token: str | None) -> None:
        """Ring whoever has pressed at the desk, and through their call the resident."""
        settings = self.runtime.settings
        Ringing(self.runtime, promise_id, token).ring(
            lambda session, promise, line, now: bridges.begin(session, settings, promise, line, now)
        )

    def night_round(self, promise_id: int, token: str | None) -> None:
        """Count, mark and forget; the next round is owed with the end of this one."""
        runtime = self.runtime
        night.go_round(runtime.db, runtime.store, runtime.settings, runtime.clock())

        def done(session: Session, promise: Promise, now: datetime) -> None:
            promises.settle(promise, PromiseState.KEPT, "夜里的事做完了", now)
            session.flush()
            night.owe(session, now)

        self._write(promise_id, token, done)

    def notice(self, promise_id: int, token: str | None) -> None:
        """Send the volunteers' groups a word."""
        runtime = self.runtime
        with runtime.db.reading() as session:
            promise = session.get_one(Promise, promise_id)
            why = notices.Why(promise.notice or "")
            counted = {each.id for each in notices.together(session, promise, runtime.clock())}
        sent = send(runtime.settings, notices.text(why, len(counted)))

        def told(session: Session, promise: Promise, now: datetime) -> None:
            if sent:
                for each in notices.together(session, promise, now):
                    if each.id in counted:
                        promises.settle(each, PromiseState.KEPT, "群里说了", now)
            elif promise.attempts >= NOTICE_TRIES:
                promises.settle(promise, PromiseState.OWED, notices.GIVEN_UP, now)
            else:
                promises.put_off(promise, now + waiting(promise.attempts + 4))

        self._write(promise_id, token, told)

    def hand_over(self, promise_id: int, token: str | None) -> None:
        """A shift is over: what is open goes to the next."""
        self._write(promise_id, token, handover.keep)


HANDS: ContextVar[Hands] = ContextVar("hands")

DUTIES: Mapping[Duty, Callable[[Hands, int, str | None], None]] = {
    Duty.FETCH: Hands.fetch,
    Duty.TRANSCRIBE: Hands.transcribe,
    Duty.LEVEL: Hands.level,
    Duty.DELETE: Hands.delete,
    Duty.SETTLE_CALL: Hands.settle_call,
    Duty.RETURN_CALL: Hands.return_call,
    Duty.TELL_VOLUNTEER: Hands.tell_volunteer,
    Duty.BRIDGE: Hands.bridge,
    Duty.NOTICE: Hands.notice,
    Duty.NIGHT_ROUND: Hands.night_round,
    Duty.VERIFY: lambda hands, *about: bookkeeping.verify(hands.runtime, *about),
    Duty.SEAL: lambda hands, *about: bookkeeping.seal(hands.runtime, *about),
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
    session.execute(
        update(Take).where(Take.recording_id == recording.id).values(fault=Fault.NO_SOUND)
    )
    promises.settle(promise, PromiseState.OWED, "录音取不回来，请打电话问一问", now)


def _delete_later(_: Session, promise: Promise, now: datetime) -> None:
    if promise.attempts >= DELETE_TRIES:
        promises.settle(promise, PromiseState.OWED, "线路上的录音没删掉", now)
    else:
        promises.put_off(promise, now + waiting(promise.attempts + 6))
