"""One channel of an Asterisk."""

import asyncio
import secrets
from contextlib import suppress
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

BUSY, NO_ANSWER, REJECTED, NORMAL = 17, 19, 21, 16  # Q.850 causes
REFUSALS = {Refusal.BUSY: BUSY, Refusal.REJECTED: REJECTED, Refusal.UNAVAILABLE: NO_ANSWER}
WHOLE_SECONDS = 5.0  # a recording that has ended is a whole file long before


class AsteriskLeg:
    """See `ivr.exchange.leg.Leg`."""

    def __init__(self, engine: "AsteriskEngine", channel: str, caller: str) -> None:
        self._engine = engine
        self.channel = channel
        self.caller = caller
        self.keys = Keys()
        self.gone = asyncio.Event()
        self.answered = False

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
        with self._engine.awaiting(name) as over:
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
            key = await self._key_or(over, limits.finish_keys)
            if not over.is_set():
                if not self.gone.is_set():  # a hang-up ends it by itself, a moment later
                    await self._engine.ari.attempt("POST", f"/recordings/live/{name}/stop")
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), WHOLE_SECONDS)
        return await self._fetch(path, limits, key)

    async def _key_or(self, over: asyncio.Event, finish_keys: str) -> str:
        while not over.is_set() and not self.gone.is_set():
            key = await self.keys.next(0.1)
            if key is not None and key in finish_keys:
                return key
        return ""

    async def _fetch(self, path: Path, limits: TakeLimits, key: str) -> Take:
        samples = await fetch(self._engine.ari, path.stem)
        await asyncio.to_thread(write_wav, path, samples)
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
        return Take(path, seconds, ended_by, key, heard=was_heard(g711.encode(samples)))

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
