"""<Dial>: ring one telephone or several for a caller, ask who answers, join the two."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ivr.exchange.call import Call
from ivr.exchange.interpreter import End, Interpreter
from ivr.exchange.leg import Leg, NotAnsweredError, Outcome
from ivr.exchange.safety import NotAllowedError
from ivr.exchange.sounds import RINGBACK
from ivr.exchange.store import CallStatus
from ivr.exchange.twiml import Dial, Number

if TYPE_CHECKING:
    from ivr.exchange.switchboard import Switchboard

log = logging.getLogger(__name__)

WHISPER_SECONDS = 40.0  # to hear the whisper and find the key
MOST_AT_ONCE = 5


class _Ringing:
    """One <Dial> while it rings."""

    def __init__(self, board: "Switchboard", parent: Call, verb: Dial) -> None:
        self._board = board
        self._parent = parent
        self._verb = verb
        self.outcomes: list[Outcome] = []
        self.answered: Call | None = None  # somebody picked up, and may have refused

    async def try_one(self, number: Number) -> Call | None:
        """The call, when it was answered and is not refused."""
        try:
            child = await self._board.take_child(self._parent, number.digits, self._verb.caller_id)
        except NotAllowedError as error:
            log.error("%s: <Dial> refused: %s", self._parent.sid, error)
            self.outcomes.append(Outcome.FAILED)
            return None
        try:
            leg = await self._board.ring(child, self._verb.timeout_seconds, self._verb.caller_id)
        except NotAnsweredError as error:
            self.outcomes.append(error.outcome)
            await self._board.finish(child, CallStatus(error.outcome.value), error.sip_code)
            return None
        except asyncio.CancelledError:
            await asyncio.shield(self._board.finish(child, CallStatus.CANCELED))
            raise
        self.answered = child
        try:
            if await self._accepts(child, leg, number):
                return child
        except asyncio.CancelledError:
            await asyncio.shield(self._board.finish(child))
            raise
        await self._board.finish(child)
        return None

    async def _accepts(self, child: Call, leg: Leg, number: Number) -> bool:
        if not number.whisper_url:
            return True
        script = Interpreter(self._board.house, child, leg)
        try:
            async with asyncio.timeout(WHISPER_SECONDS):
                end = await script.run(number.whisper_url, number.whisper_method)
        except TimeoutError:
            return False
        return end is End.NO_MORE_VERBS and not leg.gone.is_set()


async def ring_out(board: "Switchboard", parent: Call, verb: Dial) -> dict[str, str]:
    """Carry out the verb; what its action is told."""
    caller = parent.leg
    assert caller is not None  # noqa: S101
    ringing = _Ringing(board, parent, verb)
    tries = {asyncio.create_task(ringing.try_one(number)) for number in verb.numbers[:MOST_AT_ONCE]}
    tone = asyncio.create_task(caller.repeat(RINGBACK))
    gone = asyncio.create_task(_gone(caller))
    taken: Call | None = None
    try:
        pending: set[asyncio.Task[Any]] = set(tries)
        while pending and taken is None and not gone.done():
            done, pending = await asyncio.wait(
                {*pending, gone}, return_when=asyncio.FIRST_COMPLETED
            )
            pending.discard(gone)
            taken = next((t.result() for t in done if t is not gone and _won(t)), None)
    finally:
        for task in (*tries, tone, gone):
            task.cancel()
        await asyncio.gather(*tries, tone, gone, return_exceptions=True)
    if taken is None:
        return _nobody(ringing, caller)
    return await _talk(board, caller, taken, verb)


async def _gone(leg: Leg) -> None:
    await leg.gone.wait()


def _won(task: asyncio.Task[Any]) -> bool:
    if task.cancelled():
        return False
    if (error := task.exception()) is not None:
        log.error("a <Dial> broke off", exc_info=error)
        return False
    return task.result() is not None


def _nobody(ringing: _Ringing, caller: Leg) -> dict[str, str]:
    if ringing.answered is not None:
        # As at Twilio: picked up is "completed", also when the person refused the call.
        return {
            "DialCallStatus": CallStatus.COMPLETED.value,
            "DialCallSid": ringing.answered.sid,
            "DialCallDuration": "0",
            "DialBridged": "false",
        }
    outcomes = ringing.outcomes
    status = Outcome.CANCELED if caller.gone.is_set() else Outcome.NO_ANSWER
    if outcomes and not caller.gone.is_set():
        worst = (Outcome.NO_ANSWER, Outcome.BUSY, Outcome.FAILED, Outcome.CANCELED)
        status = next(outcome for outcome in worst if outcome in outcomes)
    return {"DialCallStatus": status.value, "DialBridged": "false"}


async def _talk(board: "Switchboard", caller: Leg, child: Call, verb: Dial) -> dict[str, str]:
    callee = child.leg
    assert callee is not None  # noqa: S101
    loop = asyncio.get_running_loop()
    try:
        await caller.answer()
        began = loop.time()
        async with asyncio.timeout(verb.max_seconds or None):
            await caller.join(callee)
    except TimeoutError:
        log.info("%s: the time for talking is over", child.sid)
    finally:
        await board.finish(child)
    caller.keys.forget()  # what was pressed in the talk was meant for the other person
    return {
        "DialCallStatus": CallStatus.COMPLETED.value,
        "DialCallSid": child.sid,
        "DialCallDuration": str(round(loop.time() - began)),
        "DialBridged": "true",
    }
