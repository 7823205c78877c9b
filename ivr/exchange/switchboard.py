"""Every call of the exchange: who rings in, whom we ring, and how each one ends."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.orm import Session

from hotline.clock import Clock, local
from hotline.phone import mask
from ivr.exchange import twiml
from ivr.exchange.call import Call, incoming_row, new_sid
from ivr.exchange.dialling import ring_out
from ivr.exchange.interpreter import House, Interpreter
from ivr.exchange.leg import Engine, Leg, NotAnsweredError
from ivr.exchange.reports import Reports
from ivr.exchange.safety import Gate, NotAllowedError, dialled
from ivr.exchange.settings import ExchangeSettings
from ivr.exchange.sounds import Sounds
from ivr.exchange.store import (
    CallRow,
    CallStatus,
    Direction,
    NotKeptError,
    Store,
    placed_since,
    rang_us,
    stamp,
)
from ivr.exchange.webhook import WebApp

log = logging.getLogger(__name__)

LAST_WORDS_SECONDS = 3.0  # so long a final report waits for what a hang-up sets off
RANG_US_DAYS = 30  # a caller may be rung back for so long
DEFAULT_RING_SECONDS = 60  # Twilio's


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A call that the application wants placed."""

    to: str
    from_: str
    url: str
    method: str = "POST"
    status_callback: str = ""
    status_method: str = "POST"
    status_events: list[str] = field(default_factory=lambda: ["completed"])
    ring_seconds: float = DEFAULT_RING_SECONDS
    fallback_url: str = ""


class Switchboard:
    """Begins calls, watches over them, ends them."""

    def __init__(
        self,
        settings: ExchangeSettings,
        engine: Engine,
        gate: Gate,
        store: Store,
        web: WebApp,
        sounds: Sounds,
        reports: Reports,
        clock: Clock,
        is_known: Callable[[str], bool] | None = None,
    ) -> None:
        self._settings, self._engine, self._gate = settings, engine, gate
        self._store, self._reports, self._clock = store, reports, clock
        self._is_known = is_known
        self.house = House(settings, web, sounds, store, reports, clock, self._dial)
        self.calls: dict[str, Call] = {}
        self._closing = False
        engine.on_ring = self._rings

    @property
    def live(self) -> int:
        """Calls that hold a line, or are about to; one that is only being written down does not."""
        return sum(call.leg is None or not call.leg.gone.is_set() for call in self.calls.values())

    # Coming in

    def _rings(self, leg: Leg) -> None:
        row = incoming_row(
            new_sid("CA"),
            leg.caller,
            self._settings.our_number,
            self._clock(),
            self._settings.status_url,
        )
        call = self._take_on(row)
        call.leg = leg
        log.info("%s rings from %s", call.sid, mask(leg.caller))
        call.task = asyncio.create_task(self._incoming(call, leg))

    async def _incoming(self, call: Call, leg: Leg) -> None:
        try:
            await self._converse(call, leg, self._settings.voice_url, "POST", "")
        finally:
            # Who hangs up before we answer has cancelled; Twilio says so too.
            answered = call.row.answered_at is not None
            await self.finish(call, CallStatus.COMPLETED if answered else CallStatus.CANCELED)

    # Going out

    async def place(self, order: Order) -> CallRow:
        """Accept an order; raises NotAllowedError. The ringing begins at once."""
        await self._check(order.to)
        call = self._take_on(
            CallRow(
                sid=new_sid("CA"),
                direction=Direction.OUTBOUND_API.value,
                from_number=order.from_,
                to_number=order.to,
                status=CallStatus.QUEUED.value,
                created_at=stamp(self._clock()),
                status_callback=order.status_callback,
                status_method=order.status_method,
                status_events=order.status_events if order.status_callback else [],
            )
        )
        await self._write_down(call)
        log.info("%s is to ring %s", call.sid, mask(order.to))
        call.task = asyncio.create_task(self._outgoing(call, order))
        return call.row

    async def _check(self, number: str) -> None:
        now = self._clock()
        midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
        forms = ways_to_write(number, self._settings)
        since = now - timedelta(days=RANG_US_DAYS)

        def look(session: Session) -> tuple[int, int, bool]:
            return (
                placed_since(session, midnight),
                placed_since(session, midnight, number),
                rang_us(session, forms, since),
            )

        today, today_to_one, known = await self._store.do(look)
        if not known and self._is_known is not None:  # the house's lists lie in a database
            known = await asyncio.to_thread(self._is_known, number)
        self._gate.check_outgoing(number, today, today_to_one, known or self._is_known is None)
        if not self._engine.reaches(dialled(number, self._settings)):
            raise NotAllowedError(21214, "there is no way from here to that number")

    async def _outgoing(self, call: Call, order: Order) -> None:
        try:
            leg = await self.ring(call, order.ring_seconds)
        except NotAnsweredError as error:
            await self.finish(call, CallStatus(error.outcome.value), error.sip_code)
            return
        except asyncio.CancelledError:
            await self.finish(call, call.wish or CallStatus.CANCELED)
            if call.wish is None:
                raise
            return
        try:
            await self._converse(call, leg, order.url, order.method, order.fallback_url)
        finally:
            await self.finish(call)

    async def ring(self, call: Call, seconds: float, caller_id: str = "") -> Leg:
        """Ring the call's number until it is answered; raises NotAnsweredError."""
        await call.become(CallStatus.INITIATED)
        seconds = min(seconds, self._settings.max_ring_seconds)
        number = dialled(call.row.to_number, self._settings)
        shown = dialled(caller_id or self._settings.our_number, self._settings)
        leg = await self._engine.dial(
            number, shown, seconds, lambda: call.soon(self._ringing(call))
        )
        call.leg = leg
        await call.become(CallStatus.IN_PROGRESS)
        return leg

    async def _ringing(self, call: Call) -> None:
        if call.row.status == CallStatus.QUEUED:
            await call.become(CallStatus.RINGING)

    async def _dial(self, parent: Call, verb: twiml.Dial) -> dict[str, str]:
        return await ring_out(self, parent, verb)

    async def take_child(self, parent: Call, number: str, caller_id: str) -> Call:
        """The call to a volunteer that a <Dial> makes; raises NotAllowedError."""
        await self._check(number)
        call = self._take_on(
            CallRow(
                sid=new_sid("CA"),
                direction=Direction.OUTBOUND_DIAL.value,
                from_number=caller_id or self._settings.our_number,
                to_number=number,
                status=CallStatus.QUEUED.value,
                created_at=stamp(self._clock()),
                parent_sid=parent.sid,
            )
        )
        await self._write_down(call)
        return call

    async def _write_down(self, call: Call) -> None:
        """A call that cannot be kept is not placed: nobody could say later that it was."""
        try:
            await self._store.save(call.row)
        except NotKeptError:
            del self.calls[call.sid]
            raise

    # Each call

    def _take_on(self, row: CallRow) -> Call:
        call = Call(row, self._settings.account_sid, self._store, self._reports, self._clock)
        self.calls[row.sid] = call
        return call

    async def _converse(
        self, call: Call, leg: Leg, url: str, method: str, fallback_url: str
    ) -> None:
        """Carry out the script until it or the line ends, whichever is first."""
        script = asyncio.create_task(
            Interpreter(self.house, call, leg, fallback_url).run(url, method), name=call.sid
        )
        gone = asyncio.create_task(leg.gone.wait())
        try:
            async with asyncio.timeout(self._settings.max_call_seconds):
                await asyncio.wait({script, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not script.done():
                    # A recording is being kept, or a key being told: a moment for that.
                    await asyncio.wait({script}, timeout=LAST_WORDS_SECONDS)
        except TimeoutError:
            log.warning("%s has lasted too long and is ended", call.sid)
        finally:
            await leg.hang_up()
            await self._let_go(call, script)
            gone.cancel()

    async def _let_go(self, call: Call, script: "asyncio.Task[object]") -> None:
        if not script.done():
            await asyncio.wait({script}, timeout=LAST_WORDS_SECONDS)
        if not script.done():
            script.cancel()
        (outcome,) = await asyncio.gather(script, return_exceptions=True)
        if isinstance(outcome, Exception):
            log.error("%s broke off", call.sid, exc_info=outcome)
        else:
            log.info("%s: %s", call.sid, outcome)

    async def finish(self, call: Call, status: CallStatus | None = None, sip_code: int = 0) -> None:
        """Enter the final state and forget the call."""
        await call.settled()
        if call.leg is not None:
            await call.leg.hang_up()
        await call.become(status or CallStatus.COMPLETED, sip_code)
        self.calls.pop(call.sid, None)

    async def end(self, sid: str, wish: CallStatus) -> bool:
        """Cancel a call that rings, or hang up one that is answered; whether there is such a one."""
        call = self.calls.get(sid)
        if call is None or call.is_over:
            return False
        if call.row.answered_at is not None:
            if wish is CallStatus.COMPLETED and call.leg is not None:
                await call.leg.hang_up()
        elif call.task is not None:
            call.wish = CallStatus.CANCELED
            call.task.cancel()
        if call.task is not None:
            await asyncio.wait({call.task}, timeout=LAST_WORDS_SECONDS)
        return True

    async def stop(self) -> None:
        """End every call cleanly, so that each is kept and reported."""
        self._closing = True
        self._engine.on_ring = lambda leg: None
        tasks = [call.task for call in self.calls.values() if call.task is not None]
        for call in list(self.calls.values()):
            call.broken_off = True
            await self.end(call.sid, CallStatus.COMPLETED)
        if tasks:
            await asyncio.wait(tasks, timeout=2 * LAST_WORDS_SECONDS)


def ways_to_write(number: str, settings: ExchangeSettings) -> list[str]:
    """How a trunk may have written this E.164 number when its owner rang."""
    national = number.removeprefix(f"+{settings.country_code}")
    forms = {number, number[1:], f"00{number[1:]}", national, f"0{national}", f"+{national}"}
    if settings.area_code and national.startswith(settings.area_code):
        forms.add(national.removeprefix(settings.area_code))
    return sorted(forms)
