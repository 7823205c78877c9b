"""A wire between a telephone and the exchange that loses and repeats what it is told to."""

import random
import select
import socket
import threading
from collections.abc import Callable

from softphone import free_port

Rule = Callable[[bytes], bool]


class LossyWire:
    """Datagrams for `front` reach the far side, and back; a context manager.

    Each rule of `lose` swallows the first datagram it fits, each of `repeat` sends every one
    that it fits twice. `chance` is the share lost besides.
    """

    def __init__(
        self,
        far_port: int,
        lose: tuple[Rule, ...] = (),
        repeat: tuple[Rule, ...] = (),
        chance: float = 0,
    ) -> None:
        self.front = free_port()
        self._far = ("127.0.0.1", far_port)
        self._lose = list(lose)
        self._repeat = repeat
        self._chance = chance
        self._dice = random.Random(4)
        self.lost: list[bytes] = []
        self._near: tuple[str, int] | None = None

    def __enter__(self) -> "LossyWire":
        self._a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._a.bind(("127.0.0.1", self.front))
        self._b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._b.bind(("127.0.0.1", 0))
        self._stop_in, self._stop_out = socket.socketpair()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_in.send(b"x")
        self._thread.join(5)
        for end in (self._a, self._b, self._stop_in, self._stop_out):
            end.close()

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([self._a, self._b, self._stop_out], [], [])
            if self._stop_out in ready:
                return
            for end in ready:
                data, source = end.recvfrom(65536)
                if end is self._a:
                    self._near = source
                    self._pass_on(data, self._b, self._far)
                elif self._near is not None:
                    self._pass_on(data, self._a, self._near)

    def _pass_on(self, data: bytes, end: socket.socket, to: tuple[str, int]) -> None:
        for rule in self._lose:
            if rule(data):
                self._lose.remove(rule)
                self.lost.append(data)
                return
        if self._dice.random() < self._chance:
            self.lost.append(data)
            return
        end.sendto(data, to)
        if any(rule(data) for rule in self._repeat):
            end.sendto(data, to)


def request(method: str) -> Rule:
    return lambda data: data.startswith(method.encode() + b" ")


def answer(code: int, method: str) -> Rule:
    """The answer `code` to a `method`."""
    return lambda data: (
        data.startswith(b"SIP/2.0 %d" % code)
        and (b" %s\r\n" % method.encode()) in data.split(b"CSeq:")[-1][:40]
    )
