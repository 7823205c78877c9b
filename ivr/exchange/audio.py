"""Sound as samples: read from any file, measured, levelled, written."""

import io
import secrets
import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ivr.exchange import g711
from ivr.exchange.g711 import RATE_HZ, Samples

LONGEST_SECONDS = 600
LEVEL_DBOV = -19.0
PEAK = 32768 * 10 ** (-3 / 20)
HIGH_PASS_HZ = 120.0


class NoSoundError(ValueError):
    """The bytes are no sound that can be played."""


def decode(data: bytes) -> Samples:
    """Any sound file as 8 kHz mono; raises NoSoundError."""
    samples = _plain_wav(data)
    if samples is None:
        samples = _by_ffmpeg(data)
    if not len(samples):
        raise NoSoundError("no sound in it")
    return samples


def _plain_wav(data: bytes) -> Samples | None:
    """The usual case, 8 kHz 16-bit mono, without a decoder."""
    try:
        with wave.open(io.BytesIO(data)) as reader:
            form = (reader.getnchannels(), reader.getsampwidth(), reader.getframerate())
            if form != (1, 2, RATE_HZ):
                return None
            frames = reader.readframes(LONGEST_SECONDS * RATE_HZ)
    except (wave.Error, EOFError, ValueError, RuntimeError, ZeroDivisionError):
        return None
    return np.frombuffer(frames[: len(frames) // 2 * 2], "<i2").astype(np.int16)


def _by_ffmpeg(data: bytes) -> Samples:
    blocks: list[Samples] = []
    count = 0
    try:
        with av.open(io.BytesIO(data), "r") as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
            for frame in container.decode(audio=0):
                for out in resampler.resample(frame):
                    blocks.append(out.to_ndarray().reshape(-1).astype(np.int16))
                    count += len(blocks[-1])
                if count > LONGEST_SECONDS * RATE_HZ:
                    break
    except (av.FFmpegError, ValueError, IndexError, OSError, TypeError) as error:
        if not blocks:
            raise NoSoundError(f"unreadable: {type(error).__name__}") from error
    if not blocks:
        raise NoSoundError("no sound in it")
    return np.concatenate(blocks)


def tone(hertz: float, seconds: float, dbov: float) -> Samples:
    """A sine with edges of 5 ms, so that it begins and ends without a click."""
    time_axis = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    peak = 32768 * 10 ** (dbov / 20) * np.sqrt(2)
    edge = np.minimum(1, np.minimum(time_axis, seconds - time_axis) / 0.005)
    wave_form: Samples = (peak * edge * np.sin(2 * np.pi * hertz * time_axis)).astype(np.int16)
    return wave_form


def levelled(samples: Samples) -> Samples:
    """Speech at −19 dBov with peaks at −3 dBFS at most, without rumble below 120 Hz."""
    sound = samples.astype(np.float64)
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    spectrum *= np.clip((hertz - HIGH_PASS_HZ / 2) / (HIGH_PASS_HZ / 2), 0, 1)
    sound = np.fft.irfft(spectrum, len(sound))
    for _ in range(3):  # what the limiter takes off is put back
        active = active_level_dbov(sound)
        if active < -80:
            return samples
        sound = _limited(sound * 10 ** ((LEVEL_DBOV - active) / 20))
    return sound.astype(np.int16)


def active_level_dbov(sound: npt.NDArray[np.float64] | Samples) -> float:
    """RMS level of those 20 ms in which somebody speaks: within 25 dB of the loudest ones."""
    count = len(sound) // g711.FRAME
    if not count:
        return -96.0
    frames = np.asarray(sound[: count * g711.FRAME], np.float64).reshape(count, g711.FRAME)
    power = (frames**2).mean(axis=1) / 32768**2
    loud = np.percentile(power, 98)
    active = power[power >= loud / 10**2.5]
    return float(10 * np.log10(max(active.mean() if len(active) else 0.0, 1e-10)))


def _limited(sound: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Bend what lies above half the allowed peak, rather than cut it."""
    knee = PEAK / 2
    over = np.abs(sound) > knee
    bent = knee + (PEAK - knee) * np.tanh((np.abs(sound) - knee) / (PEAK - knee))
    limited: npt.NDArray[np.float64] = np.where(over, np.sign(sound) * bent, sound)
    return limited


def read_wav(path: Path) -> Samples | None:
    try:
        with wave.open(str(path), "rb") as reader:
            if reader.getframerate() != RATE_HZ or reader.getsampwidth() != 2:
                return None
            frames = reader.readframes(reader.getnframes())
    except (OSError, EOFError, wave.Error):
        return None
    return np.frombuffer(frames, "<i2").astype(np.int16) if frames else None


def wav(samples: Samples) -> bytes:
    """8 kHz, mono, 16 bit."""
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE_HZ)
        target.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def write_wav(path: Path, samples: Samples, mode: int = 0o600) -> None:
    """An 8 kHz mono wav, whole or not at all, also where two write the same one at once."""
    half = path.with_suffix(f".{secrets.token_hex(4)}.half")
    half.write_bytes(wav(samples))
    half.chmod(mode)
    half.replace(path)
