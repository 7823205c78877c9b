"""Words spoken: by the neighbour who recorded them, or by espeak-ng."""

import asyncio
import hashlib
import logging
import re
import time
import unicodedata
from pathlib import Path

from ivr.exchange import g711
from ivr.exchange.audio import NoSoundError, decode, levelled, read_wav, write_wav
from ivr.exchange.g711 import Samples
from ivr.exchange.leg import Sound

log = logging.getLogger(__name__)

LONGEST_CHARS = 600
SPEAK_SECONDS = 10.0
AT_ONCE = 2  # espeak-ng processes
RECENT_BYTES = 8_000_000  # at hand without the disk: a quarter of an hour of words
KEPT_SECONDS = 30 * 86_400


class Speaker:
    """Each text is made once and kept as a wav in `cache`."""

    def __init__(self, cache: Path, prompts: Path | None, voice: str, speed: int) -> None:
        self._cache = cache
        self._prompts = prompts
        self._voice, self._speed = voice, speed
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._making: dict[str, asyncio.Task[Sound]] = {}
        self._recent: dict[str, Sound] = {}
        self._sheets: tuple[int, dict[str, Path]] = (0, {})
        cache.mkdir(parents=True, exist_ok=True)
        for path in cache.glob("*.wav"):  # the words of one call long ago, names among them
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink(missing_ok=True)

    async def say(self, text: str) -> Sound:
        """The words as a sound; an empty one, and a line in the log, if they cannot be spoken."""
        words = tidy(text)
        if not words:
            return Sound(b"")
        key = hashlib.sha256(f"{self._voice}\n{self._speed}\n{words}".encode()).hexdigest()[:32]
        recorded = self._recorded(words)
        if recorded is not None:
            key = f"{key}-{recorded.stat().st_mtime_ns}"
        if key in self._recent:
            return self._recent[key]
        if key not in self._making:
            task = asyncio.create_task(self._make(key, words, recorded))
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key, None))
        sound = await asyncio.shield(self._making[key])
        if sound.alaw:
            self._recent[key] = sound
            while sum(len(sound.alaw) for sound in self._recent.values()) > RECENT_BYTES:
                del self._recent[next(iter(self._recent))]  # slots make many texts
        return sound

    def _recorded(self, words: str) -> Path | None:
        """The operator's recording: NAME.wav beside a NAME.txt that holds these words."""
        if self._prompts is None or not self._prompts.is_dir():
            return None
        changed = self._prompts.stat().st_mtime_ns
        if self._sheets[0] != changed:
            self._sheets = (changed, _sheets(self._prompts))
        wav = self._sheets[1].get(words)
        return wav if wav is not None and wav.is_file() else None

    async def _make(self, key: str, words: str, recorded: Path | None) -> Sound:
        kept = self._cache / f"{key}.wav"
        samples = await asyncio.to_thread(read_wav, kept)
        if samples is None:
            samples = await self._speak(words, recorded)
            if samples is None:
                return Sound(b"")
            await asyncio.to_thread(write_wav, kept, samples)
        return Sound(g711.encode(samples), f"say {key}")

    async def _speak(self, words: str, recorded: Path | None) -> Samples | None:
        if recorded is not None:
            try:
                return levelled(decode(await asyncio.to_thread(recorded.read_bytes)))
            except (OSError, NoSoundError) as error:
                log.error("the recording %s cannot be used: %s", recorded.name, error)
        try:
            raw = await self._espeak(words)
            return levelled(await asyncio.to_thread(decode, raw))
        except (OSError, NoSoundError, TimeoutError) as error:
            log.error("espeak-ng cannot speak: %s", error or type(error).__name__)
            return None

    async def _espeak(self, words: str) -> bytes:
        async with self._slots, asyncio.timeout(SPEAK_SECONDS):
            process = await asyncio.create_subprocess_exec(
                "espeak-ng",
                "-v",
                self._voice,
                "-s",
                str(self._speed),
                "--stdin",
                "--stdout",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                out, _ = await process.communicate(words.encode())
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            return out


def tidy(text: str) -> str:
    """One line of plain words: what two ways of writing the same prompt have in common."""
    plain = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", plain)).strip()[:LONGEST_CHARS]


def _sheets(folder: Path) -> dict[str, Path]:
    """Words to recording, for every pair of files in the folder."""
    found: dict[str, Path] = {}
    for sheet in sorted(folder.glob("*.txt")):
        try:
            found.setdefault(tidy(sheet.read_text(encoding="utf-8")), sheet.with_suffix(".wav"))
        except (OSError, UnicodeDecodeError) as error:
            log.error("the sheet %s cannot be read: %s", sheet.name, error)
    return found
