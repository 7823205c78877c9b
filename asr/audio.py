"""Any recording in, telephone PCM out.

ffmpeg, as PyAV brings it, decodes; this module bounds it and recovers what it gives up on. A file is never
altered, never read whole, and never opened by name: a carrier's file may be a playlist that names other files.
"""

import functools
import io
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from asr import speech, wav

# What a telephone company, a browser or a mobile phone hands over. Nothing that opens further files (hls,
# concat, dash) may be on this list.
CONTAINERS = (
    "wav,w64,aiff,au,caf,mp3,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,flac,amr,amrnb,amrwb,gsm"
)
# Packets of a second, and no reading ahead to guess what a WAV header says: a third of the time.
WAV_OPTIONS = {"max_size": "16384", "probesize": "32768"}
MOST_LEGS = 2  # caller and called; what lies beyond is no telephone recording
MOST_BAD_PACKETS = 2000  # 40 s of damage; decoding further finds chance, not speech


class Unreadable(Exception):  # noqa: N818 - named for what went wrong
    """No sound can be got out of a recording; `reason` is a short fact for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Sound:
    """One leg of speech, levelled and with its empty end cut off; the two lengths are of the whole recording."""

    samples: NDArray[np.int16]
    rate_hz: int
    seconds: float
    speech_seconds: float


def read(path: Path, *, rate_hz: int, max_seconds: float) -> Sound:
    """Decode at most the first `max_seconds` of a recording to one leg at `rate_hz`; raise Unreadable."""
    every = legs(path, rate_hz=rate_hz, max_seconds=max_seconds)
    cleaned = speech.clean(every, rate_hz)
    return Sound(cleaned.samples, rate_hz, every.shape[1] / rate_hz, cleaned.speech_seconds)


def legs(path: Path, *, rate_hz: int, max_seconds: float) -> NDArray[np.float32]:
    """Its legs as they are, (legs, samples) within ±1; raise Unreadable."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable("not a file")
        with path.open("rb") as file:
            return _decode(file, path.stat().st_size, rate_hz, max_seconds)
    except OSError as error:
        raise Unreadable(error.strerror or "cannot be opened") from error


@functools.cache
def rehearse() -> None:
    """Decode a moment of noise, once a process: what the libraries build at first use is then shared by forked children."""
    noise = np.random.default_rng(0).normal(0, 3000, 800).astype("<i2").tobytes()
    file = wav.written(noise, codec=wav.PCM, channels=1, rate_hz=wav.LINE_RATE_HZ, bits=16)
    speech.clean(_decode(io.BytesIO(file), len(file), 16_000, 1.0), 16_000)


def _decode(
    file: BinaryIO, size_bytes: int, rate_hz: int, max_seconds: float
) -> NDArray[np.float32]:
    if size_bytes == 0:
        raise Unreadable("empty file")
    pieces: list[NDArray[np.float32]] = []
    refusal: Unreadable | None = None
    wanted = int(max_seconds * rate_hz)
    for start, end in wav.parts(file, size_bytes):
        window = _Window(file, start, end)
        try:
            for piece in _pieces(window, rate_hz):
                pieces.append(piece[:, :wanted])
                wanted -= pieces[-1].shape[1]
                if wanted <= 0:
                    return _joined(pieces)
        except Unreadable as error:
            refusal = error
    if refusal and not pieces:
        honest = wav.mended(file, max_seconds=max_seconds)
        if honest is None:
            raise refusal
        pieces.extend(_pieces(io.BytesIO(honest), rate_hz))
    return _joined(pieces)


def _joined(pieces: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Lay the pieces end to end; one that has fewer legs than another leaves the rest of them silent."""
    legs = max((len(piece) for piece in pieces), default=1)
    joined = np.zeros((legs, sum(piece.shape[1] for piece in pieces)), dtype=np.float32)
    at = 0
    for piece in pieces:
        joined[: len(piece), at : at + piece.shape[1]] = piece
        at += piece.shape[1]
    np.nan_to_num(joined, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.clip(joined, -1.0, 1.0, out=joined)


def _pieces(window: "_Window | io.BytesIO", rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Decode one container piece by piece; raise Unreadable if it is none or holds no sound track."""
    try:
        options = {"format_whitelist": CONTAINERS}
        if _is_wav(window):
            options |= WAV_OPTIONS
        container = av.open(window, mode="r", metadata_errors="ignore", options=options)
    except (av.FFmpegError, ValueError) as error:
        raise Unreadable(f"no decoder reads it: {type(error).__name__}") from error
    with container:
        if not container.streams.audio:
            raise Unreadable("no sound track in it")
        stream = container.streams.audio[0]
        if stream.codec_context is None or not stream.codec_context.channels:
            raise Unreadable("no decoder for the sound in it")
        stream.codec_context.thread_count = 1
        yield from _resampled(_frames(container, stream), rate_hz)


def _is_wav(window: "_Window | io.BytesIO") -> bool:
    head = window.read(12)
    window.seek(0)
    return head[:4] == b"RIFF" and head[8:] == b"WAVE"


def _frames(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[AudioFrame]:
    """Decode packet by packet, stepping over damaged ones; a container that breaks off has simply ended."""
    bad = 0
    packets = container.demux(stream)
    while bad < MOST_BAD_PACKETS:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError, ValueError):
            return
        try:
            yield from packet.decode()
        except (av.FFmpegError, ValueError):
            bad += 1


def _resampled(frames: Iterator[AudioFrame], rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Bring frames to one rate, legs apart; a stream may change its rate or its legs half-way."""
    resampler: AudioResampler | None = None
    kind: tuple[object, ...] | None = None
    for frame in frames:
        if frame.sample_rate not in wav.PLAUSIBLE_RATES_HZ:
            frame.sample_rate = wav.LINE_RATE_HZ
        frame.pts = None
        if kind != (frame.sample_rate, frame.format.name, frame.layout.name):
            yield from _drawn(resampler, None)
            kind = (frame.sample_rate, frame.format.name, frame.layout.name)
            # Interleaved, not planar: PyAV crashes on a frame of more than eight planes.
            resampler = AudioResampler(format="flt", layout=frame.layout, rate=rate_hz)
        yield from _drawn(resampler, frame)
    yield from _drawn(resampler, None)


def _drawn(
    resampler: AudioResampler | None, frame: AudioFrame | None
) -> Iterator[NDArray[np.float32]]:
    """Push a frame (None: the end) and yield what comes out; a frame that it refuses is a moment lost."""
    if resampler is None:
        return
    try:
        out = resampler.resample(frame)
    except (av.FFmpegError, ValueError):
        return
    for each in out:
        legs = each.to_ndarray().reshape(each.samples, -1).T
        yield np.array(legs[:MOST_LEGS], dtype=np.float32)


class _Window(io.RawIOBase):
    """A stretch of a file that looks like a whole one, and has no name to guess by."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._end = file, start, end
        file.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell() - self._start

    def read(self, size: int = -1) -> bytes:
        left = max(self._end - self._file.tell(), 0)
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._end}[
            whence
        ]
        return self._file.seek(max(base + offset, self._start)) - self._start
