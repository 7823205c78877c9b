"""The pure-Python engine: SIP by aiosipua, sound by aiortp, both on one event loop."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from aiortp.clock import MediaClock
from aiosipua.headers import stringify_uri
from aiosipua.incoming_call import IncomingCall
from aiosipua.message import SipRequest, SipResponse
from aiosipua.registration import Registration
from aiosipua.sdp import SdpNegotiationError
from aiosipua.uac import SipUAC
from aiosipua.uas import SipUAS

from ivr.exchange import g711
from ivr.exchange.directory import Directory
from ivr.exchange.keys import key_of_info
from ivr.exchange.leg import Leg, NotAnsweredError, Outcome, Refusal
from ivr.exchange.media import Media, RtpPorts, open_media
from ivr.exchange.offers import answer_to, is_hold, offer, where
from ivr.exchange.placing import end_stray, place
from ivr.exchange.registration import register
from ivr.exchange.retransmission import RetransmittingTransport
from ivr.exchange.safety import Gate
from ivr.exchange.settings import ExchangeSettings
from ivr.exchange.sip_leg import SipLeg
from ivr.exchange.sip_messages import USER_AGENT
from ivr.exchange.udp import Address

log = logging.getLogger(__name__)

RINGING_AFTER_SECONDS = 0.1  # who is answered sooner needs not be told that it rings
FAREWELL_SECONDS = 1.5  # so long the last BYEs may wait for their answers

REFUSALS = {
    Refusal.BUSY: 486,
    Refusal.REJECTED: 603,
    Refusal.UNAVAILABLE: 480,
}


class SipEngine:
    """Takes calls from the peers and places them through the trunk."""

    def __init__(self, settings: ExchangeSettings, gate: Gate) -> None:
        self.settings = settings
        self._gate = gate
        self.peers = tuple(
            ip_network(peer, strict=False)
            for peer in (*settings.peers, *((settings.trunk.host,) if settings.trunk else ()))
        )
        self.on_ring: Callable[[Leg], None] = lambda leg: None
        self.legs: dict[str, SipLeg] = {}  # by Call-ID
        self._directory = Directory(settings)
        self._tasks: set[asyncio.Task[None]] = set()
        self._registration: Registration | None = None

    async def salvage(self, folder: Path) -> None:
        pass  # ours are there from the first second on

    async def start(self) -> None:
        settings = self.settings
        self.ports = RtpPorts(settings.sip_host, settings.rtp_ports)
        self._transport = RetransmittingTransport(
            (settings.sip_host, settings.sip_port), self.peers
        )
        self.uac = SipUAC(self._transport)
        self._uas = SipUAS(self._transport, user_agent=USER_AGENT, uac=self.uac)
        self._uas.on_invite = self._invited
        self._uas.on_reinvite = self._reinvited
        self._uas.on_bye = lambda call, request: self.lost(call.call_id)
        self._uas.on_cancel = lambda request, addr: self._cancelled(request.call_id or "")
        self._uas._handlers["INFO"] = self._info  # aiosipua has none
        for unused in ("REFER", "NOTIFY"):
            self._uas._handlers.pop(unused)  # nobody may send our calls elsewhere
        self._transport.on_no_ack = self._no_ack
        self._transport.on_stray_answer = lambda response: end_stray(self, response)
        self._transport.knows_call = lambda call_id: self.uac.get_call(call_id) is not None
        await self._uas.start()
        self._transport.on_message = self._message
        self._clock = MediaClock(g711.FRAME_SECONDS, self._tick)
        self._clock.start()
        if settings.trunk is not None and settings.trunk.register:
            self._registration = register(self.uac, settings.trunk)

    async def stop(self) -> None:
        """Hang up every call and wait a moment for the far side to agree."""
        if self._registration is not None:
            with suppress(RuntimeError):
                self._registration.unregister()
        for leg in list(self.legs.values()):
            await leg.hang_up()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                while not self._transport.quiet:
                    await asyncio.sleep(0.02)
        await self._clock.stop()
        await self._uas.stop()

    @property
    def address(self) -> tuple[str, int]:
        return self._transport.local_addr

    @property
    def registered(self) -> bool | None:
        """Whether the trunk knows us; None where it need not."""
        return (
            None if self._registration is None else self._registration.state.value == "registered"
        )

    @property
    def well(self) -> bool:
        return self.registered is not False

    @property
    def live(self) -> int:
        return len(self.legs)

    def _message(self, message: SipRequest | SipResponse, addr: tuple[str, int]) -> None:
        if isinstance(message, SipResponse) and 200 <= message.status_code < 300:
            call = self.uac.get_call(message.call_id or "")
            if call is not None and message.contact:  # aiosipua goes on with the first address
                call.dialog.remote_target = stringify_uri(message.contact[0].uri)
                call.dialog.route_set = list(reversed(message.headers.get("record-route")))
        self._uas._on_message(message, addr)

    async def open_media(self, leg: SipLeg, remote: Address, event_type: int) -> Media:
        """The sound of a call; raises OSError."""
        host, keys = self.settings.sip_host, leg.keys
        return await open_media(host, self.ports, remote, leg.law, event_type, keys, self.peers)

    def _tick(self) -> None:
        now = time.monotonic()
        for leg in list(self.legs.values()):
            leg.tick(now)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Somebody rings

    def _invited(self, call: IncomingCall) -> None:
        if (leg := self.legs.get(call.call_id)) is not None:
            call.reject(482, "Loop Detected")  # the same call by another way
            if leg.incoming is not None:
                self._uas._calls[call.call_id] = leg.incoming
            return
        if (reason := self._gate.refuses_another()) is not None:
            log.warning("INVITE from %s turned away: %s", call.source_addr[0], reason)
            self._turn_away(call, 503 if reason == "flood" else 486)
            return
        try:
            if call.sdp_offer is None:
                raise SdpNegotiationError("no SDP offer")
            remote, event_type = where(call.sdp_offer)
            answer, law = answer_to(call.sdp_offer, self.settings.sip_host, 9, event_type)
        except (SdpNegotiationError, ValueError) as error:
            log.warning("INVITE from %s: %s", call.source_addr[0], error)
            self._turn_away(call, 488)
            return
        leg = SipLeg(self, call.call_id, self._directory.remember(call), law)
        leg.incoming, leg.sdp_answer = call, answer
        self.legs[call.call_id] = leg
        leg.opening = self._spawn(self._open(leg, call, remote, event_type))
        # While the sound is made ready the application is asked already.
        self.on_ring(leg)

    async def _open(
        self, leg: SipLeg, call: IncomingCall, remote: tuple[str, int], event_type: int
    ) -> None:
        assert leg.sdp_answer is not None and leg.sdp_answer.audio is not None  # noqa: S101, PT018
        try:
            leg.media = await self.open_media(leg, remote, event_type)
        except OSError as error:
            log.error("no place for the sound of a call: %s", error)
            self._turn_away(call, 503)
            self.lost(call.call_id)
            return
        if leg.gone.is_set():  # cancelled meanwhile
            await leg.media.close()
            return
        leg.sdp_answer.audio.port = leg.media.port
        asyncio.get_running_loop().call_later(RINGING_AFTER_SECONDS, leg.say_ringing)

    def _turn_away(self, call: IncomingCall, code: int) -> None:
        call.reject(code)
        self._uas._calls.pop(call.call_id, None)
        self._uas._remove_invite_transaction(call.invite)

    def turn_away(self, leg: SipLeg, how: Refusal) -> None:
        if leg.incoming is not None and not leg.gone.is_set():
            self._turn_away(leg.incoming, REFUSALS[how])
            self.lost(leg.call_id)

    # We ring

    def reaches(self, number: str) -> bool:
        return self._directory.way_to(number) is not None

    async def dial(
        self, number: str, caller_id: str, ring_seconds: float, on_ringing: Callable[[], None]
    ) -> SipLeg:
        target = self._directory.way_to(number)
        if target is None or not re.fullmatch(r"[0-9*#+]{1,32}", number):
            raise NotAnsweredError(Outcome.FAILED)
        return await place(self, target, number, caller_id, ring_seconds, on_ringing)

    # In a call

    def _reinvited(self, call: IncomingCall) -> None:
        leg = self.legs.get(call.call_id)
        if leg is None or leg.media is None:
            self._turn_away(call, 481)
            return
        if call.sdp_offer is None:
            call.accept(leg.sdp_answer or offer(self.settings.sip_host, leg.media.port))
            return
        try:
            remote, event_type = where(call.sdp_offer)
            answer, law = answer_to(
                call.sdp_offer, self.settings.sip_host, leg.media.port, event_type
            )
            if law != leg.law:
                raise SdpNegotiationError("another law in mid-call")
        except (SdpNegotiationError, ValueError):
            state = call.dialog.state  # the call itself goes on as it was
            call.reject(488)
            call.dialog.state = state
            return
        leg.media.moved(remote)
        leg.held = is_hold(call.sdp_offer)
        leg.media._dtmf_payload_type = event_type
        call.accept(answer)

    def _info(self, request: SipRequest, addr: tuple[str, int]) -> None:
        leg = self.legs.get(request.call_id or "")
        if leg is None:
            self._transport.refuse(request, 481, "Call/Transaction Does Not Exist")
            return
        self._transport.refuse(request, 200, "OK")
        leg.keys.press(key_of_info(request.content_type or "", request.text))

    def _no_ack(self, call_id: str) -> None:
        leg = self.legs.get(call_id)
        if leg is not None and leg.incoming is not None:
            log.warning("a call was never confirmed and is ended")
            self._bye(leg)
            self.lost(call_id)

    def _cancelled(self, call_id: str) -> None:
        leg = self.legs.get(call_id)
        if leg is not None and leg.incoming is not None and leg.incoming._answered:
            leg.incoming.hangup()  # the CANCEL crossed our 200; aiosipua forgets the call
        self.lost(call_id)

    def lost(self, call_id: str) -> None:
        """The far side, or we, ended the call."""
        leg = self.legs.pop(call_id, None)
        if leg is None:
            return
        leg.end()
        if leg.media is not None:
            self._spawn(leg.media.close())

    def _bye(self, leg: SipLeg) -> None:
        if leg.incoming is not None:
            leg.incoming.hangup()
            self._uas._calls.pop(leg.call_id, None)
            self._uas._remove_invite_transaction(leg.incoming.invite)
        elif leg.outgoing is not None:
            leg.outgoing.hangup(self.uac)

    def end(self, leg: SipLeg) -> None:
        """We hang up."""
        if leg.gone.is_set():
            return
        if leg.incoming is not None and not leg.incoming._answered:
            self._turn_away(leg.incoming, REFUSALS[Refusal.UNAVAILABLE])
        else:
            self._bye(leg)
        self.lost(leg.call_id)
