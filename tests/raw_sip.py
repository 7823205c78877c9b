"""SIP written by hand, for what no decent telephone would send."""

import socket
import struct
import time
from itertools import count

import numpy as np
from softphone import free_port

from ivr.exchange import g711

_numbers = count(1)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP {formats}\r\n{lines}"
)
PLAIN = "a=rtpmap:8 PCMA/8000\r\na=rtpmap:126 telephone-event/8000\r\na=ptime:20\r\n"


def sdp(port: int, formats: str = "8 126", lines: str = PLAIN) -> str:
    return SDP.format(port=port, formats=formats, lines=lines)


class RawCaller:
    """One SIP socket and one RTP socket. A context manager."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._to = ("127.0.0.1", port)
        self._host = host
        self.number = next(_numbers)
        self.call_id = f"raw-{self.number}-{time.monotonic_ns()}"
        self.tag = ""

    def __enter__(self) -> "RawCaller":
        self.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sip.bind((self._host, 0))
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((self._host, free_port()))
        return self

    def __exit__(self, *_: object) -> None:
        self.sip.close()
        self.rtp.close()

    @property
    def rtp_port(self) -> int:
        return int(self.rtp.getsockname()[1])

    def send(self, data: bytes) -> None:
        self.sip.sendto(data, self._to)

    def request(
        self, method: str, body: str = "", *, number: int = 1, branch: str = "", extra: str = ""
    ) -> bytes:
        host, port = self.sip.getsockname()
        to_tag = f";tag={self.tag}" if self.tag else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} sip:hotline@127.0.0.1:{self._to[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};branch={branch or f'z9hG4bK{self.call_id}{method}{number}'}\r\n"
            f"From: <sip:13812345678@{host}>;tag=raw{self.number}\r\n"
            f"To: <sip:hotline@127.0.0.1>{to_tag}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {number} {method}\r\n"
            f"Contact: <sip:13812345678@{host}:{port}>\r\nMax-Forwards: 70\r\n{extra}{kind}"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        ).encode()

    def receive(self, seconds: float = 10) -> tuple[str, str]:
        """First line and whole text of the next message; TimeoutError if none comes."""
        self.sip.settimeout(seconds)
        text = self.sip.recv(65536).decode()
        return text.split("\r\n", 1)[0], text

    def answer_to(self, data: bytes, seconds: float = 10) -> int:
        """Send a request and return the code of its final answer."""
        self.send(data)
        deadline = time.monotonic() + seconds
        while True:
            line, text = self.receive(max(0.01, deadline - time.monotonic()))
            if not line.startswith("SIP/2.0 "):
                continue
            code = int(line.split()[1])
            if code >= 200:
                to = next(part for part in text.split("\r\n") if part.lower().startswith("to:"))
                self.tag = to.partition(";tag=")[2]
                if "INVITE" in text.split("CSeq:")[1][:20]:
                    self.send(self.request("ACK", branch="" if code < 300 else self._branch()))
                if code == 200 and "m=audio" in text:
                    self.far_rtp = int(text.split("m=audio ")[1].split()[0])
                return code

    def _branch(self) -> str:
        return f"z9hG4bK{self.call_id}INVITE1"

    def invite(self) -> int:
        return self.answer_to(self.request("INVITE", sdp(self.rtp_port)))

    def bye(self) -> int:
        return self.answer_to(self.request("BYE", number=99))


def rtp_header(kind: int, number: int, stamp: int, source: int) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, number, stamp, source)


def send_sound(end: socket.socket, port: int, at: int, samples: np.ndarray, source: int) -> None:
    payload = g711.encode(samples)
    end.sendto(rtp_header(8, at // 160, at, source) + payload, ("127.0.0.1", port))


def press_five(caller: RawCaller) -> None:
    for number in range(10, 15):
        event = struct.pack("!BBH", 5, 10, 160 * (number - 9))
        caller.rtp.sendto(rtp_header(126, number, 320, 1) + event, ("127.0.0.1", caller.far_rtp))


def listen_until_bye(caller: RawCaller) -> np.ndarray:
    caller.sip.setblocking(False)
    caller.rtp.settimeout(0.2)
    heard = bytearray()
    while True:
        try:
            if caller.sip.recv(65536).startswith(b"BYE "):
                return g711.decode(bytes(heard))
        except BlockingIOError:
            pass
        try:
            heard += caller.rtp.recv(2000)[12:]
        except TimeoutError:
            continue
