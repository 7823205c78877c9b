"""A lean application for the bench, so that the exchange is measured and not Flask."""

import asyncio
import threading
import time
from collections.abc import Callable

from aiohttp import web
from exchange_house import TOKEN, Heard
from softphone import free_port
from twilio.request_validator import RequestValidator


class LeanApp:
    """Pages by path; every request is kept with the time at which it had arrived."""

    def __init__(self) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.pages: dict[str, str] = {}
        self.sounds: dict[str, bytes] = {}
        self.requests: list[Heard] = []
        self._validator = RequestValidator(TOKEN)
        self._arrived = threading.Condition()

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(ready)), daemon=True)
        self._thread.start()
        ready.wait(10)

    async def _main(self, ready: threading.Event) -> None:
        self._loop, self._enough = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._page)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, backlog=256).start()
        ready.set()
        await self._enough.wait()
        await runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        at = time.monotonic()
        if request.path in self.sounds:
            return web.Response(
                body=self.sounds[request.path],
                content_type="audio/wav",
                headers={"Cache-Control": "max-age=600"},
            )
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers.get("X-Twilio-Signature", "")
        signed = self._validator.validate(self.base + request.path_qs, form, signature)
        with self._arrived:
            self.requests.append(Heard(request.path, form, at, signed))
            self._arrived.notify_all()
        verbs = self.pages.get(request.path, "")
        return web.Response(text=f"<Response>{verbs}</Response>", content_type="text/xml")

    def wait_for(self, path: str, count: int, seconds: float = 20) -> None:
        is_there: Callable[[], bool] = lambda: sum(r.path == path for r in self.requests) >= count  # noqa: E731
        with self._arrived:
            if not self._arrived.wait_for(is_there, seconds):
                raise TimeoutError(f"fewer than {count} of {path}")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._enough.set)
        self._thread.join(10)
