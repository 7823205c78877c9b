"""The voice webhook: against a bare floor on the same server, and under 1,000 and 2,000 callers."""

import asyncio
import base64
import hashlib
import hmac
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from urllib.request import urlopen

import aiohttp

from hotline.db import Database
from hotline.schema import metadata

PUBLIC_URL, SECRET = "https://line.test", "a token"
CONNECTIONS = 8
CLOSED_SECONDS = 6.0
ROUNDS = 5
PAUSE_SECONDS = 8  # between two answers of one caller: 125 webhooks/s are 1,000 callers
WARM_UP_SECONDS = 3.0  # until every process has read its modules: no caller waits for that twice
OPEN_SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
# What one caller sends: the ring, four seconds of silence, then the hang-up's status.
CALL = (
    ("/ivr/ring", {"From": "+8613812345678", "CallStatus": "ringing"}),
    ("/ivr/turn?turn=1&silent=1", {}),
    ("/ivr/turn?turn=1&silent=1", {}),
)


@dataclass
class Taken:
    """Latencies in seconds, and answers that were no TwiML."""

    seconds: list[float]
    errors: int = 0
    elapsed: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.elapsed

    def percentile_ms(self, percent: int) -> float:
        return statistics.quantiles(self.seconds, n=100)[percent - 1] * 1000


def run() -> Iterator[tuple[str, str]]:
    """Rows of (name, figure)."""
    with TemporaryDirectory() as folder:
        floors, ours = [], []
        for number in range(ROUNDS):  # in turns, so that a noisy minute touches both
            with floor(Path(folder) / f"floor{number}") as base:
                floors.append(at_full_speed(base))
            with house(Path(folder) / f"house{number}") as base:
                ours.append(at_full_speed(base))
        ratio = statistics.median(ours) / statistics.median(floors)
        yield "bare floor, 8 connections", f"{statistics.median(floors):.0f}/s"
        yield "voice webhook, 8 connections", f"{statistics.median(ours):.0f}/s"
        yield "ratio (wanted: 0.7)", f"{ratio:.2f}"
        for rate, wanted in ((125, 50), (250, 120)):
            with house(Path(folder) / f"open{rate}") as base:
                asyncio.run(closed(base, WARM_UP_SECONDS, "warm"))
                taken = asyncio.run(offered(base, rate, OPEN_SECONDS))
            yield (
                f"{rate} webhooks/s offered for {OPEN_SECONDS:.0f} s, p50 / p99 (wanted: p99 {wanted} ms)",
                f"{taken.percentile_ms(50):.0f} / {taken.percentile_ms(99):.0f} ms, {taken.errors} errors, {taken.per_second:.0f}/s",
            )
        yield (
            "the demonstration's first page after its start, three times (wanted: 5 s)",
            " / ".join(f"{first_page(Path(folder)):.1f}" for _ in range(3)) + " s",
        )


def first_page(folder: Path) -> float:
    """Seconds from `hotline demo` to its first page, of a house that is made for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    demo = subprocess.Popen(
        [sys.executable, "-m", "hotline.cli", "demo", "--listen", address],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while demo.poll() is None:
            try:
                urlopen(f"http://{address}/door", timeout=10).read()
            except OSError:
                time.sleep(0.02)
            else:
                return time.monotonic() - began
        raise RuntimeError("the demonstration has ended by itself")
    finally:
        demo.terminate()
        demo.wait()


def at_full_speed(base: str) -> float:
    """Webhooks a second, once every process of the server has read its modules."""
    asyncio.run(closed(base, WARM_UP_SECONDS, "warm"))
    return asyncio.run(closed(base, CLOSED_SECONDS, "hot")).per_second


async def closed(base: str, seconds: float, name: str) -> Taken:
    """As fast as eight connections get answers; no two `name`s share a call."""
    taken, end = Taken([]), time.monotonic() + seconds
    began = time.monotonic()

    async def caller(number: int) -> None:
        calls = 0
        while time.monotonic() < end:
            calls += 1
            for step, (path, form) in enumerate(CALL):
                # A connection a call: eight that stay often all sit in one process of the server.
                last = {"Connection": "close"} if step == len(CALL) - 1 else {}
                sid = f"CA{name}{number}-{calls}"
                await post(session, base, path, {"CallSid": sid, **form}, taken, last)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        await asyncio.gather(*(caller(number) for number in range(CONNECTIONS)))
    taken.elapsed = time.monotonic() - began
    return taken


async def offered(base: str, rate: int, seconds: float) -> Taken:
    """So many webhooks each second, whether or not the earlier ones are answered."""
    taken, began, posts = Taken([]), time.monotonic(), []
    callers = rate * PAUSE_SECONDS
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            step, caller = divmod(number, callers)
            path, form = CALL[step % len(CALL)]
            sid = f"CA{caller}-{step // len(CALL)}"
            posts.append(
                asyncio.create_task(post(session, base, path, {"CallSid": sid, **form}, taken))
            )
        await asyncio.gather(*posts)
    taken.elapsed = time.monotonic() - began
    return taken


async def post(
    session: aiohttp.ClientSession,
    base: str,
    path: str,
    form: dict[str, str],
    taken: Taken,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    text = PUBLIC_URL + path + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(
        hmac.new(SECRET.encode(), text.encode(), hashlib.sha1).digest()
    ).decode()
    began = time.monotonic()
    try:
        async with session.post(
            base + path, data=form, headers={"X-Twilio-Signature": signature, **headers}
        ) as answer:
            body = await answer.text()
            ok = answer.status == 200 and "<Response" in body and "毛病" not in body
    except aiohttp.ClientError:
        ok = False
    taken.seconds.append(time.monotonic() - began)
    taken.errors += not ok


@contextmanager
def floor(folder: Path) -> Iterator[str]:
    folder.mkdir()
    environment = {
        "FLOOR_DB": str(folder / "floor.db"),
        "FLOOR_URL": PUBLIC_URL,
        "FLOOR_SECRET": SECRET,
    }
    with server("tests.bench.floor:create()", environment) as base:
        yield base


@contextmanager
def house(folder: Path) -> Iterator[str]:
    db = Database(f"sqlite:///{folder / 'hotline.db'}")
    metadata.create_all(db.engine)
    db.close()
    environment = {
        "HOTLINE_DATA_FOLDER": str(folder), "HOTLINE_PUBLIC_URL": PUBLIC_URL, "HOTLINE_LINE_NUMBER": "+8657982000000",
        "HOTLINE_COMMITTEE_PHONE": "+8657982000001", "HOTLINE_CARRIER_ACCOUNT": "AC1", "HOTLINE_CARRIER_TOKEN": SECRET,
    }  # fmt: skip
    with server(
        "hotline.app:from_environment()", environment, "--config", "python:hotline.serving"
    ) as base:
        yield base


@contextmanager
def server(app: str, environment: dict[str, str], *options: str) -> Iterator[str]:
    """The house's web server with its usual four processes of two threads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", app, "--bind", f"127.0.0.1:{port}", "--workers", "4", "--threads", "2",
         "--worker-class", "gthread", "--no-control-socket", "--log-level", "warning", *options],
        env={**os.environ, **environment}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
