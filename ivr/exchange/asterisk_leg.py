"""One channel of an Asterisk."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ivr.exchange import g711
from ivr.exchange.ari import AriError
from ivr.exchange.asterisk_recordings import fetch
from ivr.exchange.audio import write_wav
from ivr.exchange.keys import Keys
from ivr.exchange.leg import EndedBy, Leg, LegGoneError, Refusal, Sound, Take, TakeLimits
from ivr.exchange.recorder import was_heard

if TYPE_CHECKING:
    from ivr.exchange.asterisk import AsteriskEngine

log = logging.getLogger(__name__)

BUSY, NO_ANSWER, REJECTED, NORMAL = 17, 19, 21, 16  # Q.850 causes
REFUSALS = {Refusal.BUSY: BUSY, Refusal.REJECTED: REJECTED, Refusal.UNAVAILABLE: NO_ANSWER}
WHOLE_SECONDS = 5.0  # a recording that has ended is a whole file long before
# Mean magnitude of a frame, -55 dBov. Asterisk's own 256 is -41, and an old person far from the
# handset is at -50: her message would end while she speaks. A line at rest is below -65.
TALK_MAGNITUDE = 48
PAUSE_SECONDS = 0.5  # in talk, and it goes on


class Talk:
    """Whether somebody is speaking, by Asterisk's word."""

    def __init__(self) -> None:
        self._going_on = False
        self._ended_at = 0.0

    def tell(self, *, going_on: bool) -> None:
        self._going_on = going_on
        self._ended_at = time.monotonic() - PAUSE_SECONDS

    def silent_seconds(self, since: float) -> float:
        """For how long nothing was said, counted from `since`, of the monotonic clock, at most."""
        return 0.0 if self._going_on else time.monotonic() - max(self._ended_at, since)


class AsteriskLeg:
    """See `ivr.exchange.leg.Leg`."""

    def __init__(self, engine: "AsteriskEngine", channel: str, caller: str) -> None:
        self._engine = engine
        self.channel = channel
        self.caller = caller
        self.keys = Keys()
        self.gone = asyncio.Event()
        self.answered = False
        self.talk = Talk()
        self._tells_talk: bool | None = None  # whether Asterisk does; None: not asked yet

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
        media = await self._engine.sounds.publish(sound)
        touched = asyncio.Event()
        if stop_on_key:
            self.keys.on_touch = touched.set
        with self._engine.awaiting(name) as over:
            try:
                await self._do("POST", f"/play/{name}", media=f"sound:{media}")
                await _first(over, touched, self.gone)
            finally:
                self.keys.on_touch = None
                if not self.gone.is_set():
                    if not over.is_set():
                        await self._engine.ari.attempt("DELETE", f"/playbacks/{name}")
                    # Asterisk sends nothing of its own accord; boxes and carriers drop a call
                    # in which nothing comes.
                    self._engine.try_soon("POST", f"/channels/{self.channel}/silence")

    async def repeat(self, sound: Sound) -> None:
        while not self.gone.is_set():
            await self.play(sound, stop_on_key=False)

    async def record(self, path: Path, limits: TakeLimits) -> Take:
        if self.gone.is_set():
            raise LegGoneError
        name = path.stem
        tells = await self._hear_talk()
        with self._engine.awaiting(name) as over:
            # terminateOn=none: ARI does not tell which key ended a recording, so we listen to keys.
            await self._do(
                "POST",
                "/record",
                name=name,
                format="wav",
                maxDurationSeconds=max(1, round(limits.max_seconds)),
                maxSilenceSeconds=0 if tells else max(1, round(limits.silence_seconds)),
                ifExists="overwrite",
                beep="false",
                terminateOn="none",
            )
            key = await self._key_or(over, limits, tells=tells)
            if not over.is_set():
                if not self.gone.is_set():  # a hang-up ends it by itself, a moment later
                    await self._engine.ari.attempt("POST", f"/recordings/live/{name}/stop")
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), WHOLE_SECONDS)
        cut_short = name in self._engine.failed
        self._engine.failed.discard(name)
        return await self._fetch(path, limits, key, cut_short=cut_short)

    async def _hear_talk(self) -> bool:
        """Ask to be told when somebody speaks, softly or not; an old Asterisk may not know how."""
        if self._tells_talk is None:
            value = f"{round(PAUSE_SECONDS * 1000)},{TALK_MAGNITUDE}"
            try:
                await self._do("POST", "/variable", variable="TALK_DETECT(set)", value=value)
                self._tells_talk = True
            except AriError as error:
                log.warning("Asterisk has no TALK_DETECT, and may cut soft speech: %s", error)
                self._tells_talk = False
        return self._tells_talk

    async def _key_or(self, over: asyncio.Event, limits: TakeLimits, *, tells: bool) -> str:
        """The key that ends a recording, or "" when something else does."""
        began = time.monotonic()
        while not over.is_set() and not self.gone.is_set():
            key = await self.keys.next(0.1)
            if key is not None and key in limits.finish_keys:
                return key
            if tells and self.talk.silent_seconds(began) >= limits.silence_seconds:
                return ""
        return ""

    async def _fetch(self, path: Path, limits: TakeLimits, key: str, *, cut_short: bool) -> Take:
        samples = await fetch(self._engine.ari, path.stem)
        keep: Callable[[], object] | None = partial(write_wav, path, samples)
        try:
            await asyncio.to_thread(write_wav, path, samples)
        except OSError as error:  # Asterisk has it still, for the next start if need be
            log.error("a recording cannot be kept yet: %s", error)
        else:
            keep = None
            await self._engine.ari.attempt("DELETE", f"/recordings/stored/{path.stem}")
        seconds = len(samples) / g711.RATE_HZ
        # The hang-up's own event may come after the end of the recording: ask.
        if not key and not self.gone.is_set():
            await self._engine.settle(self)
        if key:
            ended_by = EndedBy.KEY
        elif self.gone.is_set():
            ended_by = EndedBy.HANGUP
        else:
            full = seconds >= limits.max_seconds - 0.5
            ended_by = EndedBy.LENGTH if full else EndedBy.SILENCE
        heard = was_heard(g711.encode(samples))
        return Take(path, seconds, ended_by, key, heard=heard, cut_short=cut_short, keep=keep)

    async def join(self, other: Leg) -> None:
        assert isinstance(other, AsteriskLeg)  # noqa: S101
        ari, bridge = self._engine.ari, f"b{secrets.token_hex(8)}"
        both = (self.channel, other.channel)
        await ari.command("POST", f"/bridges/{bridge}", type="mixing")
        with self._engine.awaiting(left_bridge(bridge, self.channel)) as left:
            try:
                for channel in both:
                    await ari.attempt("DELETE", f"/channels/{channel}/silence")
                await ari.command("POST", f"/bridges/{bridge}/addChannel", channel=",".join(both))
                await _first(other.gone, self.gone)
            finally:
                await ari.attempt("DELETE", f"/bridges/{bridge}")
            with suppress(TimeoutError):  # until then it can neither be played to nor recorded
                await asyncio.wait_for(_first(left, self.gone), WHOLE_SECONDS)

    async def hang_up(self) -> None:
        await self._engine.hang_up(self, NORMAL if self.answered else NO_ANSWER)


def left_bridge(bridge: str, channel: str) -> str:
    """The name under which the engine tells that a channel is on its own again."""
    return f"{bridge} without {channel}"


async def _first(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    waiters = {asyncio.ensure_future(event.wait()) for event in events}
    try:
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
