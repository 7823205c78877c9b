"""SIP over UDP that survives lost packets.

aiosipua sends each message once. This transport repeats what was not answered and answers
what is repeated, with the timers of RFC 3261 §17: T1 0.5 s doubling to T2 4 s, 32 s in all.
It also sends the ACK to a refused INVITE, which aiosipua leaves out.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, ClassVar

from aiosipua.message import SipMessage, SipRequest, SipResponse
from aiosipua.sdp import parse_sdp
from aiosipua.transport import UdpSipTransport, _response_destination, _stamp_via_received

log = logging.getLogger(__name__)

T1, T2 = 0.5, 4.0
GIVE_UP_SECONDS = 32.0  # 64 × T1
NO_PROXY_SECONDS = 8.0  # an INVITE not even answered by 100: the box is off; Timer B's 32 s
# would keep a caller waiting for a volunteer whose line cannot be reached
LARGEST_BYTES = 16_384  # far above any real INVITE
REMEMBERED = 4096  # transactions; beyond it the oldest is forgotten

Address = tuple[str, int]
Network = IPv4Network | IPv6Network


@dataclass
class _Repeat:
    """A message on its way until something answers it."""

    data: bytes
    to: Address
    give_up_at: float
    on_give_up: Callable[[], None]
    wait: float = T1
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


@dataclass
class _Seen:
    """A request that came in, and the last answer given to it."""

    at: float
    answer: bytes | None = None
    to: Address = ("", 0)


class RetransmittingTransport(UdpSipTransport):
    """Takes only what `peers` send, each request once."""

    reliable: ClassVar[bool] = True  # aiosipua then leaves repeating to us

    def __init__(self, local_addr: Address, peers: Iterable[Network]) -> None:
        super().__init__(local_addr=local_addr)
        self._peers = tuple(peers)
        self._asked: dict[tuple[str, str], _Repeat] = {}  # our requests by branch and method
        self._seen: dict[tuple[str, str, str], _Seen] = {}  # theirs, by branch, sender and method
        self._unconfirmed: dict[tuple[str, str], _Repeat] = {}  # our final answers to INVITEs
        self._acks: dict[tuple[str, str], tuple[float, bytes, Address]] = {}
        self._strangers: set[str] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self.on_no_ack: Callable[[str], None] = lambda call_id: None
        self.on_stray_answer: Callable[[SipResponse], None] = lambda response: None
        self.knows_call: Callable[[str], bool] = lambda call_id: True

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Ear(self), local_addr=self.local_addr
        )
        self._udp_transport = transport
        self.local_addr = transport.get_extra_info("sockname")[:2]
        self._sweep()

    async def stop(self) -> None:
        for repeat in (*self._asked.values(), *self._unconfirmed.values()):
            repeat.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await super().stop()

    @property
    def quiet(self) -> bool:
        """Whether nothing is left that waits for an answer."""
        return not self._asked and not self._unconfirmed

    # What goes out

    def send(self, message: SipRequest | SipResponse, addr: Address) -> None:
        if isinstance(message, SipResponse) and message.status_code == 100:
            return  # every call is answered, refused or said to ring sooner than it is asked for
        data = bytes(message)
        if isinstance(message, SipResponse):
            self._answer(message, data, addr)
        elif message.method == "ACK":
            self._acks[_call_and_number(message)] = (self._loop.time(), data, addr)
        else:
            self._ask(message, data, addr)
        self._write(data, addr)

    def _ask(self, request: SipRequest, data: bytes, addr: Address) -> None:
        key = (_branch(request), request.method)
        patience = NO_PROXY_SECONDS if request.method == "INVITE" else GIVE_UP_SECONDS

        def give_up() -> None:
            self._asked.pop(key, None)
            log.warning("%s to %s was not answered", request.method, addr[0])
            if self.on_message is not None:
                self.on_message(_answer_for(request, 408, "Request Timeout"), addr)

        self._asked[key] = self._repeat(data, addr, patience, give_up)

    def _answer(self, response: SipResponse, data: bytes, addr: Address) -> None:
        method = response.cseq.method if response.cseq else ""
        seen = self._seen.get(_transaction(response, method))
        if seen is not None:
            seen.answer, seen.to = data, addr
        if method != "INVITE" or response.status_code < 200:
            return
        key = _call_and_number(response)

        def give_up() -> None:
            self._unconfirmed.pop(key, None)
            log.warning("no ACK from %s for our %d", addr[0], response.status_code)
            if response.status_code < 300:
                self.on_no_ack(key[0])

        if key not in self._unconfirmed:
            self._unconfirmed[key] = self._repeat(data, addr, GIVE_UP_SECONDS, give_up)

    def _repeat(
        self, data: bytes, to: Address, seconds: float, on_give_up: Callable[[], None]
    ) -> _Repeat:
        repeat = _Repeat(data, to, self._loop.time() + seconds, on_give_up)
        repeat.timer = self._loop.call_later(repeat.wait, self._again, repeat)
        return repeat

    def _again(self, repeat: _Repeat) -> None:
        now = self._loop.time()
        if now >= repeat.give_up_at:
            repeat.on_give_up()
            return
        self._write(repeat.data, repeat.to)
        repeat.wait = min(repeat.wait * 2, T2)
        pause = min(repeat.wait, max(0.01, repeat.give_up_at - now))
        repeat.timer = self._loop.call_later(pause, self._again, repeat)

    def _write(self, data: bytes, addr: Address) -> None:
        if self._udp_transport is None or self._udp_transport.is_closing():
            return
        try:
            self._udp_transport.sendto(data, addr)
        except (OSError, OverflowError, TypeError, ValueError) as error:
            log.warning("cannot send to %s: %s", addr[0], error)

    # What comes in

    def received(self, data: bytes, addr: Address) -> None:
        """One datagram; never raises."""
        if not data.strip(b"\r\n\0 "):
            return  # a box keeping its way through a router open
        if not self._is_peer(addr[0]):
            return
        if len(data) > LARGEST_BYTES:
            log.warning("%d bytes from %s are no SIP message", len(data), addr[0])
            return
        try:
            message = SipMessage.parse(data)
            if isinstance(message, SipRequest):
                _stamp_via_received(message, addr)
            _check(message)
        except Exception as error:  # noqa: BLE001  # the parser meets whatever the wire brings
            log.warning("not SIP, from %s: %s", addr[0], error)
            return
        try:
            if isinstance(message, SipRequest):
                self._take_request(message, addr)
            else:
                self._take_response(message, addr)
        except Exception:
            log.exception("a SIP message from %s could not be handled", addr[0])
            if isinstance(message, SipRequest) and message.method != "ACK":
                self.refuse(message, 500, "Server Internal Error")

    def _is_peer(self, host: str) -> bool:
        address = ip_address(host)
        if any(address in network for network in self._peers):
            return True
        if host not in self._strangers and len(self._strangers) < 1000:
            self._strangers.add(host)
            log.warning("%s is no peer; what it sends is not answered", host)
        return False

    def _take_request(self, request: SipRequest, addr: Address) -> None:
        if request.method == "ACK":
            unconfirmed = self._unconfirmed.pop(_call_and_number(request), None)
            if unconfirmed is not None:
                unconfirmed.stop()
        else:
            key = _transaction(request, request.method)
            seen = self._seen.get(key)
            if seen is not None:
                if seen.answer is not None:
                    self._write(seen.answer, seen.to)
                return
            if len(self._seen) >= REMEMBERED:
                self._seen.pop(next(iter(self._seen)))
            self._seen[key] = _Seen(self._loop.time())
            if request.body and request.content_type == "application/sdp":
                try:
                    parse_sdp(request.text)
                except (ValueError, IndexError, KeyError):
                    log.warning("%s from %s: unreadable SDP", request.method, addr[0])
                    self.refuse(request, 400, "Bad SDP")
                    return
        if self.on_message is not None:
            self.on_message(request, addr)

    def _take_response(self, response: SipResponse, addr: Address) -> None:
        cseq = response.cseq
        assert cseq is not None  # _check saw it  # noqa: S101
        key = (_branch(response), cseq.method)
        repeat = self._asked.get(key)
        final = response.status_code >= 200
        if repeat is not None:
            repeat.stop()
            if final or cseq.method == "INVITE":
                self._asked.pop(key)
            else:  # a provisional answer to a BYE is no end
                repeat.timer = self._loop.call_later(T2, self._again, repeat)
        if cseq.method == "INVITE" and final:
            if response.status_code >= 300:
                first = self._ack_refusal(response, addr)
                if not first:
                    return
            elif (ack := self._acks.get(_call_and_number(response))) is not None:
                self._write(ack[1], ack[2])
                return
            elif not self.knows_call(response.call_id or ""):
                self.on_stray_answer(response)
                return
        if self.on_message is not None:
            self.on_message(response, addr)

    def _ack_refusal(self, response: SipResponse, addr: Address) -> bool:
        """Send the ACK that belongs to the INVITE's own transaction; whether it is the first."""
        key = (_branch(response), "ACK")
        if key in self._acks:
            _, data, to = self._acks[key]
            self._write(data, to)
            return False
        to_uri = response.to_addr
        ack = SipRequest(method="ACK", uri=f"sip:{to_uri.uri.host}" if to_uri else "sip:peer")
        ack.headers.append("Via", response.headers.get("via")[0])
        for name in ("From", "To", "Call-ID"):
            ack.headers.set_single(name, response.headers.get_first(name) or "")
        number = response.cseq.seq if response.cseq else 1
        ack.headers.set_single("CSeq", f"{number} ACK")
        ack.headers.set_single("Max-Forwards", "70")
        self._acks[key] = (self._loop.time(), bytes(ack), addr)
        self._write(bytes(ack), addr)
        return True

    def refuse(self, request: SipRequest, code: int, reason: str) -> None:
        """Answer a request that belongs to no call."""
        with suppress(ValueError):
            self.send_reply(_answer_for(request, code, reason))

    def _sweep(self) -> None:
        """Forget what is too old to be repeated."""
        horizon = self._loop.time() - GIVE_UP_SECONDS
        self._seen = {key: seen for key, seen in self._seen.items() if seen.at > horizon}
        self._acks = {key: ack for key, ack in self._acks.items() if ack[0] > horizon}
        self._sweeper = self._loop.call_later(5, self._sweep)


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, owner: RetransmittingTransport) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._owner.received(data, (str(addr[0]), int(addr[1])))

    def error_received(self, exc: Exception) -> None:
        log.debug("SIP socket: %s", exc)  # a peer that is off: the timers say so too


def _branch(message: SipMessage) -> str:
    vias = message.via
    return (vias[0].branch or "") if vias else ""


def _transaction(message: SipMessage, method: str) -> tuple[str, str, str]:
    """What makes two copies of a request the same (RFC 3261 §17.2.3)."""
    vias = message.via
    sent_by = f"{vias[0].host}:{vias[0].port}" if vias else ""
    branch = _branch(message)
    if not branch.startswith("z9hG4bK"):
        branch = f"{message.call_id}:{message.cseq.seq if message.cseq else 0}"
    return (branch, sent_by, method)


def _call_and_number(message: SipMessage) -> tuple[str, str]:
    return (message.call_id or "", str(message.cseq.seq if message.cseq else 0))


def _check(message: SipMessage) -> None:
    """What every message needs before anybody looks at it closely; raises ValueError."""
    if not (message.via and message.call_id and message.cseq and message.cseq.method):
        raise ValueError("Via, Call-ID or CSeq is missing")
    if not (message.from_addr and message.to_addr):
        raise ValueError("From or To is missing")
    if isinstance(message, SipRequest):
        if message.cseq.method != message.method:
            raise ValueError("CSeq names another method")
        way_back = _response_destination(_answer_for(message, 100, ""))
        # Checked here and not left to the socket: asyncio closes one for ever that was once
        # asked to send to a port beyond 65535.
        if way_back is None or not 0 < way_back[1] < 65536:
            raise ValueError("no way back")
        ip_address(way_back[0])


def _answer_for(request: SipRequest, code: int, reason: str) -> SipResponse:
    response = SipResponse(status_code=code, reason_phrase=reason)
    for via in request.headers.get("via"):
        response.headers.append("Via", via)
    for name in ("From", "To", "Call-ID", "CSeq"):
        response.headers.set_single(name, request.headers.get_first(name) or "")
    if code > 100 and "tag=" not in (response.headers.get_first("to") or ""):
        response.headers.set_single("To", f"{response.headers.get_first('to')};tag=hotline")
    return response
