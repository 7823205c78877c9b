"""What the exchange plays: the application's files, spoken words and tones, all at 8 kHz."""

import asyncio
import logging
import re
import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from ivr.exchange import g711
from ivr.exchange.audio import decode, tone
from ivr.exchange.g711 import RATE_HZ
from ivr.exchange.leg import Sound
from ivr.exchange.speech import Speaker
from ivr.exchange.webhook import Fetched, WebApp

log = logging.getLogger(__name__)

KEPT_BYTES = 32_000_000  # about an hour of prompts


@dataclass(slots=True)
class _Kept:
    sound: Sound
    etag: str
    last_modified: str
    fresh_until: float


class Sounds:
    """Everything is made or fetched once and kept."""

    def __init__(self, web: WebApp, speaker: Speaker) -> None:
        self._web = web
        self._speaker = speaker
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    async def fetch(self, url: str) -> Sound:
        """A file of the application; raises WebhookError or NoSoundError."""
        kept = self._kept.get(url)
        if kept is not None and time.monotonic() < kept.fresh_until:
            self._kept.move_to_end(url)
            return kept.sound
        lock = self._locks.setdefault(url, asyncio.Lock())
        try:
            async with lock:  # twenty callers at once ask for a prompt once
                kept = self._kept.get(url)
                if kept is not None and time.monotonic() < kept.fresh_until:
                    return kept.sound
                return await self._fetch(url, kept)
        finally:
            if not lock.locked():
                self._locks.pop(url, None)

    async def _fetch(self, url: str, kept: _Kept | None) -> Sound:
        if kept is not None:
            fetched = await self._web.fetch(url, kept.etag, kept.last_modified)
        else:
            fetched = await self._web.fetch(url)
        if kept is not None and fetched.status == 304:
            sound = kept.sound
        else:
            sound = Sound(await asyncio.to_thread(_alaw, fetched.body), url)
        self._keep(url, sound, fetched)
        return sound

    def _keep(self, url: str, sound: Sound, fetched: Fetched) -> None:
        control = fetched.cache_control.lower()
        if "no-store" in control:
            self._kept.pop(url, None)
            return
        age = re.search(r"max-age=(\d+)", control)
        fresh = 0 if "no-cache" in control else int(age[1]) if age else 0
        self._kept[url] = _Kept(
            sound,
            fetched.etag,
            fetched.last_modified,
            # Without any promise a file is asked for again after a second: a prompt that was
            # recorded anew is heard by the next caller.
            time.monotonic() + max(1, min(fresh, 86400)),
        )
        self._kept.move_to_end(url)
        while sum(len(k.sound.alaw) for k in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)

    async def say(self, text: str) -> Sound:
        """Spoken words; an empty sound if nothing can speak them."""
        return await self._speaker.say(text)


def _alaw(data: bytes) -> bytes:
    return g711.encode(decode(data))


# One tone of 600 Hz, half a second: low enough for old ears, long enough to be noticed.
BEEP = Sound(g711.encode(tone(600, 0.5, -16)), "beep")
# What a Chinese caller hears while another telephone rings: 450 Hz, 1 s in 5 (GB/T 3380).
RINGBACK = Sound(
    g711.encode(np.concatenate([tone(450, 1.0, -16), np.zeros(4 * RATE_HZ, np.int16)])), "ringback"
)
