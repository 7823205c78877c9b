"""One call of the pure-Python engine."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aiosipua.incoming_call import IncomingCall
from aiosipua.outgoing_call import OutgoingCall
from aiosipua.sdp import SdpMessage

from ivr.exchange.keys import Keys
from ivr.exchange.leg import (
    EndedBy,
    Leg,
    LegGoneError,
    Refusal,
    Sound,
    Take,
    TakeLimits,
)
from ivr.exchange.media import Media, Prompt
from ivr.exchange.recorder import Recorder

if TYPE_CHECKING:
    from ivr.exchange.sip import SipEngine

log = logging.getLogger(__name__)


class SipLeg:
    """See `ivr.exchange.leg.Leg`."""

    def __init__(self, engine: "SipEngine", call_id: str, caller: str, law: int) -> None:
        self._engine = engine
        self.call_id = call_id
        self.caller = caller
        self.law = law
        self.keys = Keys()
        self.gone = asyncio.Event()
        self.incoming: IncomingCall | None = None
        self.outgoing: OutgoingCall | None = None
        self.sdp_answer: SdpMessage | None = None
        self.opening: asyncio.Task[None] | None = None  # until there is media
        self.media: Media | None = None
        self.held = False
        self._began = 0.0  # when the call was answered, by the monotonic clock

    # What the engine tells

    def begin(self) -> None:
        """The call is answered: sound flows."""
        assert self.media is not None  # noqa: S101
        self._began = time.monotonic()
        self.media.sending = True

    def say_ringing(self) -> None:
        if self.incoming is not None and not self.incoming._answered and not self.gone.is_set():
            self.incoming.ringing()

    def end(self) -> None:
        self.gone.set()
        self.keys.stop_waiting()
        if self.media is not None:
            self.media.sending = False
            self.media.on_frame = None

    def tick(self, now: float) -> None:
        if self.media is None:
            return
        self.media.tick(now)
        if self._began and not self.gone.is_set() and self._is_deaf(now):
            log.warning("no sound comes on a line: it is ended")
            self._engine.end(self)

    def _is_deaf(self, now: float) -> bool:
        """Not one packet, never or for long: nobody can be on that line."""
        assert self.media is not None  # noqa: S101
        settings, heard_at = self._engine.settings, self.media.heard_at
        if not heard_at:
            return now - self._began > settings.no_media_seconds
        patience = settings.held_media_seconds if self.held else settings.lost_media_seconds
        return now - heard_at > patience

    # What the interpreter asks

    async def answer(self) -> None:
        if self.opening is not None:
            await asyncio.shield(self.opening)
        if self.gone.is_set():
            raise LegGoneError
        if self.incoming is not None and not self.incoming._answered:
            self.incoming.accept(self.sdp_answer)
            self.begin()

    async def refuse(self, how: Refusal) -> None:
        if self.incoming is not None and not self.gone.is_set():
            self._engine.turn_away(self, how)

    async def play(self, sound: Sound, *, stop_on_key: bool) -> None:
        if self.gone.is_set() or self.media is None or not sound.alaw:
            return
        prompt = Prompt(sound.alaw, self.law)
        if stop_on_key:
            self.keys.on_touch = prompt.done.set
        self.media.start_prompt(prompt)
        try:
            await self._until_gone_or(prompt.done)
        finally:
            self.keys.on_touch = None
            self.media.stop_prompt()

    async def repeat(self, sound: Sound) -> None:
        if self.media is None:
            return
        self.media.start_prompt(Prompt(sound.alaw, self.law, loops=True))
        try:
            await self.gone.wait()
        finally:
            self.media.stop_prompt()

    async def record(self, path: Path, limits: TakeLimits) -> Take:
        if self.gone.is_set() or self.media is None:
            raise LegGoneError
        recorder = Recorder(path, self.law, limits)
        self.media.on_frame = recorder.put
        try:
            ended_by, key = await self._listen(recorder, limits)
        except BaseException:
            recorder.discard()
            raise
        finally:
            self.media.on_frame = None
        if not recorder.heard:
            recorder.discard()
            return Take(path, recorder.kept_seconds, ended_by, key, heard=False)
        take = Take(path, recorder.kept_seconds, ended_by, key)
        try:
            await asyncio.to_thread(recorder.finish)
        except OSError as error:
            log.error("a recording of %.0f s cannot be kept yet: %s", take.seconds, error)
            return replace(take, keep=recorder.finish)
        return replace(take, seconds=recorder.kept_seconds)

    async def _listen(self, recorder: Recorder, limits: TakeLimits) -> tuple[EndedBy, str]:
        while True:
            key = await self.keys.next(0.1)
            if key is not None and key in limits.finish_keys:
                return EndedBy.KEY, key
            if self.gone.is_set():
                return EndedBy.HANGUP, ""
            if recorder.too_long:
                return EndedBy.LENGTH, ""
            if recorder.too_silent:
                return EndedBy.SILENCE, ""

    async def join(self, other: Leg) -> None:
        assert isinstance(other, SipLeg)  # noqa: S101
        if self.media is None or other.media is None:
            return
        mine, theirs = self.media, other.media
        mine.on_frame = lambda payload, _: theirs.take_from_other(payload, self.law)
        theirs.on_frame = lambda payload, _: mine.take_from_other(payload, other.law)
        try:
            await self._until_gone_or(other.gone)
        finally:
            mine.on_frame = theirs.on_frame = None

    async def hang_up(self) -> None:
        self._engine.end(self)

    async def _until_gone_or(self, event: asyncio.Event) -> None:
        gone = asyncio.ensure_future(self.gone.wait())
        other = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({gone, other}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in (gone, other):
                waiter.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(gone, other, return_exceptions=True)
