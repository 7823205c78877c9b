"""The pure-Python engine: SIP by aiosipua, sound by aiortp, both on one event loop."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

from aiortp.clock import MediaClock
from aiosipua.auth import SipDigestAuth
from aiosipua.dialog import Dialog, DialogState
from aiosipua.headers import parse_address, stringify_uri
from aiosipua.incoming_call import IncomingCall
from aiosipua.message import SipRequest, SipResponse
from aiosipua.outgoing_call import OutgoingCall
from aiosipua.registration import Registration
from aiosipua.sdp import SdpMessage, SdpNegotiationError, build_sdp, negotiate_sdp
from aiosipua.uac import SipUAC
from aiosipua.uac_responses import process_response
from aiosipua.uas import SipUAS

from ivr.exchange import g711
from ivr.exchange.leg import Leg, NotAnsweredError, Outcome, Refusal
from ivr.exchange.media import RtpPorts, open_media
from ivr.exchange.retransmission import RetransmittingTransport
from ivr.exchange.safety import Gate
from ivr.exchange.settings import ExchangeSettings, Trunk
from ivr.exchange.sip_leg import SipLeg

log = logging.getLogger(__name__)

USER_AGENT = "hotline-exchange"
EVENT_TYPE = 101  # our own offer; an answer takes the number that was offered
MOST_REMEMBERED = 1000  # callers of a line without a trunk
RINGING_AFTER_SECONDS = 0.1  # who is answered sooner needs not be told that it rings
FAREWELL_SECONDS = 1.5  # so long the last BYEs may wait for their answers

REFUSALS = {
    Refusal.BUSY: 486,
    Refusal.REJECTED: 603,
    Refusal.UNAVAILABLE: 480,
}
OUTCOMES = {  # what Twilio calls them; any other code is "failed"
    408: Outcome.NO_ANSWER,
    480: Outcome.NO_ANSWER,
    486: Outcome.BUSY,
    487: Outcome.NO_ANSWER,
    600: Outcome.BUSY,
    603: Outcome.BUSY,
}


class Target(NamedTuple):
    """Where a telephone, or the box in front of it, is rung."""

    user: str
    host: str
    port: int


class SipEngine:
    """Takes calls from the peers and places them through the trunk."""

    def __init__(self, settings: ExchangeSettings, gate: Gate) -> None:
        self._settings = settings
        self._gate = gate
        self._peers = tuple(
            ip_network(peer, strict=False)
            for peer in (*settings.peers, *((settings.trunk.host,) if settings.trunk else ()))
        )
        self.on_ring: Callable[[Leg], None] = lambda leg: None
        self._legs: dict[str, SipLeg] = {}  # by Call-ID
        self._came_from: dict[str, Target] = {}  # by the number that was shown
        self._tasks: set[asyncio.Task[None]] = set()
        self._registration: Registration | None = None

    async def salvage(self, folder: Path) -> None:
        pass  # ours are there from the first second on

    async def start(self) -> None:
        settings = self._settings
        self._ports = RtpPorts(settings.sip_host, settings.rtp_ports)
        self._transport = RetransmittingTransport(
            (settings.sip_host, settings.sip_port), self._peers
        )
        self._uac = SipUAC(self._transport)
        self._uas = SipUAS(self._transport, user_agent=USER_AGENT, uac=self._uac)
        self._uas.on_invite = self._invited
        self._uas.on_reinvite = self._reinvited
        self._uas.on_bye = lambda call, request: self._lost(call.call_id)
        self._uas.on_cancel = lambda request, addr: self._cancelled(request.call_id or "")
        self._uas._handlers["INFO"] = self._info  # aiosipua has none
        for unused in ("REFER", "NOTIFY"):
            self._uas._handlers.pop(unused)  # nobody may send our calls elsewhere
        self._transport.on_no_ack = self._no_ack
        self._transport.on_stray_answer = self._stray_answer
        self._transport.knows_call = lambda call_id: self._uac.get_call(call_id) is not None
        await self._uas.start()
        self._transport.on_message = self._message
        self._clock = MediaClock(g711.FRAME_SECONDS, self._tick)
        self._clock.start()
        if settings.trunk is not None and settings.trunk.register:
            self._register(settings.trunk)

    def _register(self, trunk: Trunk) -> None:
        self._registration = Registration(
            self._uac,
            f"sip:{trunk.username}@{trunk.host}",
            (trunk.host, trunk.port),
            auth=SipDigestAuth(trunk.username, trunk.password),
            user_agent=USER_AGENT,
        )

        def later(registration: Registration, *_: object) -> None:
            asyncio.get_running_loop().call_later(30, registration.register)

        self._registration.on_failed = later  # the box may be starting: never give up
        self._registration.on_expired = later
        self._registration.register()

    async def stop(self) -> None:
        """Hang up every call and wait a moment for the far side to agree."""
        if self._registration is not None:
            with suppress(RuntimeError):
                self._registration.unregister()
        for leg in list(self._legs.values()):
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
    def no_media_seconds(self) -> float:
        return self._settings.no_media_seconds

    @property
    def live(self) -> int:
        return len(self._legs)

    def _message(self, message: SipRequest | SipResponse, addr: tuple[str, int]) -> None:
        if isinstance(message, SipResponse) and 200 <= message.status_code < 300:
            call = self._uac.get_call(message.call_id or "")
            if call is not None and message.contact:  # aiosipua goes on with the first address
                call.dialog.remote_target = stringify_uri(message.contact[0].uri)
                call.dialog.route_set = list(reversed(message.headers.get("record-route")))
        self._uas._on_message(message, addr)

    def _tick(self) -> None:
        now = time.monotonic()
        for leg in list(self._legs.values()):
            leg.tick(now)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Somebody rings

    def _invited(self, call: IncomingCall) -> None:
        if (leg := self._legs.get(call.call_id)) is not None:
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
            remote, event_type = _where(call.sdp_offer)
            answer, law = self._answer_to(call.sdp_offer, 9, event_type)
        except (SdpNegotiationError, ValueError) as error:
            log.warning("INVITE from %s: %s", call.source_addr[0], error)
            self._turn_away(call, 488)
            return
        leg = SipLeg(self, call.call_id, self._remember(call), law)
        leg.incoming, leg.sdp_answer = call, answer
        self._legs[call.call_id] = leg
        leg.opening = self._spawn(self._open(leg, call, remote, event_type))
        # While the sound is made ready the application is asked already.
        self.on_ring(leg)

    async def _open(
        self, leg: SipLeg, call: IncomingCall, remote: tuple[str, int], event_type: int
    ) -> None:
        assert leg.sdp_answer is not None and leg.sdp_answer.audio is not None  # noqa: S101, PT018
        try:
            leg.media = await open_media(
                self._settings.sip_host,
                self._ports,
                remote,
                leg.law,
                event_type,
                leg.keys,
                self._peers,
            )
        except OSError as error:
            log.error("no place for the sound of a call: %s", error)
            self._turn_away(call, 503)
            self._lost(call.call_id)
            return
        if leg.gone.is_set():  # cancelled meanwhile
            await leg.media.close()
            return
        leg.sdp_answer.audio.port = leg.media.port
        asyncio.get_running_loop().call_later(RINGING_AFTER_SECONDS, leg.say_ringing)

    def _answer_to(self, offer: SdpMessage, port: int, event_type: int) -> tuple[SdpMessage, int]:
        return negotiate_sdp(
            offer,
            self._settings.sip_host,
            port,
            supported_codecs=[g711.PCMA, g711.PCMU],
            dtmf_payload_type=event_type,
        )

    def _turn_away(self, call: IncomingCall, code: int) -> None:
        call.reject(code)
        self._uas._calls.pop(call.call_id, None)
        self._uas._remove_invite_transaction(call.invite)

    def turn_away(self, leg: SipLeg, how: Refusal) -> None:
        if leg.incoming is not None and not leg.gone.is_set():
            self._turn_away(leg.incoming, REFUSALS[how])
            self._lost(leg.call_id)

    # We ring

    def _remember(self, call: IncomingCall) -> str:
        """Who rings; without a trunk a caller is rung back where the call came from."""
        user = shown = _caller(call.invite)
        if self._settings.nameless_caller and re.fullmatch(r"(?!anonymous$).*[a-zA-Z].*", user):
            shown = self._settings.nameless_caller
        if self._settings.trunk is None:
            self._came_from.pop(shown, None)  # the newest last
            self._came_from[shown] = Target(user, *call.source_addr[:2])
            if len(self._came_from) > MOST_REMEMBERED:
                del self._came_from[next(iter(self._came_from))]
        return shown

    def _way_to(self, number: str) -> "Target | None":
        trunk = self._settings.trunk
        if trunk is not None:
            return Target(number, trunk.host, trunk.port)
        ways = [
            target
            for shown, target in self._came_from.items()
            if shown.lstrip("+0").endswith(number.lstrip("0"))  # however its trunk wrote it
        ]
        return ways[-1] if ways else None

    def reaches(self, number: str) -> bool:
        return self._way_to(number) is not None

    async def dial(
        self, number: str, caller_id: str, ring_seconds: float, on_ringing: Callable[[], None]
    ) -> SipLeg:
        target = self._way_to(number)
        if target is None or not re.fullmatch(r"[0-9*#+]{1,32}", number):
            raise NotAnsweredError(Outcome.FAILED)
        trunk = self._settings.trunk or Trunk(target.host, target.port)
        leg = SipLeg(self, "", number, g711.PCMA)
        try:
            leg.media = await open_media(
                self._settings.sip_host,
                self._ports,
                (trunk.host, 0),
                g711.PCMA,
                EVENT_TYPE,
                leg.keys,
                self._peers,
            )
        except OSError as error:
            raise NotAnsweredError(Outcome.FAILED, 503) from error
        call = self._uac.send_invite(
            f"sip:{caller_id or trunk.username or 'hotline'}@{self._settings.sip_host}",
            f"sip:{target.user}@{trunk.host}:{trunk.port}",
            (trunk.host, trunk.port),
            _offer(self._settings.sip_host, leg.media.port),
            user_agent=USER_AGENT,
            auth=SipDigestAuth(trunk.username, trunk.password) if trunk.password else None,
        )
        call.on_ringing = lambda _: on_ringing()
        leg.call_id, leg.outgoing = call.call_id, call
        self._legs[call.call_id] = leg
        try:
            await self._wait_for_answer(leg, call, ring_seconds)
        except BaseException:
            await self._abandon(leg, call)
            raise
        return leg

    async def _wait_for_answer(self, leg: SipLeg, call: OutgoingCall, seconds: float) -> None:
        try:
            await call.wait_answered(seconds)
        except TimeoutError as error:
            raise NotAnsweredError(Outcome.NO_ANSWER) from error
        except RuntimeError as error:
            code = call._reject_code
            if code == 408 and call.dialog.remote_tag == "":
                raise NotAnsweredError(Outcome.FAILED, code) from error  # nobody there at all
            raise NotAnsweredError(OUTCOMES.get(code, Outcome.FAILED), code) from error
        if leg.gone.is_set():
            raise NotAnsweredError(Outcome.CANCELED)
        answer = call.sdp_answer
        try:
            if answer is None:
                raise SdpNegotiationError("answered without SDP")
            remote, event_type = _where(answer)
            leg.law = _chosen_law(answer)
        except (SdpNegotiationError, ValueError) as error:
            log.warning("our call was answered badly: %s", error)
            raise NotAnsweredError(Outcome.FAILED, 488) from error
        assert leg.media is not None  # noqa: S101
        leg.media.law = leg.media._payload_type = leg.law
        assert leg.media._sender is not None  # noqa: S101
        leg.media._sender._payload_type = leg.law
        leg.media._dtmf_payload_type = event_type
        leg.media.moved(remote)
        leg.begin()

    async def _abandon(self, leg: SipLeg, call: OutgoingCall) -> None:
        if call.dialog.state is DialogState.CONFIRMED:
            call.hangup(self._uac)
        elif call.dialog.state is DialogState.EARLY:
            call.cancel(self._uac)
        self._lost(call.call_id)

    def _stray_answer(self, response: SipResponse) -> None:
        """Somebody picked up in the moment we gave up: take the call, and end it."""
        call = OutgoingCall(
            dialog=_dialog_of(response), invite=SipRequest(method="INVITE", uri="sip:peer")
        )
        if self._settings.trunk is not None:
            call.remote_addr = (self._settings.trunk.host, self._settings.trunk.port)
        self._uac._calls[call.call_id] = call
        process_response(self._uac, response, call.remote_addr)
        call.hangup(self._uac)

    # In a call

    def _reinvited(self, call: IncomingCall) -> None:
        leg = self._legs.get(call.call_id)
        if leg is None or leg.media is None:
            self._turn_away(call, 481)
            return
        if call.sdp_offer is None:
            call.accept(leg.sdp_answer or _offer(self._settings.sip_host, leg.media.port))
            return
        try:
            remote, event_type = _where(call.sdp_offer)
            answer, law = self._answer_to(call.sdp_offer, leg.media.port, event_type)
            if law != leg.law:
                raise SdpNegotiationError("another law in mid-call")
        except (SdpNegotiationError, ValueError):
            state = call.dialog.state  # the call itself goes on as it was
            call.reject(488)
            call.dialog.state = state
            return
        leg.media.moved(remote)
        leg.media._dtmf_payload_type = event_type
        call.accept(answer)

    def _info(self, request: SipRequest, addr: tuple[str, int]) -> None:
        """Keys as SIP INFO: application/dtmf-relay (Signal=5) or application/dtmf (5)."""
        leg = self._legs.get(request.call_id or "")
        if leg is None:
            self._transport.refuse(request, 481, "Call/Transaction Does Not Exist")
            return
        self._transport.refuse(request, 200, "OK")
        kind = (request.content_type or "").split(";")[0].strip().lower()
        if kind in {"application/dtmf-relay", "application/dtmf"}:
            found = re.search(
                r"(?:Signal\s*=\s*|^\s*)([0-9*#]{1,2})", request.text, re.IGNORECASE | re.MULTILINE
            )
            if found:
                key = {"10": "*", "11": "#"}.get(found[1], found[1])
                leg.keys.press(key)

    def _no_ack(self, call_id: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None and leg.incoming is not None:
            log.warning("a call was never confirmed and is ended")
            self._bye(leg)
            self._lost(call_id)

    def _cancelled(self, call_id: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None and leg.incoming is not None and leg.incoming._answered:
            leg.incoming.hangup()  # the CANCEL crossed our 200; aiosipua forgets the call
        self._lost(call_id)

    def _lost(self, call_id: str) -> None:
        """The far side, or we, ended the call."""
        leg = self._legs.pop(call_id, None)
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
            leg.outgoing.hangup(self._uac)

    def end(self, leg: SipLeg) -> None:
        """We hang up."""
        if leg.gone.is_set():
            return
        if leg.incoming is not None and not leg.incoming._answered:
            self._turn_away(leg.incoming, REFUSALS[Refusal.UNAVAILABLE])
        else:
            self._bye(leg)
        self._lost(leg.call_id)


def _where(sdp: SdpMessage) -> tuple[tuple[str, int], int]:
    """Address of the sound and payload type of the keys (0: none); raises ValueError."""
    place, audio = sdp.rtp_address, sdp.audio
    if place is None or audio is None or audio.proto != "RTP/AVP":
        raise ValueError("no plain audio in the SDP")
    # An address and no name to look up; the port above it is RTCP's.
    if ip_address(place[0]).version != 4 or not 0 < place[1] < 65535:
        raise ValueError("no place for the sound in the SDP")
    events = [
        codec.payload_type
        for codec in audio.codecs
        if codec.encoding_name.lower() == "telephone-event" and codec.clock_rate == g711.RATE_HZ
    ]
    return place, next((kind for kind in events if 95 < kind < 128), 0)


def _chosen_law(answer: SdpMessage) -> int:
    for codec in answer.audio.codecs if answer.audio else ():
        if codec.payload_type in g711.NAMES:
            return codec.payload_type
    raise SdpNegotiationError("no G.711 in the answer")


def _offer(host: str, port: int) -> SdpMessage:
    sdp = build_sdp(host, port, g711.PCMA, "PCMA", dtmf_payload_type=EVENT_TYPE)
    audio = sdp.audio
    assert audio is not None  # noqa: S101
    audio.formats.insert(1, str(g711.PCMU))
    audio.attributes["rtpmap"].insert(1, f"{g711.PCMU} PCMU/8000")
    return sdp


def _caller(invite: SipRequest) -> str:
    """The number as the trunk wrote it; "anonymous" when it is withheld."""
    if "id" in (invite.get_header("privacy") or "").lower().split(";"):
        return "anonymous"
    for header in ("p-asserted-identity", "from"):
        raw = invite.get_header(header)
        if raw:
            with suppress(ValueError, IndexError):
                address = parse_address(raw)
                user = address.uri.user or ""
                if re.fullmatch(r"[\w+*#.-]{1,32}", user, re.ASCII):
                    return user
    return "anonymous"


def _dialog_of(response: SipResponse) -> Dialog:
    from_addr, to_addr = response.from_addr, response.to_addr
    assert from_addr is not None  # noqa: S101
    assert to_addr is not None  # noqa: S101
    contacts = response.contact
    return Dialog(
        call_id=response.call_id or "",
        local_tag=from_addr.tag or "",
        remote_tag=to_addr.tag or "",
        local_uri=stringify_uri(from_addr.uri),
        remote_uri=stringify_uri(to_addr.uri),
        remote_target=stringify_uri(contacts[0].uri) if contacts else "",
        local_cseq=response.cseq.seq if response.cseq else 1,
    )
