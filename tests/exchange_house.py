"""An exchange, a small TwiML application and its caller's sounds, for the exchange's tests."""

import asyncio
import io
import os
import queue
import resource
import socket
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import requests
from flask import Flask, Response, request
from real_asterisk import RealAsterisk
from softphone import RATE, free_port
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from werkzeug.serving import WSGIRequestHandler, make_server

from ivr.exchange.audio import tone
from ivr.exchange.server import Exchange
from ivr.exchange.settings import EngineKind, ExchangeSettings, Trunk

ACCOUNT = "AC" + "0" * 32
TOKEN = "a-secret-of-the-tests"
OUR_NUMBER = "+8657982345678"
PATIENCE = 20.0
ON_ASTERISK = os.environ.get("HOTLINE_TEST_ENGINE") == "asterisk"  # make test-asterisk

Answer = str | tuple[str, int] | Response
Page = Callable[[dict[str, str]], Answer]


@dataclass
class Heard:
    """One request that reached the application."""

    path: str
    form: dict[str, str]
    at: float
    signed: bool


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log(self, *_: Any) -> None:
        pass


class TwimlApp:
    """Pages by path, each a function of the form; every request is kept and its signature checked."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.pages: dict[str, Page] = {}
        self.sounds: dict[str, bytes] = {}
        self.requests: list[Heard] = []
        self._arrived = threading.Condition()
        self._app = Flask("twiml")
        self._app.add_url_rule("/<path:path>", "page", self._page, methods=["GET", "POST"])
        self._validator = RequestValidator(TOKEN)

    def _page(self, path: str) -> Any:
        path = f"/{path}"
        form = request.form.to_dict()
        url = self.base + request.full_path.rstrip("?")
        signed = self._validator.validate(
            url, request.form, request.headers.get("X-Twilio-Signature", "")
        )
        if path in self.sounds:
            return Response(
                self.sounds[path], mimetype="audio/wav", headers={"Cache-Control": "max-age=60"}
            )
        with self._arrived:
            self.requests.append(Heard(path, form, time.monotonic(), signed))
            self._arrived.notify_all()
        if not signed:
            return Response("not signed", 403)
        page = self.pages.get(path)
        if page is None:
            return Response(status=204)
        answer = page(form)
        if isinstance(answer, Response):
            return answer
        text, status = answer if isinstance(answer, tuple) else (answer, 200)
        return Response(f"<Response>{text}</Response>", status, mimetype="text/xml")

    def start(self) -> None:
        self._server = make_server(
            "127.0.0.1", self.port, self._app, threaded=True, request_handler=_Quiet
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(
        self, path: str, count: int = 1, seconds: float = PATIENCE, **wanted: str
    ) -> Heard:
        """The `count`-th request to a path whose form holds what is wanted."""

        def found() -> list[Heard]:
            return [
                r
                for r in self.requests
                if r.path == path and all(r.form.get(k) == v for k, v in wanted.items())
            ]

        with self._arrived:
            if not self._arrived.wait_for(lambda: len(found()) >= count, seconds):
                seen = [
                    (r.path, r.form.get("CallStatus"), r.form.get("Digits")) for r in self.requests
                ]
                raise TimeoutError(f"no {path} {wanted} x{count}; there were {seen}")
            return found()[count - 1]

    def count(self, path: str) -> int:
        return sum(r.path == path for r in self.requests)


class Running:
    """An exchange on its own event loop in a thread of its own."""

    def __init__(self, settings: ExchangeSettings, **more: Any) -> None:
        self.settings = settings
        self._more = more
        self._ready: queue.Queue[BaseException | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._enough = asyncio.Event()
        try:
            self.exchange = Exchange(self.settings, **self._more)
            await self.exchange.start()
        except BaseException as error:  # raised again in the test's thread
            self._ready.put(error)
            return
        self._ready.put(None)
        await self._enough.wait()
        await self.exchange.stop()

    def start(self) -> "Running":
        self._thread.start()
        error = self._ready.get(timeout=PATIENCE)
        if error is not None:
            raise error
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._enough.set)
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), "the exchange did not stop"

    def ask(self, work: Any) -> Any:
        """Run a coroutine on the exchange's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        until(condition, seconds)

    def wait_for_recording(self) -> None:
        """Until a recording has begun: the beep is over and the caller may speak."""
        wait_for_recording(self.settings)

    def recording(self, sid: str) -> np.ndarray:
        """A recording as the application fetches it."""
        url = f"{self.settings.rest_base}/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}.wav"
        answer = requests.get(url, auth=(ACCOUNT, TOKEN), timeout=10)
        answer.raise_for_status()
        with wave.open(io.BytesIO(answer.content)) as reader:
            assert (reader.getframerate(), reader.getnchannels()) == (RATE, 1)
            return np.frombuffer(reader.readframes(reader.getnframes()), "<i2")

    @property
    def sip_port(self) -> int:
        return self.settings.sip_port

    @property
    def client(self) -> Client:
        client = Client(ACCOUNT, TOKEN)
        client.api.base_url = self.settings.rest_base
        return client


def wait_for_recording(settings: ExchangeSettings) -> None:
    """Until a recording has begun: the beep is over and the caller may speak."""
    folder, ending = settings.data_folder / "recordings", "*.?law"
    if settings.engine is EngineKind.ASTERISK:
        folder, ending = settings.asterisk.sounds_folder.parents[2] / "spool" / "recording", "*"
    until(lambda: any(folder.glob(ending)))


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


@dataclass
class House:
    """Everything of one test."""

    app: TwimlApp
    settings: dict[str, Any]
    started: list[Running] = field(default_factory=list)
    asterisks: list[RealAsterisk] = field(default_factory=list)

    def exchange(self, **changes: Any) -> Running:
        more = {name: changes.pop(name) for name in ("is_known", "clock") if name in changes}
        running = Running(self.arranged(**changes), **more).start()
        self.started.append(running)
        return running

    def arranged(self, **changes: Any) -> ExchangeSettings:
        """The settings of an exchange, and the Asterisk it needs, if any."""
        settings = ExchangeSettings(**{**self.settings, **changes})
        return (
            self._on_asterisk(settings)
            if ON_ASTERISK and settings.engine is EngineKind.PYTHON
            else settings
        )

    def _on_asterisk(self, settings: ExchangeSettings) -> ExchangeSettings:
        """The same house on a real Asterisk, which stays when the exchange is started anew."""
        if not self.asterisks:
            folder = settings.data_folder.parent / "asterisk"
            self.asterisks.append(RealAsterisk(folder, settings))
            self.asterisks[0].start()
        known = self.asterisks[0].settings
        return replace(settings, engine=known.engine, asterisk=known.asterisk)


def default_settings(folder: Path, app: Any) -> dict[str, Any]:
    rtp = free_port(pair=True)
    return {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "our_number": OUR_NUMBER,
        "voice_url": f"{app.base}/voice",
        "status_url": f"{app.base}/status",
        "rest_port": free_port(),
        "sip_port": free_port(),
        "rtp_ports": (rtp, rtp + 400),
        "peers": ("127.0.0.1",),
        "trunk": Trunk("127.0.0.1", 9),
        "data_folder": folder / "exchange",
        "min_free_bytes": 1_000_000,
    }


@contextmanager
def house(folder: Path) -> Iterator[House]:
    app = TwimlApp()
    app.start()
    whole = House(app, default_settings(folder, app))
    try:
        # Telephones of the tests are often put away before the exchange is.
        with mock.patch("ivr.exchange.sip.FAREWELL_SECONDS", 0.1):
            try:
                yield whole
            finally:
                for running in whole.started:
                    running.stop()
                for asterisk in whole.asterisks:
                    asterisk.stop()
    finally:
        whole.app.stop()


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """A disk that takes no more: what is written beyond so many bytes of a file fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def prompt(seed: int = 1, seconds: float = 2.0) -> np.ndarray:
    """Something like speech that no other prompt resembles: noise in bursts, −19 dBov."""
    dice = np.random.default_rng(seed)
    count = int(seconds * RATE)
    noise = np.convolve(dice.standard_normal(count + 8), np.ones(4) / 2, "same")[:count]
    envelope = np.repeat(dice.uniform(0.3, 1, count // 800 + 1), 800)[:count]
    sound = noise * envelope
    return (
        (sound / np.sqrt((sound**2).mean()) * 32768 * 10 ** (-19 / 20))
        .clip(-32768, 32767)
        .astype(np.int16)
    )


def wav_bytes(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def find(needle: np.ndarray, hay: np.ndarray) -> tuple[float, int]:
    """Best normalised correlation of `needle` anywhere in `hay`, and where (in samples)."""
    if len(hay) < len(needle):
        hay = np.concatenate([hay, np.zeros(len(needle) - len(hay))])
    a, b = needle.astype(float), hay.astype(float)
    size = 1 << (len(a) + len(b) - 1).bit_length()
    dot = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    dot = dot[: len(b) - len(a) + 1]
    squares = np.concatenate([[0], np.cumsum(b**2)])
    energy = squares[len(a) :] - squares[: -len(a)]
    score = dot / np.sqrt(np.maximum(energy, 1e4 * len(a)) * (a**2).sum())
    at = int(np.argmax(score))
    return float(score[at]), at


MOST = 0.6


def came_through(sound: np.ndarray, heard: np.ndarray, seconds: float = 0.25) -> float:
    """The share of a sound's quarter seconds that are in what was heard, MOST on any machine.

    A machine with other work tears a sound now and then, at one of the five programs it passes.
    What is lost on a quiet one is measured by `make bench`, half second by half second.
    """
    step = int(seconds * RATE)
    parts = [sound[at : at + step] for at in range(0, len(sound) - step + 1, step)]
    voiced = [part for part in parts if np.sqrt((part.astype(float) ** 2).mean()) > 100]
    return sum(find(part, heard)[0] >= 0.9 for part in voiced) / len(voiced)


def worst_window(needle: np.ndarray, hay: np.ndarray, at: int, seconds: float = 0.5) -> float:
    """The poorest correlation of any half second of a sound found at `at`."""
    step = int(seconds * RATE)
    worst = 1.0
    for start in range(0, len(needle) - step + 1, step):
        low, high = max(0, at + start - 160), at + start + step + 160
        worst = min(worst, find(needle[start : start + step], hay[low:high])[0])
    return worst


BEEP = tone(600, 0.5, -16)
