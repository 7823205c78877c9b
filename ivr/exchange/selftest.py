"""The exchange rings itself: plays, records what it hears, and compares the two.

It needs no telephone, no carrier and no application: a second, small exchange of its own on
loopback is both. What is proven is SIP, sound both ways, keys, recording, webhooks, REST.
"""

import asyncio
import io
import secrets
import socket
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
from aiohttp import web

from ivr.exchange import g711
from ivr.exchange.audio import tone, wav
from ivr.exchange.g711 import Samples
from ivr.exchange.leg import Sound, TakeLimits
from ivr.exchange.safety import Gate
from ivr.exchange.server import Exchange
from ivr.exchange.settings import ExchangeSettings, Trunk
from ivr.exchange.sip import SipEngine
from ivr.exchange.sip_leg import SipLeg

ENOUGH = 0.9
PATIENCE_SECONDS = 20.0
AT_ONCE_MS = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    name: str
    passed: bool
    figure: str


async def run() -> list[Finding]:
    """Ring, listen, press, speak, hang up, fetch; each with its figure."""
    with tempfile.TemporaryDirectory(prefix="hotline-selftest-") as folder:
        app = _App()
        await app.start()
        token = secrets.token_hex(16)
        exchange = Exchange(_settings(Path(folder), app.base, token))
        caller = SipEngine(
            _settings(Path(folder), app.base, token, rings=exchange.settings.sip_port),
            Gate(exchange.settings),
        )
        await exchange.start()
        await caller.start()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await _call(exchange, caller, app, token)
        except (OSError, TimeoutError) as error:
            return [Finding("call", passed=False, figure=f"{type(error).__name__}: {error}")]
        finally:
            await caller.stop()
            await exchange.stop()
            await app.stop()


async def _call(exchange: Exchange, caller: SipEngine, app: "_App", token: str) -> list[Finding]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    leg = await caller.dial("100", "100", 10, lambda: None)
    answered_ms = (loop.time() - began) * 1000
    heard_at = exchange.settings.data_folder / "heard.wav"
    limits = TakeLimits(app.prompt_seconds + 0.5, 60, "")
    heard = await leg.record(heard_at, limits)
    _press(leg, "1")
    await asyncio.wait_for(app.pressed.wait(), 5)
    spoken = _voice(2)
    await asyncio.sleep(0.3)  # until the recording has begun
    await leg.play(Sound(g711.encode(spoken)), stop_on_key=False)
    await leg.hang_up()
    sid = await asyncio.wait_for(app.recording, 5)
    recording = await _fetch(exchange.settings, sid, token)
    with wave.open(str(heard.path)) as reader:
        prompt = np.frombuffer(reader.readframes(reader.getnframes()), np.int16)
    there, back = correlation(_voice(1), prompt), correlation(spoken, recording)
    return [
        Finding("answer", passed=answered_ms < AT_ONCE_MS, figure=f"{answered_ms:.0f} ms"),
        Finding("prompt", passed=there >= ENOUGH, figure=f"{there:.3f}"),
        Finding("key", passed=app.key == "1", figure=app.key or "-"),
        Finding("recording", passed=back >= ENOUGH, figure=f"{back:.3f}"),
    ]


def _press(leg: SipLeg, key: str) -> None:
    """One key as RFC 4733, from the calling side."""
    assert leg.media is not None  # noqa: S101
    leg.media.send_dtmf(key, 160, timestamp=leg.media.next_timestamp)


async def _fetch(settings: ExchangeSettings, sid: str, token: str) -> Samples:
    url = f"{settings.rest_base}/2010-04-01/Accounts/{settings.account_sid}/Recordings/{sid}.wav"
    headers = {"Authorization": aiohttp.encode_basic_auth(settings.account_sid, token)}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        answer.raise_for_status()
        data = await answer.read()
    with wave.open(io.BytesIO(data)) as reader:
        return np.frombuffer(reader.readframes(reader.getnframes()), np.int16)


class _App:
    """The smallest application: a question, then a message."""

    prompt_seconds = 2.0

    def __init__(self) -> None:
        self.pressed = asyncio.Event()
        self.key = ""
        self._sound = wav(_voice(1))  # now, not while a caller waits
        self.recording: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.post("/voice", self._voice),
                web.post("/turn", self._turn),
                web.post("/kept", self._kept),
                web.get("/prompt.wav", self._prompt),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        port = _free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.base = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _voice(self, _: web.Request) -> web.Response:
        return _twiml(
            '<Gather action="/turn" numDigits="1" timeout="10" finishOnKey="">'
            "<Play>/prompt.wav</Play></Gather>"
        )

    async def _turn(self, request: web.Request) -> web.Response:
        self.key = str((await request.post()).get("Digits", ""))
        self.pressed.set()
        return _twiml('<Record action="/kept" timeout="10" playBeep="false" finishOnKey=""/>')

    async def _kept(self, request: web.Request) -> web.Response:
        if not self.recording.done():
            self.recording.set_result(str((await request.post()).get("RecordingSid", "")))
        return _twiml("")

    async def _prompt(self, _: web.Request) -> web.Response:
        return web.Response(body=self._sound, content_type="audio/wav")


def _twiml(verbs: str) -> web.Response:
    return web.Response(text=f"<Response>{verbs}</Response>", content_type="text/xml")


def _settings(folder: Path, app: str, token: str, rings: int = 0) -> ExchangeSettings:
    rtp = 50000 if rings else 51000
    return ExchangeSettings(
        account_sid="AC" + "5e" * 16,
        auth_token=token,
        our_number="+8657900000000",
        voice_url=f"{app}/voice",
        rest_port=_free_port(),
        sip_port=_free_port(),
        rtp_ports=(rtp, rtp + 100),
        peers=("127.0.0.1",),
        trunk=Trunk("127.0.0.1", rings) if rings else None,
        data_folder=folder / ("caller" if rings else "exchange"),
        min_free_bytes=1_000_000,
    )


def _voice(seed: int) -> Samples:
    """Two seconds of a melody that resembles no other, so that its place can be found."""
    dice = np.random.default_rng(seed)
    notes = [tone(float(hertz), 0.1, -19) for hertz in dice.uniform(300, 2500, 20)]
    return np.concatenate(notes)


def correlation(sent: Samples, heard: Samples) -> float:
    """The best normalised correlation of what was sent anywhere in what was heard."""
    a, b = sent.astype(float), np.concatenate([heard, np.zeros(len(sent))]).astype(float)
    size = 1 << (len(a) + len(b)).bit_length()
    dot = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    dot = dot[: len(b) - len(a) + 1]
    energy = np.cumsum(np.concatenate([[0.0], b**2]))
    energy = energy[len(a) :] - energy[: -len(a)]
    scale = np.sqrt(np.maximum(energy, 1.0) * (a**2).sum())
    return float(np.max(dot / scale))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
