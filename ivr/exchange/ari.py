"""Asterisk's REST interface: commands over HTTP, events over one websocket."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

import aiohttp

from ivr.exchange.settings import Asterisk

log = logging.getLogger(__name__)

Event = dict[str, Any]
COMMAND_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 30.0


class AriError(OSError):
    """Asterisk refused a command, or cannot be reached; `status` 0 for the latter."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"{what}: {status}")
        self.status = status


class Ari:
    """One application of one Asterisk; connects again for ever when the line to it is lost."""

    def __init__(self, settings: Asterisk) -> None:
        self._settings = settings
        self.on_event: Callable[[Event], None] = lambda event: None
        self.on_lost: Callable[[], None] = lambda: None
        self.connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Ready for commands; raises AriError when Asterisk is not there or the secret is wrong."""
        self._session = aiohttp.ClientSession(
            headers={
                "Authorization": aiohttp.encode_basic_auth(
                    self._settings.username, self._settings.password
                )
            },
            timeout=aiohttp.ClientTimeout(total=COMMAND_SECONDS),
            # Asterisk closes a connection after 15 s of quiet; ours must be the first to let go.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=5),
        )
        try:
            await self.command("GET", "/asterisk/info")
        except AriError:
            await self._session.close()
            raise

    async def listen(self) -> None:
        """Hear events from now on."""
        self._task = asyncio.create_task(self._listen())
        async with asyncio.timeout(COMMAND_SECONDS):
            await self.connected.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _listen(self) -> None:
        pause = 0.5
        while True:
            try:
                await self._listen_once()
                pause = 0.5
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.error("Asterisk is lost: %s", type(error).__name__)
            if self.connected.is_set():
                self.connected.clear()
                self.on_lost()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _listen_once(self) -> None:
        assert self._session is not None  # noqa: S101
        url = f"{self._settings.url}/ari/events".replace("http", "ws", 1)
        async with self._session.ws_connect(
            url,
            params={"app": self._settings.app, "subscribeAll": "false"},
            heartbeat=20,
            timeout=aiohttp.ClientWSTimeout(ws_close=2),
        ) as socket:
            self.connected.set()
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                try:
                    self.on_event(json.loads(message.data))
                except Exception:
                    log.exception("an event of Asterisk could not be handled")

    async def command(self, method: str, path: str, **params: str | int) -> Any:
        """The answer as JSON, None if it has none; raises AriError."""
        body, kind = await self._send(method, path, params)
        return json.loads(body) if body and "json" in kind else None

    async def file(self, path: str) -> bytes:
        """A stored recording; raises AriError."""
        return (await self._send("GET", path, {}))[0]

    async def attempt(self, method: str, path: str, **params: str | int) -> None:
        """A command whose failure changes nothing, such as ending what has ended."""
        with contextlib.suppress(AriError):
            await self._send(method, path, params)

    async def _send(
        self, method: str, path: str, params: dict[str, str | int]
    ) -> tuple[bytes, str]:
        if self._session is None or self._session.closed:
            raise AriError(0, "closed")
        url = f"{self._settings.url}/ari{path}"
        try:
            async with self._session.request(method, url, params=params) as answer:
                body = await answer.read()
                if answer.status >= 400:
                    raise AriError(answer.status, f"{method} {path.split('?')[0]}")
                return body, answer.headers.get("Content-Type", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AriError(0, f"{method} {path}: {type(error).__name__}") from error
