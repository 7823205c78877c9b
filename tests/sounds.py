"""Sounds that the tests make themselves: a voice of sorts, tones, and the files that carry them."""

import io
import struct
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]  # within ±1
RATE_HZ = 8000


def voice(seconds: float, *, level_dbov: float = -20, seed: int = 1) -> Sound:
    """Speak nonsense: a gliding buzz through three resonances, four syllables a second with a pause after five."""
    draw = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    pitch = 140 + 25 * np.sin(2 * np.pi * 0.7 * time) + 15 * np.sin(2 * np.pi * 2.3 * time + seed)
    turns = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    said = np.zeros_like(time)
    for harmonic in range(1, 24):
        hertz = harmonic * pitch
        shape = sum(
            np.exp(-(((hertz - at) / 180) ** 2))
            for at in (500 + 200 * np.sin(3 * time), 1500, 2500)
        )
        said += np.where(hertz < 3600, shape + 0.02, 0) * np.sin(harmonic * turns)
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1) * (time % 1.6 < 1.25)
    said *= syllables
    said += draw.normal(0, 1e-4, said.size)
    return said * 10 ** (level_dbov / 20) / max(np.sqrt(np.mean(said[syllables > 0.2] ** 2)), 1e-9)


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE_HZ))


def noise(seconds: float, *, level_dbov: float = -45) -> Sound:
    return np.random.default_rng(5).normal(0, 10 ** (level_dbov / 20), int(seconds * RATE_HZ))


def busy_tone(seconds: float) -> Sound:
    """China's busy tone (GB/T 3380): 450 Hz, 0.35 s on, 0.35 s off."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return 0.2 * np.sin(2 * np.pi * 450 * time) * (time % 0.7 < 0.35)


def ring_tone(seconds: float) -> Sound:
    """China's ring-back tone: 450 Hz, 1 s on, 4 s off."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return 0.2 * np.sin(2 * np.pi * 450 * time) * (time % 5 < 1)


def pcm16(sound: Sound) -> bytes:
    """Write samples little-endian; several legs, shape (legs, samples), become frames."""
    return np.clip(np.rint(np.asarray(sound) * 32767), -32768, 32767).astype("<i2").T.tobytes()


def wav(
    data: bytes,
    *,
    codec: int = 1,
    channels: int = 1,
    rate_hz: int = RATE_HZ,
    bits: int = 16,
    block_bytes: int | None = None,
    data_size: int | None = None,
    riff_size: int | None = None,
    fmt_size: int = 16,
    magic: bytes = b"RIFF",
) -> bytes:
    """Write a WAV file; each field of the header can be made to lie."""
    block = block_bytes or channels * bits // 8
    fields = struct.pack(
        "<HHIIHH", codec, channels, rate_hz, rate_hz * block & 0xFFFFFFFF, block, bits
    )
    size = len(data) if data_size is None else data_size
    body = (
        b"WAVEfmt "
        + struct.pack("<I", fmt_size)
        + fields
        + b"data"
        + struct.pack("<I", size)
        + data
    )
    return magic + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def encoded(sound: Sound, container: str, codec: str, *, rate_hz: int = RATE_HZ) -> bytes:
    """Encode one leg with the codec of ffmpeg that has this name."""
    file = io.BytesIO()
    with av.open(file, mode="w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout="mono")
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=rate_hz
        )
        frame = av.AudioFrame.from_ndarray(
            np.clip(sound * 32767, -32768, 32767).astype(np.int16)[None, :],
            format="s16",
            layout="mono",
        )
        frame.sample_rate = RATE_HZ
        fifo = av.AudioFifo()
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts = None
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        while (part := fifo.read(size)) or (part := fifo.read()):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def saved(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def every_kind(sound: Sound) -> dict[str, bytes]:
    """Give the same sound in each form that a telephone company, a browser or a mobile phone hands over."""
    kinds = {
        "pcm16.wav": ("wav", "pcm_s16le"), "alaw.wav": ("wav", "pcm_alaw"), "mulaw.wav": ("wav", "pcm_mulaw"),
        "adpcm-ms.wav": ("wav", "adpcm_ms"), "adpcm-ima.wav": ("wav", "adpcm_ima_wav"),
        "float.wav": ("wav", "pcm_f32le"), "mp3.mp3": ("mp3", "libmp3lame"), "aac.m4a": ("ipod", "aac"),
    }  # fmt: skip
    files = {name: encoded(sound, *kind) for name, kind in kinds.items()}
    files["opus.ogg"] = encoded(sound, "ogg", "libopus", rate_hz=48_000)
    files["opus.webm"] = encoded(sound, "webm", "libopus", rate_hz=48_000)
    return files
