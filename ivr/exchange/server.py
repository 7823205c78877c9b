"""The exchange as a process: everything wired, started, and brought to a clean end."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable

from hotline import clock as house_clock
from hotline.clock import Clock
from ivr.exchange.asterisk import AsteriskEngine
from ivr.exchange.leg import Engine
from ivr.exchange.recovery import recover
from ivr.exchange.reports import Reports
from ivr.exchange.rest import Rest
from ivr.exchange.safety import Gate
from ivr.exchange.settings import EngineKind, ExchangeSettings
from ivr.exchange.sip import SipEngine
from ivr.exchange.sounds import Sounds
from ivr.exchange.speech import Speaker
from ivr.exchange.store import Store
from ivr.exchange.switchboard import Switchboard
from ivr.exchange.webhook import WebApp

log = logging.getLogger(__name__)

IsKnown = Callable[[str], bool]


class Exchange:
    """All parts of one exchange; `is_known` says whether an E.164 number is somebody's."""

    def __init__(
        self,
        settings: ExchangeSettings,
        is_known: IsKnown | None = None,
        clock: Clock = house_clock.now,
    ) -> None:
        self.settings = settings
        self._clock = clock
        settings.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store = Store(settings.data_folder)
        self.web = WebApp(settings)
        self.reports = Reports(self.store, self.web, clock, settings.keep_days)
        self.gate = Gate(settings)
        self.engine: Engine = (
            AsteriskEngine(settings, self.gate)
            if settings.engine is EngineKind.ASTERISK
            else SipEngine(settings, self.gate)
        )
        self.speaker = Speaker(
            settings.data_folder / "speech",
            settings.prompts_folder,
            settings.voice,
            settings.voice_speed,
        )
        self.sounds = Sounds(self.web, self.speaker)
        self.board = Switchboard(
            settings,
            self.engine,
            self.gate,
            self.store,
            self.web,
            self.sounds,
            self.reports,
            clock,
            is_known,
        )
        self.rest = Rest(settings, self.board, self.store, self.engine)
        self.gate.live = lambda: max(self.engine.live, self.board.live)

    async def start(self) -> None:
        """Open every door; when one does not open, the others are shut again."""
        async with contextlib.AsyncExitStack() as opened:
            opened.callback(self.store.close)
            await self.web.start()
            opened.push_async_callback(self.web.stop)
            await self.engine.salvage(self.store.recordings_folder)
            await recover(self.store, self.reports, self.settings, self._clock())
            await self.reports.start()
            opened.push_async_callback(self.reports.stop)
            if self.settings.apology:
                await self.speaker.say(self.settings.apology)  # ready before it is needed
            await self.rest.start()
            opened.push_async_callback(self.rest.stop)
            await self.engine.start()
            opened.push_async_callback(self.engine.stop)
            self._opened = opened.pop_all()
        log.info("the exchange is open: %s, REST %s", self.settings.engine, self.settings.rest_base)

    async def stop(self) -> None:
        """End the calls, report them, shut every door."""
        await self.board.stop()
        await self._opened.aclose()


async def serve(settings: ExchangeSettings, is_known: IsKnown | None = None) -> None:
    """Run until SIGTERM or SIGINT; then end every call cleanly and report it."""
    exchange = Exchange(settings, is_known)
    enough = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, enough.set)
    await exchange.start()
    gc.collect()
    gc.freeze()  # what is here stays: no collection looks at it again while sound is due
    try:
        await enough.wait()
    finally:
        await exchange.stop()


def main(settings: ExchangeSettings, is_known: IsKnown | None = None) -> None:
    os.umask(0o077)  # recordings are the callers' own words
    with contextlib.suppress(PermissionError, OSError):
        os.nice(-5)  # sound is due every 20 ms; without the right to ask, it does without
    asyncio.run(serve(settings, is_known))
