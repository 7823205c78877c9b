"""The engine for production: an Asterisk 18 or newer, which speaks to any carrier."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from ivr.exchange import g711
from ivr.exchange.ari import Ari, AriError, Event
from ivr.exchange.audio import NoSoundError, decode, write_wav
from ivr.exchange.keys import Keys
from ivr.exchange.leg import (
    EndedBy,
    Leg,
    LegGoneError,
    NotAnsweredError,
    Outcome,
    Refusal,
    Sound,
    Take,
    TakeLimits,
)
from ivr.exchange.recorder import Ear
from ivr.exchange.safety import Gate
from ivr.exchange.settings import ExchangeSettings

log = logging.getLogger(__name__)

# Q.850 causes, as Asterisk gives them when a channel ends.
BUSY, NO_USER, NO_ANSWER, REJECTED, NORMAL = 17, 18, 19, 21, 16
OUTCOMES = {
    BUSY: Outcome.BUSY,
    REJECTED: Outcome.BUSY,
    NO_USER: Outcome.NO_ANSWER,
    NO_ANSWER: Outcome.NO_ANSWER,
    NORMAL: Outcome.NO_ANSWER,
}
REFUSALS = {Refusal.BUSY: BUSY, Refusal.REJECTED: REJECTED, Refusal.UNAVAILABLE: NO_ANSWER}
SPARE_SECONDS = 5.0  # Asterisk gives up ringing later than we do: ours is the one that counts
FETCH_TRIES = 5


class AsteriskLeg:
    """One channel. See `ivr.exchange.leg.Leg`."""

    def __init__(self, engine: "AsteriskEngine", channel: str, caller: str) -> None:
        self._engine = engine
        self.channel = channel
        self.caller = caller
        self.keys = Keys()
        self.gone = asyncio.Event()
        self.answered = False
        self.finished: dict[str, asyncio.Event] = {}  # playbacks and recordings by name

    def end(self) -> None:
        self.gone.set()
        self.keys.stop_waiting()

    async def answer(self) -> None:
        if self.gone.is_set():
            raise LegGoneError
        if not self.answered:
            self.answered = True
            await self._do("POST", "/answer")

    async def refuse(self, how: Refusal) -> None:
        await self._engine.hang_up(self, REFUSALS[how])

    async def _do(self, method: str, act: str, **params: str | int) -> None:
        try:
            await self._engine.ari.command(method, f"/channels/{self.channel}{act}", **params)
        except AriError as error:
            if error.status in {404, 409, 412} or self.gone.is_set():
                raise LegGoneError from error
            raise

    async def play(self, sound: Sound, *, stop_on_key: bool) -> None:
        if self.gone.is_set() or not sound.alaw:
            return
        name = f"p{secrets.token_hex(8)}"
        media = await self._engine.publish(sound)
        done = self.finished[name] = asyncio.Event()
        if stop_on_key:
            self.keys.on_touch = done.set
        try:
            await self._do("POST", f"/play/{name}", media=f"sound:{media}")
            await self._until(done)
        finally:
            self.keys.on_touch = None
            self.finished.pop(name, None)
            if not self.gone.is_set():
                # Asked for also when it is over; the answer is then 404.
                await self._engine.ari.attempt("DELETE", f"/playbacks/{name}")

    async def repeat(self, sound: Sound) -> None:
        while not self.gone.is_set():
            await self.play(sound, stop_on_key=False)

    async def record(self, path: Path, limits: TakeLimits) -> Take:
        if self.gone.is_set():
            raise LegGoneError
        name = path.stem
        done = self.finished[name] = asyncio.Event()
        # terminateOn=none: ARI does not tell which key ended a recording, so we listen to keys.
        await self._do(
            "POST",
            "/record",
            name=name,
            format="wav",
            maxDurationSeconds=max(1, round(limits.max_seconds)),
            maxSilenceSeconds=max(1, round(limits.silence_seconds)),
            ifExists="overwrite",
            beep="false",
            terminateOn="none",
        )
        key = await self._key_or(done, limits.finish_keys)
        if not done.is_set():
            await self._engine.ari.attempt("POST", f"/recordings/live/{name}/stop")
            async with asyncio.timeout(5):
                await done.wait()  # the file is whole only then
        self.finished.pop(name, None)
        return await self._fetch(path, limits, key)

    async def _key_or(self, done: asyncio.Event, finish_keys: str) -> str:
        while not done.is_set() and not self.gone.is_set():
            key = await self.keys.next(0.1)
            if key is not None and key in finish_keys:
                return key
        return ""

    async def _fetch(self, path: Path, limits: TakeLimits, key: str) -> Take:
        data = b""
        for attempt in range(FETCH_TRIES):
            try:
                data = await self._engine.ari.file(f"/recordings/stored/{path.stem}/file")
                break
            except AriError as error:
                if error.status != 404 or attempt == FETCH_TRIES - 1:
                    raise
                await asyncio.sleep(0.1 * 2**attempt)
        try:
            samples = await asyncio.to_thread(decode, data)
        except NoSoundError:
            samples = g711.decode(g711.SILENCE[g711.PCMA])
        await asyncio.to_thread(write_wav, path, samples)
        await self._engine.ari.attempt("DELETE", f"/recordings/stored/{path.stem}")
        seconds = len(samples) / g711.RATE_HZ
        # The hang-up's own event comes after the end of the recording: give it its moment.
        if not key and not self.gone.is_set():
            await self._engine.settle(self)
        if key:
            ended_by = EndedBy.KEY
        elif self.gone.is_set():
            ended_by = EndedBy.HANGUP
        else:
            full = seconds >= limits.max_seconds - 0.5
            ended_by = EndedBy.LENGTH if full else EndedBy.SILENCE
        return Take(path, seconds, ended_by, key, heard=_heard(g711.encode(samples)))

    async def join(self, other: Leg) -> None:
        assert isinstance(other, AsteriskLeg)  # noqa: S101
        bridge = f"b{secrets.token_hex(8)}"
        await self._engine.ari.command("POST", f"/bridges/{bridge}", type="mixing")
        try:
            await self._engine.ari.command(
                "POST", f"/bridges/{bridge}/addChannel", channel=f"{self.channel},{other.channel}"
            )
            await self._until(other.gone)
        finally:
            await self._engine.ari.attempt("DELETE", f"/bridges/{bridge}")

    async def hang_up(self) -> None:
        await self._engine.hang_up(self, NORMAL if self.answered else NO_ANSWER)

    async def _until(self, event: asyncio.Event) -> None:
        waiters = {asyncio.ensure_future(e.wait()) for e in (event, self.gone)}
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()


class _Dialling:
    """A call of ours that is not answered yet."""

    def __init__(self, leg: AsteriskLeg, on_ringing: Callable[[], None]) -> None:
        self.leg = leg
        self.on_ringing = on_ringing
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class AsteriskEngine:
    """Carries ARI's events to the legs. See `ivr.exchange.leg.Engine`."""

    def __init__(self, settings: ExchangeSettings, gate: Gate) -> None:
        self._settings = settings.asterisk
        self._gate = gate
        self.on_ring: Callable[[Leg], None] = lambda leg: None
        self._legs: dict[str, AsteriskLeg] = {}
        self._dialling: dict[str, _Dialling] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self.ari = Ari(self._settings)
        self.ari.on_event = self._event
        self.ari.on_lost = self._lost
        self._settings.sounds_folder.mkdir(parents=True, exist_ok=True)
        await self.ari.start()
        await self._hang_up_leftovers()

    async def _hang_up_leftovers(self) -> None:
        """Calls of an exchange that is no more: nobody speaks on them."""
        for channel in await self.ari.command("GET", "/channels") or ():
            dialplan = channel.get("dialplan") or {}
            if dialplan.get("app_name") == "Stasis" and dialplan.get("app_data", "").startswith(
                self._settings.app
            ):
                await self.ari.attempt("DELETE", f"/channels/{channel['id']}")

    async def stop(self) -> None:
        for leg in list(self._legs.values()):
            await leg.hang_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ari.stop()

    @property
    def live(self) -> int:
        return len(self._legs)

    @property
    def well(self) -> bool:
        return self.ari.connected.is_set()

    def reaches(self, number: str) -> bool:
        return True  # Asterisk's own trunk decides

    async def publish(self, sound: Sound) -> Path:
        """A file that Asterisk can play; its path without the ending."""
        name = hashlib.sha256(sound.alaw).hexdigest()[:32]
        path = self._settings.sounds_folder / f"{name}.wav"
        if not path.exists():
            await asyncio.to_thread(write_wav, path, g711.decode(sound.alaw))
            path.chmod(0o644)  # Asterisk runs as somebody else
        return path.with_suffix("")

    async def settle(self, leg: AsteriskLeg) -> None:
        """Ask whether the channel still is, where its events may be on their way."""
        try:
            await self.ari.command("GET", f"/channels/{leg.channel}")
        except AriError as error:
            if error.status == 404:
                self._end(leg.channel)

    async def dial(
        self, number: str, caller_id: str, ring_seconds: float, on_ringing: Callable[[], None]
    ) -> AsteriskLeg:
        channel = f"hotline-{secrets.token_hex(8)}"
        leg = AsteriskLeg(self, channel, number)
        dialling = self._dialling[channel] = _Dialling(leg, on_ringing)
        self._legs[channel] = leg
        try:
            await self.ari.command(
                "POST",
                f"/channels/{channel}",
                endpoint=self._settings.endpoint.format(number=number),
                app=self._settings.app,
                appArgs="out",
                callerId=caller_id,
                timeout=round(ring_seconds + SPARE_SECONDS),
            )
            async with asyncio.timeout(ring_seconds):
                await dialling.answer
        except BaseException as error:
            self._end(channel)
            await asyncio.shield(self.ari.attempt("DELETE", f"/channels/{channel}"))
            if isinstance(error, TimeoutError):
                raise NotAnsweredError(Outcome.NO_ANSWER) from error
            if isinstance(error, AriError):
                raise NotAnsweredError(Outcome.FAILED) from error
            raise
        finally:
            self._dialling.pop(channel, None)
        return leg

    async def hang_up(self, leg: AsteriskLeg, cause: int) -> None:
        if not leg.gone.is_set():
            self._end(leg.channel)
            await self.ari.attempt("DELETE", f"/channels/{leg.channel}", reason_code=cause)

    # Events

    def _event(self, event: Event) -> None:
        kind = event.get("type", "")
        channel = (event.get("channel") or {}).get("id", "")
        if kind == "StasisStart":
            self._started(event, channel)
        elif kind == "ChannelDtmfReceived" and channel in self._legs:
            self._legs[channel].keys.press(str(event.get("digit", "")))
        elif kind == "PlaybackFinished":
            self._over(str(event["playback"]["id"]))
            if event["playback"].get("state") == "failed":
                log.error("Asterisk could not play %s", event["playback"].get("media_uri"))
        elif kind in {"RecordingFinished", "RecordingFailed"}:
            self._over(str(event["recording"]["name"]))
        elif kind == "ChannelStateChange" and channel in self._dialling:
            if event["channel"].get("state") == "Ringing":
                self._dialling[channel].on_ringing()
        elif kind in {"ChannelHangupRequest", "StasisEnd", "ChannelDestroyed"}:
            self._ended(channel, int(event.get("cause") or 0), kind)

    def _started(self, event: Event, channel: str) -> None:
        if channel in self._dialling:
            leg = self._legs[channel]
            leg.answered = True
            if not self._dialling[channel].answer.done():
                self._dialling[channel].answer.set_result(None)
            return
        if "out" in event.get("args", ()):  # answered after we had given up
            self._spawn(self.ari.attempt("DELETE", f"/channels/{channel}"))
            return
        number = str((event["channel"].get("caller") or {}).get("number") or "anonymous")
        if (reason := self._gate.refuses_another()) is not None:
            log.warning("a call is turned away: %s", reason)
            self._spawn(self.ari.attempt("DELETE", f"/channels/{channel}", reason_code=BUSY))
            return
        leg = self._legs[channel] = AsteriskLeg(self, channel, number)
        self._spawn(self.ari.attempt("POST", f"/channels/{channel}/ring"))
        self.on_ring(leg)

    def _over(self, name: str) -> None:
        for leg in self._legs.values():
            if name in leg.finished:
                leg.finished[name].set()

    def _ended(self, channel: str, cause: int, kind: str) -> None:
        dialling = self._dialling.get(channel)
        if dialling is not None and not dialling.answer.done():
            if kind != "ChannelDestroyed":
                return  # the cause comes with that
            outcome = OUTCOMES.get(cause, Outcome.FAILED)
            dialling.answer.set_exception(NotAnsweredError(outcome))
        self._end(channel)

    def _end(self, channel: str) -> None:
        leg = self._legs.pop(channel, None)
        if leg is not None:
            leg.end()
            for event in leg.finished.values():
                # A recording's own end comes too, before or after; playbacks end with the line.
                asyncio.get_running_loop().call_later(1.0, event.set)

    def _lost(self) -> None:
        """Without events nothing can be led on: every call is let go."""
        for channel in list(self._legs):
            self._end(channel)
        self._spawn(self._tidy_up())

    async def _tidy_up(self) -> None:
        await self.ari.connected.wait()
        try:
            await self._hang_up_leftovers()
        except AriError as error:
            log.error("%s", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _heard(alaw: bytes) -> bool:
    ear = Ear()
    for at in range(0, len(alaw), g711.FRAME):
        ear.hears(alaw[at : at + g711.FRAME], g711.PCMA)
    return ear.heard
