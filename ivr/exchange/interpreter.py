"""Carries out TwiML on a leg, with Twilio's semantics.

Silence in a <Gather> and an empty <Record> fall through to the next verb. A hang-up during a
<Record> is told to its action as Digits=hangup. A recording that a failing disk cut short, or has
not taken yet, is told to its callback and falls through like an empty one: the caller is asked again. A key stops the prompts of a <Gather>, also one
pressed before it. When the application fails, the fallback address is asked, and when that fails
too the caller hears an apology.
"""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from hotline.clock import Clock
from ivr.exchange import twiml
from ivr.exchange.audio import NoSoundError
from ivr.exchange.call import Call, new_sid
from ivr.exchange.leg import EndedBy, Leg, LegGoneError, Refusal, Take, TakeLimits
from ivr.exchange.recordings import recording_form
from ivr.exchange.reports import Reports
from ivr.exchange.settings import ExchangeSettings
from ivr.exchange.sounds import BEEP, Sounds
from ivr.exchange.store import CallStatus, NotKeptError, RecordingRow, Store, stamp
from ivr.exchange.webhook import WebApp, WebhookError, absolute

log = logging.getLogger(__name__)

MOST_DOCUMENTS = 1000  # a call that asks for ever is in a circle
MOST_IN_A_CIRCLE = 20  # documents without one sound or pause between them
QUICK_SECONDS = 0.2
WRITING_SECONDS = 0.2
TOLD_OF_RECORDING = ("RecordingSid", "RecordingUrl", "RecordingDuration", "ErrorCode")


@dataclass(frozen=True, slots=True)
class Go:
    """Fetch the next document."""

    url: str
    method: str = "POST"
    form: tuple[tuple[str, str], ...] = ()


class End(StrEnum):
    """How a script came to its end."""

    NO_MORE_VERBS = "no more verbs"
    HANGUP = "hangup"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class House:
    """What every call of this exchange shares."""

    settings: ExchangeSettings
    web: WebApp
    sounds: Sounds
    store: Store
    reports: Reports
    clock: Clock
    dial: Callable[[Call, twiml.Dial], Awaitable[dict[str, str]]]


class Interpreter:
    """One script on one call."""

    def __init__(self, house: House, call: Call, leg: Leg, fallback_url: str = "") -> None:
        self._house = house
        self._call = call
        self._leg = leg
        self._fallback_url = fallback_url or house.settings.fallback_url
        self._url = ""

    async def run(self, url: str, method: str = "POST") -> End:
        """From the first document to the last verb; the line is left as it then is."""
        go: Go | None = Go(url, method)
        circle = 0
        for _ in range(MOST_DOCUMENTS):
            assert go is not None  # noqa: S101
            began = asyncio.get_running_loop().time()
            try:
                outcome = await self._document(go)
            except LegGoneError:
                return End.GONE
            except (WebhookError, twiml.BrokenTwimlError, OSError) as error:
                outcome = await self._after_failure(go, error)
            if isinstance(outcome, End):
                return outcome
            go = outcome
            quick = asyncio.get_running_loop().time() - began < QUICK_SECONDS
            circle = circle + 1 if quick else 0
            if circle > MOST_IN_A_CIRCLE:
                break
        log.error("%s goes in a circle and is ended", self._call.sid)
        await self._apologise()
        return End.FAILED

    async def _document(self, go: Go) -> Go | End:
        """Fetch one and carry it out; what follows it."""
        patient = go.url != self._fallback_url  # which is asked when waiting was of no use
        form = self._call.form(**dict(go.form))
        body = await self._house.web.ask(go.url, go.method, form, patient=patient)
        self._url = go.url
        for verb in twiml.read(body):
            if self._leg.gone.is_set():
                return End.GONE
            outcome = await self._perform(verb)
            if outcome is not None:
                return outcome
        return End.GONE if self._leg.gone.is_set() else End.NO_MORE_VERBS

    async def _after_failure(self, go: Go, error: Exception) -> Go | End:
        log.error("%s: %s", self._call.sid, error)
        if self._leg.gone.is_set():
            return End.GONE
        fallback = self._fallback_url
        if not fallback or go.url == fallback:
            await self._apologise()
            return End.FAILED
        code = error.code if isinstance(error, WebhookError) else 12100
        return Go(fallback, "POST", (("ErrorCode", str(code)), ("ErrorUrl", go.url)))

    async def _apologise(self) -> None:
        """The last resort, which needs nobody: words kept in the settings."""
        try:
            await self._pick_up()
            sound = await self._house.sounds.say(self._house.settings.apology)
            await self._leg.play(sound, stop_on_key=False)
        except LegGoneError:
            pass

    async def _perform(self, verb: twiml.Verb) -> Go | End | None:
        """None: on to the next verb."""
        match verb:
            case twiml.Reject():
                return await self._reject(verb)
            case twiml.Redirect():
                return Go(self._resolve(verb.url), verb.method)
            case twiml.Hangup():
                return End.HANGUP
            case twiml.Dial():
                return await self._dial(verb)
        await self._pick_up()
        match verb:
            case twiml.Say() | twiml.Play():
                await self._prompt(verb, stop_on_key=False)
                return None
            case twiml.Gather():
                return await self._gather(verb)
            case twiml.Record():
                return await self._record(verb)

    def _resolve(self, url: str) -> str:
        return absolute(self._url, url)

    async def _pick_up(self) -> None:
        await self._leg.answer()
        if self._call.row.status == CallStatus.RINGING:
            self._call.row.status = CallStatus.IN_PROGRESS.value
            self._call.row.answered_at = stamp(self._house.clock())
            self._call.soon(self._write_down())

    async def _write_down(self) -> None:
        """Keep the answered call, a moment later: twenty that ring at once are answered first."""
        await asyncio.sleep(WRITING_SECONDS)
        await self._house.store.save(self._call.row)

    async def _reject(self, verb: twiml.Reject) -> End:
        await self._leg.refuse(Refusal.BUSY if verb.busy else Refusal.REJECTED)
        await self._call.become(CallStatus.BUSY if verb.busy else CallStatus.NO_ANSWER)
        return End.HANGUP

    # Prompts and keys

    async def _prompt(self, verb: twiml.Say | twiml.Play, *, stop_on_key: bool) -> bool:
        """Play it; whether a key cut it short."""
        keys = self._leg.keys
        try:
            if isinstance(verb, twiml.Say):
                sound = await self._house.sounds.say(verb.text)
            else:
                sound = await self._house.sounds.fetch(self._resolve(verb.url))
        except (WebhookError, NoSoundError) as error:
            # A prompt that is missing must not cost the call: what comes after it matters more.
            log.error("%s: a prompt is left out: %s", self._call.sid, error)
            return False
        for _ in range(verb.loops):
            if self._leg.gone.is_set() or (stop_on_key and keys.waiting):
                break
            await self._leg.play(sound, stop_on_key=stop_on_key)
        return stop_on_key and bool(keys.waiting)

    async def _gather(self, verb: twiml.Gather) -> Go | None:
        for prompt in verb.prompts:
            if self._leg.keys.waiting or self._leg.gone.is_set():
                break
            await self._prompt(prompt, stop_on_key=True)
        digits = ""
        while not verb.num_digits or len(digits) < verb.num_digits:
            key = await self._leg.keys.next(verb.timeout_seconds)
            if key is None or self._leg.gone.is_set() or key in verb.finish_on_key:
                break
            digits += key
        if not digits or (self._leg.gone.is_set() and len(digits) < (verb.num_digits or 1)):
            return None
        return Go(self._resolve(verb.action), verb.method, (("Digits", digits),))

    # Recordings

    async def _record(self, verb: twiml.Record) -> Go | None:
        house, leg = self._house, self._leg
        free = shutil.disk_usage(house.store.recordings_folder).free
        if free < house.settings.min_free_bytes:
            raise OSError(f"only {free // 1_000_000} MB are free; nothing is recorded")
        if verb.play_beep:
            await leg.play(BEEP, stop_on_key=False)
        leg.keys.forget()
        row = RecordingRow(
            sid=new_sid("RE"),
            call_sid=self._call.sid,
            started_at=stamp(house.clock()),
            callback=self._resolve(verb.callback) if verb.callback else "",
            callback_method=verb.callback_method,
        )
        saved = asyncio.get_running_loop().create_task(house.store.save(row))
        limits = TakeLimits(verb.max_seconds, verb.silence_seconds, verb.finish_on_key)
        try:
            take = await leg.record(house.store.wav(row.sid), limits)
        except BaseException:
            row.status = "absent"
            with contextlib.suppress(NotKeptError):  # why it failed is more to the point
                await asyncio.shield(saved)
                await house.store.save(row)
            raise
        await asyncio.gather(saved, return_exceptions=True)  # it is saved again in a moment
        if not take.heard:
            take.path.unlink(missing_ok=True)
            row.status = "absent"
            await house.store.save(row)
            return None
        row.status, row.seconds = "completed", take.seconds
        return await self._after_recording(verb, take, row)

    async def _after_recording(
        self, verb: twiml.Record, take: Take, row: RecordingRow
    ) -> Go | None:
        call = self._call
        cut_short = take.cut_short or (call.broken_off and take.ended_by is EndedBy.HANGUP)
        form = recording_form(row, self._house.settings, cut_short=cut_short)
        told = {name: form[name] for name in TOLD_OF_RECORDING if name in form}
        url = self._resolve(verb.action)
        owed = [(row.callback, row.callback_method, call.form(**form))]
        if take.ended_by is EndedBy.HANGUP:
            # Nobody is on the line any more: a report, which survives a dead application.
            told |= {"Digits": "hangup", "CallStatus": CallStatus.COMPLETED.value}
            owed.append((url, verb.method, call.form(**told)))
        await call.put_down(row, owed, take.keep)
        if take.ended_by is EndedBy.HANGUP or take.cut_short or take.keep is not None:
            return None  # on to what follows an empty one: whoever is there is asked again
        if take.key:
            told["Digits"] = take.key
        return Go(url, verb.method, tuple(told.items()))

    # Other telephones

    async def _dial(self, verb: twiml.Dial) -> Go | None:
        if not verb.answer_on_bridge:
            await self._pick_up()
        numbers = tuple(
            replace(number, whisper_url=self._resolve(number.whisper_url))
            if number.whisper_url
            else number
            for number in verb.numbers
        )
        result = await self._house.dial(self._call, replace(verb, numbers=numbers))
        if not verb.action:
            return None
        url = self._resolve(verb.action)
        if self._leg.gone.is_set():
            told = result | {"CallStatus": CallStatus.COMPLETED.value}
            await self._house.reports.owe(url, verb.method, self._call.form(**told))
            return None
        return Go(url, verb.method, tuple(result.items()))
