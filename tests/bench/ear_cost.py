"""What the ear costs beside raw libvosk: processor time, waiting time, memory. Measured with every model installed here.

The floor is what cannot be saved: decoding the file, and libvosk alone on the same PCM in the same blocks.
"""

import gc
import json
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import sounds
import vosk

from asr import audio, recognizer, shelf
from asr.booth import LONGEST_SECONDS, Booth

MODELS = Path(recognizer.__file__).parent / "model"
SPEECH_SECONDS = (20, 180)  # a usual message, and the longest
ROUNDS = 7
WORKERS = (1, 3)
BUSY_SECONDS = 4.0


def run() -> list[tuple[str, str]]:
    figures = []
    folders = shelf.standing(shelf.places(Path.home(), os.environ.get("VOSK_MODEL_PATH")))
    for folder in [MODELS / "demo-cn", *folders]:
        with tempfile.TemporaryDirectory() as room:
            recordings = {seconds: speech(Path(room), seconds) for seconds in SPEECH_SECONDS}
            for seconds, recording in recordings.items():
                figures += speed(folder, recording, seconds)
            figures += memory(folder, recordings[SPEECH_SECONDS[0]])
    return figures


def speech(room: Path, seconds: int) -> Path:
    """Lay the sample recordings end to end until there are so many seconds."""
    said = np.concatenate([_samples(path) for path in sorted((MODELS / "samples").glob("*.wav"))])
    return sounds.saved(
        room,
        f"{seconds}.wav",
        sounds.wav(np.resize(said, seconds * 8000).astype("<i2").tobytes()),
    )


def _samples(path: Path) -> np.ndarray:
    return audio.read(path, rate_hz=8000, max_seconds=60).samples


def speed(folder: Path, recording: Path, seconds: int) -> list[tuple[str, str]]:
    ear = recognizer.load(folder)
    model = vosk.Model(str(folder))
    sound = audio.read(recording, rate_hz=ear.rate_hz, max_seconds=LONGEST_SECONDS)
    pcm = sound.samples.tobytes()

    def decoding() -> None:
        with recording.open("rb") as file:
            audio._decode(file, recording.stat().st_size, ear.rate_hz, LONGEST_SECONDS)

    booth = seat(ear)

    def pipeline() -> None:
        booth.transcribe(recording)

    pipeline()  # the child is born with the first recording, and stays
    costs = interleaved(decoding, lambda: raw(model, pcm, ear.rate_hz), pipeline)
    booth.close()
    (decode_cpu, _), (raw_cpu, raw_wall), (pipe_cpu, pipe_wall) = costs
    name = f"{ear.name}, {seconds} s of speech"
    return [
        (f"{name}: libvosk alone, CPU", f"{raw_cpu * 1000:.0f} ms"),
        (f"{name}: decoding the file, CPU", f"{decode_cpu * 1000:.1f} ms"),
        (f"{name}: the whole pipeline, CPU", f"{pipe_cpu * 1000:.0f} ms"),
        (
            f"{name}: pipeline / (libvosk + decoding), CPU",
            f"{pipe_cpu / (raw_cpu + decode_cpu):.3f}",
        ),
        (
            f"{name}: hang-up to text, beyond libvosk alone",
            f"{(pipe_wall - raw_wall) * 1000:+.0f} ms",
        ),
    ]


def raw(model: vosk.Model, pcm: bytes, rate_hz: int) -> None:
    """libvosk alone, in the blocks that the house uses."""
    kaldi = vosk.KaldiRecognizer(model, float(rate_hz))
    kaldi.SetWords(True)
    block = int(recognizer.BLOCK_SECONDS * rate_hz) * 2
    for start in range(0, len(pcm), block):
        if kaldi.AcceptWaveform(pcm[start : start + block]):
            json.loads(kaldi.Result())
    json.loads(kaldi.FinalResult())


def memory(folder: Path, recording: Path) -> list[tuple[str, str]]:
    ear = recognizer.load(folder)
    peaks = [peak_bytes(ear, recording, workers) for workers in WORKERS]
    further = (peaks[1] - peaks[0]) / (WORKERS[1] - WORKERS[0])
    return [
        (f"{ear.name}: one worker, peak", f"{peaks[0] / 2**20:.0f} MB"),
        (f"{ear.name}: each further worker, peak", f"{further / 2**20:.1f} MB"),
    ]


def seat(ear: recognizer.Recognizer) -> Booth:
    return Booth(ear, max_wall_seconds=120, max_memory_bytes=2 << 30)


def interleaved(*works: Callable[[], None]) -> list[tuple[float, float]]:
    """Give the median CPU and wall seconds of each, done in turns so that a busy machine is unfair to all alike."""
    taken: list[list[tuple[float, float]]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for at, work in enumerate(works):
            cpu, wall = _cpu_seconds(), time.perf_counter()
            work()
            taken[at].append((_cpu_seconds() - cpu, time.perf_counter() - wall))
    return [(median(cpu for cpu, _ in each), median(wall for _, wall in each)) for each in taken]


def _cpu_seconds() -> float:
    """Count this process and its children, the buried and the living."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    living = sum(time.clock_gettime(_cpu_clock(child)) for child in family(os.getpid())[1:])
    return living + sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _cpu_clock(process: int) -> int:
    """The clock of a process's CPU time, as clock_getcpuclockid(3) makes it."""
    return ~process << 3 | 2


def peak_bytes(ear: recognizer.Recognizer, recording: Path, workers: int) -> int:
    """Fork workers from this parent, let them listen without pause, and take the largest memory of the whole family.

    Memory is proportional set size: what several share is counted once.
    """
    gc.freeze()
    children = [child for _ in range(workers) if (child := _worker(ear, recording))]
    peak, end = 0, time.monotonic() + BUSY_SECONDS
    while time.monotonic() < end:
        peak = max(peak, sum(pss_bytes(process) for process in family(os.getpid())))
        time.sleep(0.02)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    gc.unfreeze()
    return peak


def _worker(ear: recognizer.Recognizer, recording: Path) -> int:
    child = os.fork()
    if child == 0:
        booth = seat(ear)
        while True:
            booth.transcribe(recording)
    return child


def family(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    try:
        return [
            parent,
            *(one for child in children.read_text().split() for one in family(int(child))),
        ]
    except OSError:
        return []


def pss_bytes(process: int) -> int:
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(
        int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")
    )
