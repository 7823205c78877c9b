"""From hang-up to the text on the ticket, through the house's own door, bell and worker; and what a worker weighs.

The carrier is a scripted one on this machine, so its part of the way costs next to nothing. Waiting for a text in the call
is the same way.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import redis_house
import vosk
from caller import Caller
from carriers.door import FlaskDoor
from carriers.twilio import Twilio
from conftest import settings_for
from sqlalchemy import func, select

from asr import audio, booth, shelf
from asr.recognizer import sample_rate_hz
from hotline import ear
from hotline.app import create_app
from hotline.config import Settings
from hotline.migration import upgrade
from hotline.processes import child_environment
from hotline.runtime import Runtime, build
from tests.bench.ear_cost import MODELS, SPEECH_SECONDS, family, pss_bytes, raw, speech
from tickets.models import Transcript

CALLS = 7
CALLS_A_HAND = 4
WORKERS = (1, 3)
LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 120.0


def run() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as room:
        recording = speech(Path(room), SPEECH_SECONDS[0])
        for folder in [MODELS / "demo-cn", *shelf.standing(shelf.places(Path.home(), None))]:
            alone = median(raw_seconds(folder, recording))
            waited, weights = [], []
            for workers in WORKERS:
                with house(folder, workers) as (runtime, company, worker):
                    hang_up_to_text(runtime, company, recording)  # until the worker is there
                    if workers == 1:
                        waited = [
                            hang_up_to_text(runtime, company, recording) for _ in range(CALLS)
                        ]
                    weights.append(peak_bytes(runtime, company, recording, workers, worker))
            further = (weights[-1] - weights[0]) / (WORKERS[-1] - WORKERS[0])
            name, text = folder.name, median(waited)
            yield (
                f"{name}: libvosk alone, {SPEECH_SECONDS[0]} s of speech",
                f"{alone * 1000:.0f} ms",
            )
            yield (
                f"{name}: hang-up to text",
                f"{text * 1000:.0f} ms, worst {max(waited) * 1000:.0f}",
            )
            yield f"{name}: beyond libvosk alone", f"{(text - alone) * 1000:+.0f} ms"
            yield f"{name}: all of a busy worker with one pair of hands, peak", f"{weights[0] / 2**20:.0f} MB"  # fmt: skip
            yield f"{name}: each further pair of hands, peak", f"{further / 2**20:.1f} MB"


@contextmanager
def house(folder: Path, workers: int) -> Iterator[tuple[Runtime, Twilio, int]]:
    """A house with its own Redis and a real worker process, and a telephone company connected to it."""
    with (
        tempfile.TemporaryDirectory() as data,
        redis_house.running() as redis,
        Twilio() as company,
    ):
        given: dict[str, Any] = {"HOTLINE_MODEL_PATH": folder}
        settings = settings_for(
            Path(data), redis_url=redis.url, carrier_api_url=company.api_url, hands=workers,
            carrier_account=company.account, carrier_token=company.token, media_hosts=("127.0.0.1",),
            signing_secrets=(company.secret,), sqlite_synchronous="FULL", **given,
        )  # fmt: skip
        assert ear.choose(settings) == folder
        runtime = build(settings)
        upgrade(runtime.db)
        company.connect(FlaskDoor(create_app(runtime)), settings.public_url)
        worker = start(settings)
        try:
            yield runtime, company, worker.pid
        finally:
            worker.terminate()
            worker.wait(30)
            runtime.close()


def start(settings: Settings) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "worker"], env=child_environment(settings),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def hang_up_to_text(runtime: Runtime, company: Twilio, recording: Path) -> float:
    caller = speaks(company, recording)
    before, began = texts(runtime), time.perf_counter()
    caller.hangs_up()
    for _ in until_there(runtime, before + 1):
        pass
    return time.perf_counter() - began


def peak_bytes(
    runtime: Runtime, company: Twilio, recording: Path, workers: int, worker: int
) -> int:
    """The largest memory of the worker's whole family while every pair of hands has calls to do."""
    callers = [speaks(company, recording, number) for number in range(workers * CALLS_A_HAND)]
    before = texts(runtime)
    for caller in callers:
        caller.hangs_up()
    there = until_there(runtime, before + len(callers))
    return max(sum(map(pss_bytes, family(worker))) for _ in there)


def speaks(company: Twilio, recording: Path, number: int = 0) -> Caller:
    """Somebody who has not rung before speaks after the beep."""
    caller = company.caller(f"+86138{len(company.calls):06}{number:02}").dials()
    while caller.recorded is None:
        caller.keeps_silent()
    return caller.says("一段话", SPEECH_SECONDS[0], recording)


def until_there(runtime: Runtime, wanted: int) -> Iterator[None]:
    """Look again and again until so many texts are written down."""
    began = time.perf_counter()
    while texts(runtime) < wanted:
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise TimeoutError("no text came")
        yield
        time.sleep(LOOK_SECONDS)


def texts(runtime: Runtime) -> int:
    with runtime.db.reading() as session:
        return session.scalar(select(func.count()).select_from(Transcript)) or 0


def raw_seconds(folder: Path, recording: Path) -> Iterator[float]:
    """What libvosk alone takes for the same sound, again and again."""
    heard, rate_hz = vosk.Model(str(folder)), sample_rate_hz(folder)
    pcm = audio.read(recording, rate_hz=rate_hz, max_seconds=booth.LONGEST_SECONDS).samples
    for _ in range(CALLS):
        began = time.perf_counter()
        raw(heard, pcm.tobytes(), rate_hz)
        yield time.perf_counter() - began
