"""What a caller says, put down as it comes, and made into a wav when it ends."""

import errno
import logging
import os
import time
import wave
from pathlib import Path

from ivr.exchange import g711
from ivr.exchange.leg import TakeLimits

log = logging.getLogger(__name__)

TAIL_SECONDS = 1.0  # kept in memory, so that a packet out of order finds its place
ASTRAY_SECONDS = 3.0  # a time stamp so far off the clock starts the count anew
FLOOR_LOWEST_DBOV, FLOOR_HIGHEST_DBOV = -69.0, -40.0
OVER_FLOOR_DB = 9.0  # speech stands so far above the line's noise
QUIETEST_DBOV = -60.0  # nothing below is speech: an old person far from the handset is at -50
RESERVED_SECONDS = 600.0  # of the disk, before a word is said; a longer message takes its chances
WAV_HEADER_BYTES, SAMPLE_BYTES = 44, 2
HEARD_SECONDS = 0.3  # so much above the noise and it is no empty recording
MOST_WAITING_SECONDS = 600.0  # kept in memory while a disk takes nothing


class Ear:
    """Tells speech from the line's own noise, frame by frame.

    The floor falls at once with the quietest frame and rises 3 dB a second, so that a steady
    hum counts as silence after a few seconds and speech, which has pauses, never does.
    """

    def __init__(self) -> None:
        self._floor = QUIETEST_DBOV
        self.voiced_seconds = 0.0

    def hears(self, payload: bytes, law: int) -> bool:
        level = g711.level_dbov(payload, law)
        if level < self._floor:
            self._floor = max(level, FLOOR_LOWEST_DBOV)
        else:
            self._floor = min(self._floor + 3.0 * g711.FRAME_SECONDS, FLOOR_HIGHEST_DBOV)
        voiced = level > QUIETEST_DBOV and level > self._floor + OVER_FLOOR_DB
        if voiced:
            self.voiced_seconds += g711.FRAME_SECONDS
        return voiced

    @property
    def heard(self) -> bool:
        return self.voiced_seconds >= HEARD_SECONDS


def was_heard(alaw: bytes) -> bool:
    """Whether there is anything in a whole recording but the line's own noise."""
    ear = Ear()
    for at in range(0, len(alaw), g711.FRAME):
        ear.hears(alaw[at : at + g711.FRAME], g711.PCMA)
    return ear.heard


class Recorder:
    """Frames by time stamp into a raw file, so that a crash loses two seconds at most.

    The file is named RE….alaw or RE….ulaw until `finish` has made the wav. The room for both is
    taken at the start, which raises OSError when there is none: a disk that fills while somebody
    speaks costs not a word. When the disk itself fails, what is said waits in memory for it to be
    well again.
    """

    def __init__(self, wav: Path, law: int, limits: TakeLimits) -> None:
        self.wav = wav
        self.raw = raw_name(wav, law)
        self._law = law
        self._limits = limits
        self._file = self.raw.open("wb", buffering=0)
        self._half = wav.with_suffix(".half")
        try:
            self._reserve()
        except OSError:
            self.discard()
            raise
        self._tail = bytearray()
        self._written = 0  # bytes in the file, which are samples
        self._began = self._failed_at = time.monotonic()
        self._failing = self._ended = False
        self._zero: int | None = None  # the RTP time stamp of sample 0
        self._ear = Ear()
        self._spoke_at = self._began

    def _reserve(self) -> None:
        samples = int(min(self._limits.max_seconds, RESERVED_SECONDS) * g711.RATE_HZ)
        with self._half.open("wb") as half:
            for number, size in (
                (self._file.fileno(), samples),
                (half.fileno(), WAV_HEADER_BYTES + SAMPLE_BYTES * samples),
            ):
                try:
                    os.posix_fallocate(number, 0, size)
                except OSError as error:
                    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                        raise  # elsewhere the disk cannot reserve, and may still have room

    def put(self, payload: bytes, timestamp: int) -> None:
        now = time.monotonic()
        clock = int((now - self._began) * g711.RATE_HZ)
        if self._zero is None:
            self._zero = (timestamp - max(0, clock - len(payload))) & 0xFFFFFFFF
        at = (timestamp - self._zero) & 0xFFFFFFFF
        if abs(at - clock) > ASTRAY_SECONDS * g711.RATE_HZ:
            at = max(clock - len(payload), self._written)
            self._zero = (timestamp - at) & 0xFFFFFFFF
        start = at - self._written
        if start < 0:
            return  # a second late
        self._fill_to(start)
        self._tail[start : start + len(payload)] = payload
        if self._ear.hears(payload, self._law):
            self._spoke_at = now
        if len(self._tail) > 2 * TAIL_SECONDS * g711.RATE_HZ:
            self._write_soon(len(self._tail) - int(TAIL_SECONDS * g711.RATE_HZ))

    def _write_soon(self, count: int) -> None:
        """Or in a second, where the disk fails."""
        if self._failing and time.monotonic() - self._failed_at < TAIL_SECONDS:
            return
        try:
            self._write(count)
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.error("the disk takes nothing of a recording: %s", error)
            self._failing, self._failed_at = True, time.monotonic()

    def _fill_to(self, length: int) -> None:
        if length > len(self._tail):
            self._tail += g711.SILENCE[self._law][:1] * (length - len(self._tail))

    def _write(self, count: int) -> None:
        while count > 0:
            done = self._file.write(self._tail[:count])
            del self._tail[:done]
            self._written += done
            count -= done

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def too_long(self) -> bool:
        waiting = len(self._tail) / g711.RATE_HZ
        return self.seconds >= self._limits.max_seconds or waiting > MOST_WAITING_SECONDS

    @property
    def too_silent(self) -> bool:
        return time.monotonic() - self._spoke_at >= self._limits.silence_seconds

    @property
    def heard(self) -> bool:
        return self._ear.heard

    def finish(self) -> None:
        """Make the wav. When it raises OSError nothing is lost, and it may be called again."""
        if not self._ended:
            # Where a box sends nothing while nobody speaks, the end is silence that never came.
            wanted = min(self.seconds, self._limits.max_seconds) * g711.RATE_HZ
            self._fill_to(int(wanted) - self._written - g711.FRAME)
            self._ended = True
        if not self._file.closed:
            self._write(len(self._tail))
            self._file.truncate(self._written)
            self._file.close()
        make_wav(self.raw, self.wav)

    @property
    def kept_seconds(self) -> float:
        """The length of what is kept, or will be when the disk is well."""
        return (self._written + len(self._tail)) / g711.RATE_HZ

    def discard(self) -> None:
        self._file.close()
        for path in (self.raw, self._half):
            path.unlink(missing_ok=True)


SUFFIX = {g711.PCMA: ".alaw", g711.PCMU: ".ulaw"}


def raw_name(wav: Path, law: int) -> Path:
    return wav.with_suffix(SUFFIX[law])


def unfinished(folder: Path) -> list[Path]:
    """Raw recordings that a crash left behind."""
    return sorted(path for suffix in SUFFIX.values() for path in folder.glob(f"*{suffix}"))


def make_wav(raw: Path, wav: Path) -> float:
    """Turn a raw recording into a wav, whole or not at all; returns its length in seconds."""
    law = next(law for law, suffix in SUFFIX.items() if suffix == raw.suffix)
    half = wav.with_suffix(".half")
    half.touch(mode=0o600)
    # After a crash the end of the room that was reserved is zeros, which nobody's voice is.
    sound = raw.read_bytes().rstrip(b"\0")
    with half.open("rb+") as written:  # over the room that is reserved
        with wave.open(written, "wb") as target:
            target.setnchannels(1)
            target.setsampwidth(SAMPLE_BYTES)
            target.setframerate(g711.RATE_HZ)
            for at in range(0, len(sound), 65536):
                target.writeframes(g711.decode(sound[at : at + 65536], law).tobytes())
        written.truncate(WAV_HEADER_BYTES + SAMPLE_BYTES * len(sound))
        written.flush()
        os.fsync(written.fileno())
    half.replace(wav)
    raw.unlink()
    return len(sound) / g711.RATE_HZ


def seconds_of(wav: Path) -> float:
    """The length of one of our own wavs."""
    return max(0, wav.stat().st_size - WAV_HEADER_BYTES) / SAMPLE_BYTES / g711.RATE_HZ
