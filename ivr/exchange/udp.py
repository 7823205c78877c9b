"""What SIP and sound share: addresses, and sockets that read no more than they need."""

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from typing import Any

Address = tuple[str, int]
Network = IPv4Network | IPv6Network


class Ear(asyncio.DatagramProtocol):
    """Hands each datagram to a function."""

    def __init__(
        self, received: Callable[[bytes, Address], None], failed: Callable[[Exception], None]
    ) -> None:
        self._received, self._failed = received, failed

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._received(data, (str(addr[0]), int(addr[1])))

    def error_received(self, exc: Exception) -> None:
        self._failed(exc)


def read_no_more_than(size_bytes: int, transport: asyncio.BaseTransport | None) -> None:
    """asyncio takes 256 KB for every datagram and gives back what was not needed: at fifty a
    second and call that costs time, and leaves holes in the heap that look like a leak."""
    transport.max_size = size_bytes  # type: ignore[union-attr]
