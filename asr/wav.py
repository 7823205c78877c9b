"""WAV files whose headers lie, read as far as what is in them is plainly sound.

The decoder of `asr.audio` already forgives wrong sizes. It refuses a rate or a channel count of nought,
an absurd `fmt ` size and the big-endian mark `RIFX`, although the samples behind them are whole; a recorder
that was killed, or a proxy that rewrote a header, makes such files. Two recordings glued together are read by
it as one. Byte layout: Microsoft/IBM "Multimedia Programming Interface and Data Specifications 1.0", 1991.
"""

import struct
from typing import BinaryIO

import numpy as np

LINE_RATE_HZ = (
    8000  # what a telephone line carries, and so the likeliest when the header says nothing
)
PLAUSIBLE_RATES_HZ = range(4000, 192_001)
HEADER_BYTES = 4096  # a `data` chunk further in than this is no recorder's header
MOST_PARTS = 16  # glued recordings looked for in one file
PCM, A_LAW, MU_LAW = 1, 6, 7
SAMPLE_BITS = {
    PCM: 16,
    A_LAW: 8,
    MU_LAW: 8,
}  # of the codecs whose layout needs no more of the header


def parts(file: BinaryIO, size_bytes: int) -> list[tuple[int, int]]:
    """Say where each of several glued WAV files starts and ends; one span for anything else."""
    starts = [0]
    while len(starts) < MOST_PARTS:
        file.seek(starts[-1])
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            break
        after = starts[-1] + 8 + struct.unpack("<I", head[4:8])[0]
        file.seek(after)
        if after + 12 > size_bytes or file.read(4) != b"RIFF":
            break
        starts.append(after)
    return list(zip(starts, [*starts[1:], size_bytes], strict=True))


def mended(file: BinaryIO, *, max_seconds: float) -> bytes | None:
    """Give a refused WAV an honest header, as a whole file again; None if what is in it cannot be told."""
    file.seek(0)
    head = file.read(HEADER_BYTES)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:12] != b"WAVE":
        return None
    fmt, data = head.find(b"fmt "), head.find(b"data")
    if fmt < 0 or data < fmt + 24:
        return None
    # RIFX says big-endian, but the likelier fault is a flipped mark over little-endian fields.
    order = "<" if head[fmt + 9] == 0 else ">"
    codec, channels, rate_hz, _, _, bits = struct.unpack_from(f"{order}HHIIHH", head, fmt + 8)
    if codec not in SAMPLE_BITS:
        return None
    bits = bits if bits in (8, 16) and codec == PCM else SAMPLE_BITS[codec]
    channels = channels if 1 <= channels <= 2 else 1
    rate_hz = rate_hz if rate_hz in PLAUSIBLE_RATES_HZ else LINE_RATE_HZ
    block = bits // 8 * channels

    file.seek(data + 8)
    sound = file.read(int(max_seconds * rate_hz) * block)
    sound = sound[: len(sound) // block * block]
    if bits == 16 and _swapped(sound):
        sound = np.frombuffer(sound, ">i2").astype("<i2").tobytes()
    return written(sound, codec=codec, channels=channels, rate_hz=rate_hz, bits=bits)


def written(sound: bytes, *, codec: int, channels: int, rate_hz: int, bits: int) -> bytes:
    """Put an honest header before samples."""
    block = bits // 8 * channels
    fields = struct.pack("<HHIIHH", codec, channels, rate_hz, rate_hz * block, block, bits)
    head = (
        b"WAVEfmt "
        + struct.pack("<I", len(fields))
        + fields
        + b"data"
        + struct.pack("<I", len(sound))
    )
    return b"RIFF" + struct.pack("<I", len(head) + len(sound)) + head + sound


def _swapped(sound: bytes) -> bool:
    """Tell the order of bytes by ear: swapped speech is noise, each sample far from the one before."""
    little, big = (
        np.abs(np.diff(np.frombuffer(sound, kind).astype(np.int32))).sum()
        for kind in ("<i2", ">i2")
    )
    return bool(big < little)
