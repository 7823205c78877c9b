"""The engine for production: an Asterisk 18 or newer, which speaks to any carrier."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ivr.exchange.ari import Ari, AriError, Event
from ivr.exchange.asterisk_leg import (
    BUSY,
    NO_ANSWER,
    NORMAL,
    REJECTED,
    AsteriskLeg,
    left_bridge,
)
from ivr.exchange.asterisk_recordings import hang_up_leftovers, salvage
from ivr.exchange.leg import Leg, NotAnsweredError, Outcome
from ivr.exchange.safety import Gate
from ivr.exchange.settings import ExchangeSettings
from ivr.exchange.sound_folder import SoundFolder

log = logging.getLogger(__name__)

# Q.850 causes of a call that was not answered; any other is "failed".
NO_USER = 18
OUTCOMES = {
    BUSY: Outcome.BUSY,
    REJECTED: Outcome.BUSY,
    NO_USER: Outcome.NO_ANSWER,
    NO_ANSWER: Outcome.NO_ANSWER,
    NORMAL: Outcome.NO_ANSWER,
}
SPARE_SECONDS = 5.0  # Asterisk gives up ringing later than we do: ours is the one that counts


class _Dialling:
    """A call of ours that is not answered yet."""

    def __init__(self, leg: AsteriskLeg, on_ringing: Callable[[], None]) -> None:
        self.leg = leg
        self.on_ringing = on_ringing
        self.rang = False
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class AsteriskEngine:
    """Carries ARI's events to the legs. See `ivr.exchange.leg.Engine`."""

    def __init__(self, settings: ExchangeSettings, gate: Gate) -> None:
        self._settings = settings.asterisk
        self._gate = gate
        self.on_ring: Callable[[Leg], None] = lambda leg: None
        self.sounds = SoundFolder(self._settings.sounds_folder)
        self._legs: dict[str, AsteriskLeg] = {}
        self._dialling: dict[str, _Dialling] = {}
        self._awaited: dict[str, asyncio.Event] = {}  # ends of things, by name
        self.failed: set[str] = set()  # recordings that Asterisk could not go on with
        self._tasks: set[asyncio.Task[None]] = set()

    async def salvage(self, folder: Path) -> None:
        """End what a crash left going on, and bring its recordings home."""
        ari = Ari(self._settings)
        await ari.open()
        try:
            await hang_up_leftovers(ari, self._settings.app)
            await salvage(ari, folder)
        finally:
            await ari.stop()

    async def start(self) -> None:
        self.ari = Ari(self._settings)
        self.ari.on_event = self._event
        self.ari.on_lost = self._lost
        self.sounds.open()
        await self.ari.open()
        await self.ari.listen()

    async def stop(self) -> None:
        for leg in list(self._legs.values()):
            await leg.hang_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ari.stop()
        self.sounds.close()

    @property
    def live(self) -> int:
        return len(self._legs)

    @property
    def well(self) -> bool:
        return self.ari.connected.is_set()

    def reaches(self, number: str) -> bool:
        return True  # Asterisk's own trunk decides

    @contextmanager
    def awaiting(self, name: str) -> Iterator[asyncio.Event]:
        """Set when this playback, recording or stay in a bridge is over."""
        over = self._awaited[name] = asyncio.Event()
        try:
            yield over
        finally:
            self._awaited.pop(name, None)

    def try_soon(self, method: str, path: str) -> None:
        """A command that nobody waits for."""
        self._spawn(self.ari.attempt(method, path))

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
            self._played(event["playback"])
        elif kind in {"RecordingFinished", "RecordingFailed"}:
            name = str(event["recording"]["name"])
            if kind == "RecordingFailed" and name in self._awaited:
                log.error("Asterisk could not go on recording: %s", event["recording"].get("cause"))
                self.failed.add(name)
            self._over(name)
        elif kind in {"ChannelTalkingStarted", "ChannelTalkingFinished"} and channel in self._legs:
            self._legs[channel].talk.tell(going_on=kind == "ChannelTalkingStarted")
        elif kind == "ChannelLeftBridge":
            self._over(left_bridge(str(event["bridge"]["id"]), channel))
        elif kind == "ChannelStateChange" and channel in self._dialling:
            if event["channel"].get("state") == "Ringing":
                self._dialling[channel].rang = True
                self._dialling[channel].on_ringing()
        elif kind in {"ChannelHangupRequest", "StasisEnd", "ChannelDestroyed"}:
            self._ended(channel, event)

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
        if any(str(arg).startswith("prohib") for arg in event.get("args", ())):
            number = "anonymous"
        if (reason := self._gate.refuses_another()) is not None:
            log.warning("a call is turned away: %s", reason)
            self._spawn(self.ari.attempt("DELETE", f"/channels/{channel}", reason_code=BUSY))
            return
        leg = self._legs[channel] = AsteriskLeg(self, channel, number)
        self._spawn(self.ari.attempt("POST", f"/channels/{channel}/ring"))
        self.on_ring(leg)

    def _played(self, playback: dict[str, str]) -> None:
        self._over(playback["id"])
        lives = playback.get("target_uri", "").removeprefix("channel:") in self._legs
        if lives and playback.get("state") == "failed":  # a hang-up is a failure to Asterisk too
            log.error("Asterisk could not play %s", playback.get("media_uri"))

    def _over(self, name: str) -> None:
        if name in self._awaited:
            self._awaited[name].set()

    def _ended(self, channel: str, event: Event) -> None:
        dialling = self._dialling.get(channel)
        if dialling is not None and not dialling.answer.done():
            if event["type"] != "ChannelDestroyed":
                return  # the cause comes with that
            cause = int(event.get("cause") or 0)
            outcome = OUTCOMES.get(cause, Outcome.FAILED)
            if cause == NO_USER and not dialling.rang:
                outcome = Outcome.FAILED  # not the telephone: the box never said a word
            dialling.answer.set_exception(
                NotAnsweredError(outcome, int(event.get("tech_cause") or 0))  # newer ones tell
            )
        self._end(channel)

    def _end(self, channel: str) -> None:
        leg = self._legs.pop(channel, None)
        if leg is not None:
            leg.end()

    def _lost(self) -> None:
        """Without events nothing can be led on: every call is let go."""
        for channel in list(self._legs):
            self._end(channel)
        for over in self._awaited.values():
            over.set()
        self._spawn(self._tidy_up())

    async def _tidy_up(self) -> None:
        await self.ari.connected.wait()
        try:
            await hang_up_leftovers(self.ari, self._settings.app)
        except AriError as error:
            log.error("%s", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
