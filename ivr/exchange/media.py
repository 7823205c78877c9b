"""The sound of one call: RTP in and out, keys, prompts, recordings.

One clock of 20 ms drives every call, so that a call costs two packets a tick and no timer.
Packets carry G.711 as it is: nothing is decoded but to measure a level and to write a wav.
"""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address

from aiortp.codecs.base import Codec
from aiortp.dtmf import DtmfEvent
from aiortp.packet import RtpPacket, is_rtcp
from aiortp.port_allocator import PortAllocator
from aiortp.session import RTPSession

from ivr.exchange import g711
from ivr.exchange.keys import Keys
from ivr.exchange.udp import Address, Network, read_no_more_than

log = logging.getLogger(__name__)

EVENT_KEYS = "0123456789*#"  # RFC 4733 events 0 to 11
KEY_LOST_SECONDS = 0.2  # a key whose three end packets were all lost counts after this silence
STALE_SECONDS = 2.0  # a source silent for so long may be replaced by another of the same peer
BRIDGE_FRAMES = 10  # 200 ms between two joined calls at most
LARGEST_BYTES = 2048  # a quarter of a second in one packet; boxes send 20 to 60 ms


class NoPortError(OSError):
    """Every RTP port of the configured range is in use."""


class _AsItIs(Codec):
    """G.711 left alone: prompts are kept as they go over the wire."""

    name = "G.711"
    sample_rate = g711.RATE_HZ
    samples_per_frame = g711.FRAME

    def encode(self, pcm: bytes) -> bytes:
        return pcm

    def decode(self, payload: bytes) -> bytes:
        return payload


class RtpPorts(PortAllocator):
    """Port pairs of one address; aiortp's own allocator tries them on every interface."""

    def __init__(self, host: str, ports: tuple[int, int]) -> None:
        super().__init__(ports)
        self._host = host
        self._next = self._min_port

    async def allocate(self) -> tuple[int, int]:
        count = (self._max_port - self._min_port) // 2
        for _ in range(count):
            port = self._next
            # Round and round: a port just freed may still get packets of the call before.
            self._next = port + 2 if port + 2 < self._max_port else self._min_port
            if port not in self._allocated and self._is_free(port):
                self._allocated.add(port)
                return port, port + 1
        raise NoPortError("no free RTP port")

    def _is_free(self, port: int) -> bool:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        for candidate in (port, port + 1):
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((self._host, candidate))
                except OSError:
                    return False
        return True

    @property
    def in_use(self) -> int:
        return len(self._allocated)


class Media(RTPSession):
    """An RTP session that listens to one source only and hands over whole frames in order."""

    # A port just bound may get packets of the call that had it before, until it is configured.
    _source: Address | None = None
    _configured = False

    def configure(self, keys: Keys, law: int, peers: tuple[Network, ...]) -> None:
        self.keys = keys
        self.law = law
        self._peers = peers
        self._configured = True
        self._heard_at = 0.0
        self._strangers = 0
        self._event: tuple[int, str] | None = None  # timestamp and key now held down
        self._event_at = 0.0
        self._timestamp = int(time.monotonic() * 8000) & 0xFFFFFFFF
        self._prompt: Prompt | None = None
        self._from_other: deque[bytes] = deque(maxlen=BRIDGE_FRAMES)
        self.joined = False
        self.sending = False  # from the answer on
        self.on_frame: Callable[[bytes, int], None] | None = None
        self.on_audio = self._frame

    @property
    def port(self) -> int:
        return int(self._allocated_rtp_port or 0)

    @property
    def heard_at(self) -> float:
        """When a packet last came, by the monotonic clock; 0 if none ever did."""
        return self._heard_at

    # In

    def received(self, data: bytes, addr: Address) -> None:
        """One datagram. aiortp's own way answers STUN, whoever asks."""
        (self._handle_rtcp if is_rtcp(data) else self._handle_rtp)(data, addr)

    def _handle_rtp(self, data: bytes, addr: Address) -> None:
        addr = (addr[0], addr[1])
        if not self._configured or len(data) < 12 or data[0] >> 6 != 2 or not self._is_ours(addr):
            return
        kind = data[1] & 0x7F
        if kind == self._dtmf_payload_type and not self._key_event(data):
            return
        if kind not in (self.law, self._dtmf_payload_type):
            return  # comfort noise or a law that was not agreed
        super()._handle_rtp(data, addr)

    def _handle_rtcp(self, data: bytes, addr: Address) -> None:
        if self._source is not None and addr[0] == self._source[0]:
            self._heard_at = time.monotonic()
            super()._handle_rtcp(data, addr)

    def _is_ours(self, addr: Address) -> bool:
        """The address in the SDP, or one of the same peer if nothing comes from there.

        Boxes behind a router send from another port than they announce; anybody else's
        packets are no part of the call.
        """
        now = time.monotonic()
        if addr == self._source:
            self._heard_at = now
            return True
        fresh = self._source is not None and now - self._heard_at < STALE_SECONDS
        announced = addr == self._remote_addr
        if (fresh and not announced) or not (announced or self._may_speak(addr[0])):
            self._strangers += 1
            if self._strangers == 1:
                log.warning("RTP from a stranger, %s port %d, left out", *addr)
            return False
        self._source, self._heard_at = addr, now
        return True

    def _may_speak(self, host: str) -> bool:
        if self._remote_addr is not None and host == self._remote_addr[0]:
            return True
        return any(ip_address(host) in network for network in self._peers)

    def moved(self, addr: Address) -> None:
        """A re-INVITE named another place for the sound."""
        self.update_remote(addr)
        self._source = None

    def _key_event(self, data: bytes) -> bool:
        """One RFC 4733 packet; whether it was one."""
        try:
            packet = RtpPacket.parse(data)
            event = DtmfEvent.parse(packet.payload)
        except ValueError:
            return False
        if event.event >= len(EVENT_KEYS):
            return True
        key, stamp = EVENT_KEYS[event.event], packet.timestamp
        if self._event is not None and self._event[0] != stamp:
            self._key_up()  # its end was lost
        if self._event is None and stamp != self._last_stamp:
            self._event = (stamp, key)
            self.keys.touch()
        self._event_at = time.monotonic()
        if event.end and self._event is not None:
            self._key_up()
        return True

    _last_stamp = -1

    def _key_up(self) -> None:
        assert self._event is not None  # noqa: S101
        self._last_stamp, key = self._event
        self._event = None
        self.keys.press(key)

    def _frame(self, payload: bytes, timestamp: int) -> None:
        if self.on_frame is not None:
            self.on_frame(payload, timestamp)

    # Out

    def tick(self, now: float) -> None:
        """20 ms have passed."""
        if self._event is not None and now - self._event_at > KEY_LOST_SECONDS:
            self._key_up()
        if not self.sending:
            return
        payload: bytes | None = None
        if self._prompt is not None:
            payload = self._prompt.next_frame()
        elif self._from_other:
            payload = self._from_other.popleft()
        # Silence is sent too: boxes and carriers drop a call in which nothing comes.
        if self._remote_addr is not None and self._remote_addr[0] != "0.0.0.0":  # noqa: S104
            self.send_audio(payload or g711.SILENCE[self.law], self._timestamp)
        self._timestamp = (self._timestamp + g711.FRAME) & 0xFFFFFFFF

    @property
    def next_timestamp(self) -> int:
        return self._timestamp

    def _send_bye(self) -> None:
        if self._remote_addr is not None and self._remote_addr[1]:  # 0: never answered
            super()._send_bye()

    def take_from_other(self, payload: bytes, law: int) -> None:
        self._from_other.append(g711.convert(payload, law, self.law))

    def start_prompt(self, prompt: "Prompt") -> None:
        self._prompt = prompt

    def stop_prompt(self) -> None:
        self._prompt = None


class Prompt:
    """A sound on its way out, a frame a tick."""

    def __init__(self, alaw: bytes, law: int, *, loops: bool = False) -> None:
        self._wire = g711.convert(alaw, g711.PCMA, law)
        self._silence = g711.SILENCE[law]
        self._at = 0
        self._loops = loops
        self.done = asyncio.Event()

    def next_frame(self) -> bytes | None:
        if self._at >= len(self._wire):
            if not self._loops or not self._wire:
                self.done.set()
                return None
            self._at = 0
        frame = self._wire[self._at : self._at + g711.FRAME]
        self._at += g711.FRAME
        if self._at >= len(self._wire) and not self._loops:
            self.done.set()  # with its last frame: what follows starts on the next tick
        return frame + self._silence[len(frame) :]


async def open_media(
    host: str,
    ports: RtpPorts,
    remote: Address,
    law: int,
    event_type: int,
    keys: Keys,
    peers: tuple[Network, ...],
) -> Media:
    """Bind a port pair; raises NoPortError."""
    # A port that somebody takes in this very moment shows as an OSError and stays put aside.
    media = await Media.create(
        local_addr=(host, 0),
        remote_addr=remote,
        payload_type=law,
        codec=_AsItIs(),
        dtmf_payload_type=event_type,
        jitter_prefetch=0,
        skip_audio_gaps=True,
        plc=False,
        symmetric_rtp=True,
        port_allocator=ports,
    )
    assert isinstance(media, Media)  # noqa: S101
    for end in (media._rtp_transport, media._rtcp_transport):
        assert end is not None  # noqa: S101
        read_no_more_than(LARGEST_BYTES, end._transport)
        end.datagram_received = media.received  # type: ignore[method-assign]
    media.configure(keys, law, peers)
    return media
