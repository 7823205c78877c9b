"""Sounds put where another program can read them, for as long as they are being played."""

import asyncio
import hashlib
from pathlib import Path

from ivr.exchange import g711
from ivr.exchange.audio import write_wav
from ivr.exchange.leg import Sound

KEPT_SECONDS = 900.0  # after it was last played; longer than any sound lasts
READABLE = 0o644  # the other program runs as somebody else


class SoundFolder:
    """Wavs named for what is in them. None stays: a caller's own words may be among them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._leaving: dict[str, asyncio.TimerHandle] = {}

    def open(self) -> None:
        """Make the folder, and clear it of what a crash left."""
        if not self._folder.exists():
            self._folder.mkdir(parents=True)
            self._folder.chmod(0o755)  # whatever our umask is: the other program reads here
        for path in self._folder.glob(f"{'[0-9a-f]' * 32}.wav"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        for name, timer in list(self._leaving.items()):
            timer.cancel()
            self._drop(name)

    async def publish(self, sound: Sound) -> Path:
        """The sound as a file, its path without the ending."""
        name = hashlib.sha256(sound.alaw).hexdigest()[:32]
        if (timer := self._leaving.pop(name, None)) is not None:
            timer.cancel()
        self._leaving[name] = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._drop, name)
        path = self._path(name)
        if not path.exists():
            await asyncio.to_thread(write_wav, path, g711.decode(sound.alaw), READABLE)
        return path.with_suffix("")

    def _drop(self, name: str) -> None:
        self._leaving.pop(name, None)
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.wav"
