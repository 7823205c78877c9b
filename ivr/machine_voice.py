"""How the machine of this house says words: as our own exchange does, by espeak-ng."""

import asyncio
from pathlib import Path

from ivr.exchange import g711
from ivr.exchange.settings import VOICE, VOICE_SPEED
from ivr.exchange.speech import Speaker
from ivr.levelling import wav


def say(words: str, cache: Path) -> bytes:
    """A wav, made once and kept in `cache`; empty where they cannot be spoken."""
    sound = asyncio.run(Speaker(cache, None, VOICE, VOICE_SPEED).say(words))
    return wav(g711.decode(sound.alaw)) if sound.alaw else b""
