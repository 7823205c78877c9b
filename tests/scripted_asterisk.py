"""A scripted Asterisk: ARI's commands and events as a real one gives them, without telephones.

Written after what an Asterisk 22.10 did (`make test-asterisk`): a bad path is a warning and 201; a
recording can be fetched only after RecordingFinished; a caller's hang-up is ChannelHangupRequest
without a cause, then PlaybackFinished "failed" or RecordingFinished, then StasisEnd and no more; a
call of ours ends with ChannelDestroyed, which has the cause; a bridged channel cannot be recorded
(409) until it has left; a box that is off is asked for 32 s and ends as 18 without ever ringing,
one known to be off is refused at once (500).
"""

import asyncio
import base64
import io
import json
import threading
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from softphone import RATE, free_port, read_wav

USER, PASSWORD, APP = "hotline", "a-secret-of-the-tests", "hotline"


@dataclass
class Channel:
    """One telephone on the scripted Asterisk."""

    id: str
    number: str
    state: str = "Ring"
    heard: list[np.ndarray] = field(default_factory=list)
    recording: str = ""
    playing: str = ""
    bridge: str = ""
    silent: bool = False  # silence is being sent
    spoken: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int16))
    cause: int = 0
    ours: bool = False  # we rang it


class ScriptedAsterisk:
    """A context manager; the telephones are moved by the test."""

    def __init__(self) -> None:
        self.port = free_port()
        self.channels: dict[str, Channel] = {}
        self.commands: list[tuple[str, str, dict[str, str]]] = []
        self.playbacks: dict[str, asyncio.Task[None]] = {}
        self.stored: dict[str, bytes] = {}
        self.bridges: dict[str, list[str]] = {}
        self.sockets: list[web.WebSocketResponse] = []
        self.on_originate = "answer"  # or busy, silent, off, fail
        self.tells_talk = True
        self._changed = threading.Condition()

    def __enter__(self) -> "ScriptedAsterisk":
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._enough.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._enough = asyncio.Event()
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/ari/events", self._events)
        app.router.add_route("*", "/ari/{path:.*}", self._command)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self._ready.set()
        await self._enough.wait()
        for task in self.playbacks.values():
            task.cancel()
        for socket in self.sockets:
            await socket.close()
        await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> Any:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != wanted:
            return web.json_response({"message": "Authentication required"}, status=401)
        return await handler(request)

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        assert request.query["app"] == APP
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
        self.sockets.remove(socket)
        return socket

    def _tell(self, kind: str, **more: Any) -> None:
        event = {"type": kind, "application": APP, "asterisk_id": "test", **more}
        for socket in self.sockets:
            self.loop.create_task(socket.send_str(json.dumps(event)))

    def _json(self, channel: Channel) -> dict[str, Any]:
        return {
            "id": channel.id,
            "name": f"PJSIP/trunk-{channel.id}",
            "state": channel.state,
            "caller": {"name": "", "number": channel.number},
            "connected": {"name": "", "number": ""},
            "dialplan": {
                "context": "hotline-in",
                "exten": "0",
                "app_name": "Stasis",
                "app_data": APP,
            },
        }

    async def _command(self, request: web.Request) -> web.Response:
        path = request.match_info["path"].split("/")
        query = dict(request.query)
        with self._changed:
            self.commands.append((request.method, request.match_info["path"], query))
            self._changed.notify_all()
        match (request.method, *path):
            case ("GET", "asterisk", "info"):
                return web.json_response({"system": {"version": "20.0.0"}})
            case ("GET", "channels"):
                return web.json_response([self._json(c) for c in self.channels.values()])
            case ("POST", "bridges", bridge):
                self.bridges[bridge] = []
                return web.json_response({"id": bridge})
            case ("POST", "bridges", bridge, "addChannel"):
                self.bridges[bridge] += query["channel"].split(",")
                for channel in self.bridges[bridge]:
                    self.channels[channel].bridge = bridge
                return web.Response(status=204)
            case ("DELETE", "bridges", bridge):
                self.loop.call_later(0.05, self._empty, bridge)
                return web.Response(status=204)
            case ("DELETE", "playbacks", playback):
                if playback not in self.playbacks:
                    return web.json_response({"message": "Playback not found"}, status=404)
                self._end_playback(playback, "done")
                return web.Response(status=204)
            case ("POST", "recordings", "live", name, "stop"):
                if not self._finish_recording(name):
                    return web.json_response({"message": "Recording not found"}, status=404)
                return web.Response(status=204)
            case ("GET", "recordings", "stored"):
                return web.json_response([{"name": n, "format": "wav"} for n in self.stored])
            case ("GET", "recordings", "stored", name, "file"):
                if name not in self.stored:
                    return web.json_response({"message": "Recording not found"}, status=404)
                return web.Response(body=self.stored[name], content_type="audio/wav")
            case ("DELETE", "recordings", "stored", name):
                self.stored.pop(name, None)
                return web.Response(status=204)
            case ("POST", "channels", new):
                return self._originate(new, query)
            case (_, "channels", known, *act):
                return self._channel(request.method, known, act, query)
        return web.json_response({"message": "Not found"}, status=404)

    def _originate(self, channel: str, query: dict[str, str]) -> web.Response:
        if self.on_originate == "fail":
            return web.json_response({"message": "Allocation failed"}, status=500)
        number = query["endpoint"].split("/")[1].split("@")[0]
        new = self.channels[channel] = Channel(channel, number, "Down", ours=True)
        self._dial(new, "")
        if self.on_originate != "off":
            self.loop.call_later(0.02, self._ringing, new)
        if self.on_originate == "answer":
            self.loop.call_later(0.1, self._picked_up, new, query["appArgs"])
        if self.on_originate == "busy":
            self.loop.call_later(0.1, self._gone, new, 17)
        if self.on_originate == "off":
            self.loop.call_later(0.1, self._gone, new, 18)
        return web.json_response(self._json(new))

    def _dial(self, channel: Channel, status: str) -> None:
        self._tell("Dial", dialstatus=status, forward="", peer=self._json(channel))

    def _ringing(self, channel: Channel) -> None:
        channel.state = "Ringing"
        self._tell("ChannelStateChange", channel=self._json(channel))
        self._dial(channel, "RINGING")

    def _picked_up(self, channel: Channel, args: str) -> None:
        channel.state = "Up"
        self._tell("ChannelStateChange", channel=self._json(channel))
        self._dial(channel, "ANSWER")
        self._tell("StasisStart", channel=self._json(channel), args=[args])

    def _channel(
        self, method: str, known: str, act: list[str], query: dict[str, str]
    ) -> web.Response:
        channel = self.channels.get(known)
        if channel is None:
            return web.json_response({"message": "Channel not found"}, status=404)
        match (method, *act):
            case ("DELETE",):
                self._gone(channel, int(query.get("reason_code", 16)), soft=True)
            case ("POST", "answer"):
                channel.state = "Up"
                self._tell("ChannelStateChange", channel=self._json(channel))
            case ("POST" | "DELETE", "silence"):
                channel.silent = method == "POST"
            case ("POST", "ring"):
                pass
            case ("POST", "variable"):
                if not self.tells_talk:
                    return web.json_response({"message": "Unable to set"}, status=400)
                assert query["variable"] == "TALK_DETECT(set)"
            case ("POST", "play", playback):
                path = Path(query["media"].removeprefix("sound:") + ".wav")
                channel.playing, channel.silent = playback, False
                self.playbacks[playback] = self.loop.create_task(
                    self._play(channel, playback, read_wav(path))
                )
                return web.json_response({"id": playback, "state": "queued"}, status=201)
            case ("POST", "record"):
                assert query["terminateOn"] == "none"
                if channel.bridge:
                    return web.json_response({"message": "Channel is in a bridge"}, status=409)
                channel.recording = query["name"]
                self._tell("RecordingStarted", recording=self._recording(channel, "recording"))
                return web.json_response({"name": query["name"], "state": "queued"}, status=201)
            case ("GET",):
                return web.json_response(self._json(channel))
        return web.Response(status=204)

    async def _play(self, channel: Channel, playback: str, samples: np.ndarray) -> None:
        began = time.monotonic()
        try:
            await asyncio.sleep(len(samples) / RATE)
        finally:
            channel.heard.append(samples[: int((time.monotonic() - began) * RATE)])
        self._end_playback(playback, "done")

    def _end_playback(self, playback: str, state: str) -> None:
        self.playbacks.pop(playback).cancel()
        for channel in self.channels.values():
            if channel.playing == playback:
                channel.playing = ""
                what = {"id": playback, "target_uri": f"channel:{channel.id}", "state": state}
                self._tell("PlaybackFinished", playback=what)

    def _recording(self, channel: Channel, state: str) -> dict[str, str]:
        return {
            "name": channel.recording,
            "format": "wav",
            "state": state,
            "target_uri": f"channel:{channel.id}",
        }

    def _finish_recording(self, name: str) -> bool:
        """Whether there was such a one."""
        for channel in self.channels.values():
            if channel.recording == name:
                self.stored[name] = _wav(channel.spoken)
                self._tell("RecordingFinished", recording=self._recording(channel, "done"))
                channel.recording = ""
                return True
        return False

    def _empty(self, bridge: str) -> None:
        for name in self.bridges[bridge]:
            if (channel := self.channels.get(name)) is not None:
                channel.bridge = ""
                self._tell("ChannelLeftBridge", channel=self._json(channel), bridge={"id": bridge})
        self._tell("BridgeDestroyed", bridge={"id": bridge})

    def _gone(self, channel: Channel, cause: int, *, soft: bool = False) -> None:
        channel.cause = cause
        answered = channel.state in {"Up", "Ring"}  # it is in our application
        told: dict[str, Any] = {"cause": 32, "soft": True} if soft else {}
        if not answered and not soft:
            told = {"cause": cause}
        self._tell("ChannelHangupRequest", channel=self._json(channel), **told)
        if channel.playing:
            self._end_playback(channel.playing, "failed")
        if channel.recording:
            self._finish_recording(channel.recording)
        del self.channels[channel.id]
        if answered:
            self._tell("StasisEnd", channel=self._json(channel))
        else:
            self._dial(channel, "BUSY" if cause == 17 else "NOANSWER")
        if channel.ours:
            self._tell("ChannelDestroyed", channel=self._json(channel), cause=cause)

    # What the test does

    def do(self, work: Any, *given: Any, **named: Any) -> None:
        done = threading.Event()

        def run() -> None:
            work(*given, **named)
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(5)

    def rings(self, number: str, presentation: str = "allowed_not_screened") -> Channel:
        channel = Channel(f"in-{time.monotonic_ns()}", number)

        def work() -> None:
            self.channels[channel.id] = channel
            self._tell("StasisStart", channel=self._json(channel), args=[presentation])

        self.do(work)
        return channel

    def presses(self, channel: Channel, key: str) -> None:
        self.do(
            self._tell,
            "ChannelDtmfReceived",
            channel=self._json(channel),
            digit=key,
            duration_ms=100,
        )

    def hangs_up(self, channel: Channel) -> None:
        self.do(self._gone, channel, 16)

    def speaks(self, channel: Channel, *, on: bool) -> None:
        self.do(
            self._tell,
            "ChannelTalkingStarted" if on else "ChannelTalkingFinished",
            channel=self._json(channel),
        )

    def ends_the_recording(self, channel: Channel) -> None:
        """For silence of its own measure, or length."""
        self.do(self._finish_recording, channel.recording)

    def cannot_go_on(self, channel: Channel) -> None:
        """Its disk is full: what it has of the recording is kept."""

        def work() -> None:
            self.stored[channel.recording] = _wav(channel.spoken)
            self._tell("RecordingFailed", recording=self._recording(channel, "failed"))
            channel.recording = ""

        self.do(work)

    def drops_the_line(self) -> None:
        """The websocket breaks, as when Asterisk is started anew."""

        def work() -> None:
            for socket in list(self.sockets):
                self.loop.create_task(socket.close())

        self.do(work)

    def wait_for(self, method: str, ending: str, count: int = 1) -> dict[str, str]:
        """The query of the `count`-th such command."""

        def found() -> list[dict[str, str]]:
            return [q for m, p, q in self.commands if m == method and ending in p]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, 20):
                raise TimeoutError(f"no {method} {ending}: {self.commands}")
            return found()[count - 1]


def _wav(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()
