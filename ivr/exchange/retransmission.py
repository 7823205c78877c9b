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
from ipaddress import ip_address
from typing import ClassVar

from aiosipua.message import SipMessage, SipRequest, SipResponse
from aiosipua.sdp import parse_sdp
from aiosipua.transport import UdpSipTransport, _stamp_via_received

from ivr.exchange.sip_messages import (
    answer_for,
    branch_of,
    call_and_number,
    check,
    transaction_of,
)
from ivr.exchange.udp import Address, Ear, Network, read_no_more_than

log = logging.getLogger(__name__)

T1, T2 = 0.5, 4.0
GIVE_UP_SECONDS = 32.0  # 64 × T1
NO_PROXY_SECONDS = 8.0  # an INVITE not even answered by 100: the box is off; Timer B's 32 s
# would keep a caller waiting for a volunteer whose line cannot be reached
LARGEST_BYTES = 16_384  # far above any real INVITE
REMEMBERED = 4096  # transactions; beyond it the oldest is forgotten


@dataclass(slots=True)
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


@dataclass(slots=True)
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
        self._seen: dict[str, _Seen] = {}  # theirs, oldest first
        # Our final answers to INVITEs, and what each was asked by.
        self._unconfirmed: dict[tuple[str, str], tuple[_Repeat, _Seen | None]] = {}
        self._acks: dict[tuple[str, str], tuple[float, bytes, Address]] = {}
        self._strangers: set[str] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self.on_no_ack: Callable[[str], None] = lambda call_id: None
        self.on_stray_answer: Callable[[SipResponse], None] = lambda response: None
        self.knows_call: Callable[[str], bool] = lambda call_id: True

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: Ear(self.received, _failed), local_addr=self.local_addr
        )
        read_no_more_than(LARGEST_BYTES + 1, transport)
        self._udp_transport = transport
        self.local_addr = transport.get_extra_info("sockname")[:2]
        self._sweep()

    async def stop(self) -> None:
        for repeat in (*self._asked.values(), *(each for each, _ in self._unconfirmed.values())):
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
            self._acks[call_and_number(message)] = (self._loop.time(), data, addr)
        else:
            self._ask(message, data, addr)
        self._write(data, addr)

    def _ask(self, request: SipRequest, data: bytes, addr: Address) -> None:
        key = (branch_of(request), request.method)
        patience = NO_PROXY_SECONDS if request.method == "INVITE" else GIVE_UP_SECONDS

        def give_up() -> None:
            self._asked.pop(key, None)
            log.warning("%s to %s was not answered", request.method, addr[0])
            if self.on_message is not None:
                self.on_message(answer_for(request, 408, "Request Timeout"), addr)

        self._asked[key] = self._repeat(data, addr, patience, give_up)

    def _answer(self, response: SipResponse, data: bytes, addr: Address) -> None:
        method = response.cseq.method if response.cseq else ""
        seen = self._seen.get(transaction_of(response, method))
        if seen is not None:
            seen.answer, seen.to = data, addr
        if method != "INVITE" or response.status_code < 200:
            return
        key = call_and_number(response)

        def give_up() -> None:
            self._unconfirmed.pop(key, None)
            log.warning("no ACK from %s for our %d", addr[0], response.status_code)
            if response.status_code < 300:
                self.on_no_ack(key[0])

        if key not in self._unconfirmed:
            self._unconfirmed[key] = self._repeat(data, addr, GIVE_UP_SECONDS, give_up), seen

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
            log.warning("more than %d bytes from %s are no SIP message", LARGEST_BYTES, addr[0])
            return
        try:
            message = SipMessage.parse(data)
            if isinstance(message, SipRequest):
                _stamp_via_received(message, addr)
            check(message)
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
            repeat, invite = self._unconfirmed.pop(call_and_number(request), (None, None))
            if repeat is not None:
                repeat.stop()
            if invite is not None:
                invite.answer = None  # heard: a copy of the INVITE that is late needs none
        else:
            key = transaction_of(request, request.method)
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
        assert cseq is not None  # `check` saw it  # noqa: S101
        key = (branch_of(response), cseq.method)
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
            elif (ack := self._acks.get(call_and_number(response))) is not None:
                self._write(ack[1], ack[2])
                return
            elif not self.knows_call(response.call_id or ""):
                self.on_stray_answer(response)
                return
        if self.on_message is not None:
            self.on_message(response, addr)

    def _ack_refusal(self, response: SipResponse, addr: Address) -> bool:
        """Send the ACK that belongs to the INVITE's own transaction; whether it is the first."""
        key = (branch_of(response), "ACK")
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
            self.send_reply(answer_for(request, code, reason))

    def _sweep(self) -> None:
        """Forget what is too old to be repeated."""
        horizon = self._loop.time() - GIVE_UP_SECONDS
        while self._seen and next(iter(self._seen.values())).at <= horizon:
            del self._seen[next(iter(self._seen))]
        while self._acks and next(iter(self._acks.values()))[0] <= horizon:
            del self._acks[next(iter(self._acks))]
        self._sweeper = self._loop.call_later(5, self._sweep)


def _failed(error: Exception) -> None:
    log.debug("SIP socket: %s", error)  # a peer that is off: the timers say so too
