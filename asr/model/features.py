"""Mel cepstra, number for number those libvosk computes with the model's `conf/mfcc.conf`."""

from functools import cache

import numpy as np
import numpy.typing as npt

RATE = 8000
SHIFT = 80
WINDOW = 200
DIMENSIONS = 24
_FFT = 256
_LOW_HZ, _HIGH_HZ = 100.0, 3800.0
_LIFTER = 22.0

Floats = npt.NDArray[np.float64]


def cepstra(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """(frames, DIMENSIONS) of samples at RATE on the int16 scale; frame t is centred on sample 80 t + 100."""
    count = 1 + (len(samples) - WINDOW) // SHIFT
    if count < 1:
        return np.zeros((0, DIMENSIONS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), WINDOW)[::SHIFT][
        :count
    ]
    frames = frames - frames.mean(axis=1, keepdims=True)
    emphasised = np.empty_like(frames)
    emphasised[:, 1:] = frames[:, 1:] - 0.97 * frames[:, :-1]
    emphasised[:, 0] = frames[:, 0] * (1 - 0.97)
    power = np.abs(np.fft.rfft(emphasised * _povey_window(), _FFT)) ** 2
    mels = np.log(np.maximum(power[:, : _FFT // 2] @ _mel_filters(), np.finfo(np.float32).eps))
    return (mels @ _cosines()).astype(np.float32)


@cache
def _povey_window() -> Floats:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))) ** 0.85


def _mel(hertz: Floats) -> Floats:
    return 1127.0 * np.log1p(hertz / 700.0)


@cache
def _mel_filters() -> Floats:
    """(FFT bins, filters): triangles in the mel domain."""
    low, high = _mel(np.array([_LOW_HZ, _HIGH_HZ]))
    edges = np.linspace(low, high, DIMENSIONS + 2)
    bins = _mel(np.arange(_FFT // 2) * RATE / _FFT)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    triangles: Floats = np.maximum(
        np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)), 0.0
    )
    return triangles


@cache
def _cosines() -> Floats:
    """(filters, cepstra): orthonormal DCT-II with Kaldi's lifter."""
    order = np.arange(DIMENSIONS)
    table: Floats = np.cos(np.pi / DIMENSIONS * (order[:, None] + 0.5) * order)
    table *= np.sqrt(np.where(order == 0, 1, 2) / DIMENSIONS)
    table *= 1 + 0.5 * _LIFTER * np.sin(np.pi * order / _LIFTER)
    return table
