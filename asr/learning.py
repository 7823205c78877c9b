"""Learn what messages are like from sayings, whole and as a bad line would hand them over.

    python -m asr.learning tickets/sayings.zh.tsv tickets/sayings.npz

Takes two minutes. Softmax regression by Adam on small batches, every draw from one seed, so that the file can be made again.
"""

import hashlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr import pinyin
from asr.likeness import BUCKETS, Likeness, sounds
from asr.mishearing import misheard

SEED = 20261124
ERROR_RATES = (0.0, *(0.1,) * 4, *(0.25,) * 4, *(0.4,) * 4)  # copies of each saying
ROUNDS, BATCH = 12, 256
RATE, DECAY = 0.06, 1e-5  # Adam's step at the start; what large weights cost

Said = Sequence[tuple[str, str]]  # code and words


def learn(said: Said, seed: int = SEED) -> Likeness:
    """Learn from sayings, each heard well once and badly often."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    codes = tuple(dict.fromkeys(code for code, _ in said))
    texts = [
        (codes.index(code), misheard(words, rate, draw))
        for code, words in said
        for rate in ERROR_RATES
    ]
    wanted = np.array([code for code, _ in texts])
    rows = [np.unique(np.concatenate(sounds(pinyin.spell(text)))) for _, text in texts]
    weights, bias = _fit(rows, wanted, len(codes), np.random.default_rng(seed))
    scale = float(np.abs(weights).max() / 127)
    return Likeness(codes, np.rint(weights / scale).astype(np.int8), scale, bias)


def mark(said: Said) -> str:
    """A digest of what is learnt from: it tells whether a file is of these sayings."""
    return hashlib.sha256("\n".join(map("\t".join, said)).encode()).hexdigest()


def read(file: Path) -> list[tuple[str, str]]:
    """Read the code of a matter (IDLE: of none) and words, line by line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("#"))
    return [(code, words) for code, words in pairs]


def _fit(
    rows: Sequence[NDArray[np.intp]],
    wanted: NDArray[np.intp],
    codes: int,
    draw: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weights = np.zeros((BUCKETS + 1, codes), dtype=np.float32)  # the last row: the bias
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    steps = ROUNDS * -(-len(rows) // BATCH)
    step = 0
    for _ in range(ROUNDS):
        order = draw.permutation(len(rows))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            slope = _slope(weights, [rows[at] for at in batch], wanted[batch])
            slope[:-1] += DECAY * weights[:-1]
            step += 1
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope**2 - square)
            pace = RATE * (1 - step / (steps + 1)) / (1 - 0.9**step)
            weights -= pace * mean / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights[:-1], weights[-1]


def _slope(
    weights: NDArray[np.float32], batch: list[NDArray[np.intp]], wanted: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Say which way the weights make the batch less likely."""
    sizes = np.array([len(each) for each in batch])
    flat, text = np.concatenate(batch), np.repeat(np.arange(len(batch)), sizes)
    share = (1 / np.sqrt(sizes)).astype(np.float32)[:, None]
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    like = np.add.reduceat(weights[flat], starts) * share + weights[-1]
    odds = np.exp(like - like.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    odds[np.arange(len(batch)), wanted] -= 1
    odds /= len(batch)
    slope = np.zeros_like(weights)
    np.add.at(slope, flat, (odds * share)[text])
    slope[-1] = odds.sum(axis=0)
    return slope


if __name__ == "__main__":
    given = read(Path(sys.argv[1]))
    learn(given).save(Path(sys.argv[2]), mark(given))
