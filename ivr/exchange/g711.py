"""G.711: 16-bit samples to one byte and back, by table.

aiortp has both laws too, but its A-law has every sign the wrong way round.
Tables after ITU-T G.711; A-law with the even bits inverted as it goes over the wire.
"""

import numpy as np
import numpy.typing as npt

RATE_HZ = 8000
FRAME = 160  # samples, and bytes on the wire, in 20 ms
FRAME_SECONDS = FRAME / RATE_HZ

Samples = npt.NDArray[np.int16]

PCMA, PCMU = 8, 0  # static RTP payload types, RFC 3551
NAMES = {PCMA: "PCMA", PCMU: "PCMU"}


def _alaw_table() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    linear = np.where(
        exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 0x80, linear, -linear).astype(np.int16)


def _ulaw_table() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    linear = (((code & 15) << 3) + 0x84 << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -linear, linear).astype(np.int16)


def _nearest(table: Samples) -> npt.NDArray[np.uint8]:
    """For each of the 65,536 samples, the code whose value lies nearest."""
    order = np.argsort(table, kind="stable")
    values = table[order].astype(np.int32)
    samples = np.arange(-32768, 32768, dtype=np.int32)
    right = np.clip(np.searchsorted(values, samples), 1, 255)
    left_is_nearer = samples - values[right - 1] <= values[right] - samples
    codes = order[np.where(left_is_nearer, right - 1, right)].astype(np.uint8)
    return np.roll(codes, 32768)  # indexed by the sample read as unsigned


DECODE = {PCMA: _alaw_table(), PCMU: _ulaw_table()}
_ENCODE = {law: _nearest(table) for law, table in DECODE.items()}
_ACROSS = {
    (a, b): bytes(_ENCODE[b][DECODE[a].view(np.uint16)]) for a in DECODE for b in DECODE if a != b
}
SILENCE = {PCMA: b"\xd5" * FRAME, PCMU: b"\xff" * FRAME}


def encode(samples: Samples, law: int = PCMA) -> bytes:
    return _ENCODE[law][samples.view(np.uint16)].tobytes()


def decode(payload: bytes, law: int = PCMA) -> Samples:
    return DECODE[law][np.frombuffer(payload, np.uint8)]


def convert(payload: bytes, law: int, into: int) -> bytes:
    """The same sound in the other law."""
    return payload if law == into else payload.translate(_ACROSS[law, into])


_POWER = {law: (table.astype(np.float32) / 32768) ** 2 for law, table in DECODE.items()}


def level_dbov(payload: bytes, law: int) -> float:
    """Mean level of a frame against full scale; digital silence is about -72."""
    if not payload:
        return -96.0
    power = float(_POWER[law][np.frombuffer(payload, np.uint8)].mean())
    return 10 * float(np.log10(max(power, 1e-9)))
