"""Telephones for the bench: many in one process, each timed to the packet. Run as a module."""

import asyncio
import json
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ivr.exchange import g711

FRAME_SECONDS = 0.02
EVENTS = 110


class Wire(asyncio.DatagramProtocol):
    """Hands each datagram to a function, with its time."""

    def __init__(self, take: Any) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._take(time.monotonic(), data)


class Caller:
    """One call: ring, listen, press, listen, speak, press, hang up."""

    def __init__(self, number: int, port: int) -> None:
        self.number = number
        self._port = port
        self._call_id = f"crowd-{number}-{time.monotonic_ns()}"
        self.answers: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
        self.heard: list[tuple[float, int, bytes]] = []
        self.sent: list[float] = []
        self.words = voice(1000 + number, 12.0)
        self._alaw = g711.encode(self.words)
        self._stamp = self._sequence = 0
        self.talking_from = 0
        self._event: list[bytes] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._sip, _ = await loop.create_datagram_endpoint(
            lambda: Wire(self._sip_in), local_addr=("127.0.0.1", 0)
        )
        self._rtp, _ = await loop.create_datagram_endpoint(
            lambda: Wire(self._rtp_in), local_addr=("127.0.0.1", 0)
        )

    def close(self) -> None:
        self._sip.close()
        self._rtp.close()

    def _sip_in(self, at: float, data: bytes) -> None:
        text = data.decode(errors="replace")  # RTCP of a neighbour, if the ports fall so
        if text.startswith("SIP/2.0"):
            self.answers.put_nowait((at, text))
        elif text.startswith("BYE "):
            kept = ("Via:", "From:", "To:", "Call-ID:", "CSeq:")
            lines = [line for line in text.split("\r\n") if line.startswith(kept)]
            lines = ["SIP/2.0 200 OK", *lines, "Content-Length: 0", "", ""]
            self._send("\r\n".join(lines).encode())

    def _rtp_in(self, at: float, data: bytes) -> None:
        if data[1] & 0x7F == g711.PCMA:
            self.heard.append((at, struct.unpack_from("!I", data, 4)[0], data[12:]))

    def _request(self, method: str, number: int, tag: str = "", body: str = "") -> bytes:
        host, port = self._sip.get_extra_info("sockname")
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} sip:hotline@127.0.0.1:{self._port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{self._call_id}{method}\r\n"
            f"From: <sip:1380000{self.number:04d}@{host}>;tag=c{self.number}\r\n"
            f"To: <sip:hotline@127.0.0.1>{tag}\r\nCall-ID: {self._call_id}\r\n"
            f"CSeq: {number} {method}\r\nContact: <sip:c@{host}:{port}>\r\nMax-Forwards: 70\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _send(self, data: bytes) -> None:
        self._sip.sendto(data, ("127.0.0.1", self._port))

    async def _final(self) -> tuple[float, str]:
        while True:
            at, text = await asyncio.wait_for(self.answers.get(), 20)
            if not text.startswith("SIP/2.0 1"):
                return at, text

    async def ring(self) -> float:
        """Seconds from INVITE to 200."""
        port = self._rtp.get_extra_info("sockname")[1]
        body = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 8 {EVENTS}\r\na=rtpmap:{EVENTS} telephone-event/8000\r\n"
        )
        began = time.monotonic()
        self._send(self._request("INVITE", 1, body=body))
        at, text = await self._final()
        assert text.startswith("SIP/2.0 200"), text
        self._tag = ";tag=" + text.split("\r\nTo:")[1].split("\r\n")[0].split(";tag=")[1]
        self._far = ("127.0.0.1", int(text.split("m=audio ")[1].split()[0]))
        self._send(self._request("ACK", 1, self._tag))
        return at - began

    async def hang_up(self) -> None:
        self._send(self._request("BYE", 2, self._tag))
        await self._final()

    def press(self, key: int) -> None:
        """A key for 100 ms; frames of sound make way for it."""
        for step in range(1, 6):
            self._event.append(struct.pack("!BBH", key, 10, step * 160))
        self._event += [struct.pack("!BBH", key, 0x80 | 10, 5 * 160)] * 3

    def tick(self) -> None:
        """One frame goes out."""
        now = time.monotonic()
        if self._event:
            payload, kind = self._event.pop(0), EVENTS
            self._event_stamp = getattr(self, "_event_stamp", None) or self._stamp
            stamp = self._event_stamp
            if payload[1] & 0x80 and not hasattr(self, "key_up_at"):
                self.key_up_at = now
            if not self._event:
                self._event_stamp = None
        else:
            at = self._stamp % len(self._alaw)
            payload, kind, stamp = self._alaw[at : at + 160], g711.PCMA, self._stamp
        header = struct.pack("!BBHII", 0x80, kind, self._sequence & 0xFFFF, stamp, self.number + 1)
        self._rtp.sendto(header + payload, self._far)
        self.sent.append(now)
        self._sequence += 1
        self._stamp += 160

    def samples(self) -> np.ndarray:
        """What was heard, each frame at its time stamp."""
        if not self.heard:
            return np.zeros(0, np.int16)
        zero = self.heard[0][1]
        out = np.zeros(((self.heard[-1][1] - zero) & 0xFFFFFFFF) + 160, np.int16)
        for _, stamp, payload in self.heard:
            at = (stamp - zero) & 0xFFFFFFFF
            if at + len(payload) <= len(out):
                out[at : at + len(payload)] = g711.decode(payload)
        return out

    def last_sound_at(self) -> float:
        """When the last frame that is no silence arrived."""
        return max(at for at, _, payload in self.heard if g711.level_dbov(payload, g711.PCMA) > -50)


def voice(seed: int, seconds: float) -> np.ndarray:
    """Noise in bursts at -19 dBov, different for each seed."""
    dice = np.random.default_rng(seed)
    count = int(seconds * 8000)
    noise = np.convolve(dice.standard_normal(count + 8), np.ones(4) / 2, "same")[:count]
    sound = noise * np.repeat(dice.uniform(0.3, 1, count // 800 + 1), 800)[:count]
    scaled = sound / np.sqrt((sound**2).mean()) * 32768 * 10 ** (-19 / 20)
    return np.asarray(scaled.clip(-32768, 32767).astype(np.int16))


async def _clock(callers: list[Caller], enough: asyncio.Event) -> None:
    due = time.monotonic()
    while not enough.is_set():
        for caller in callers:
            caller.tick()
        due += FRAME_SECONDS
        await asyncio.sleep(max(0, due - time.monotonic()))


async def crowd(port: int, count: int, folder: Path, prompt_seconds: float) -> list[dict[str, Any]]:
    """All at once: what each measured; what each heard and said lies in `folder`."""
    callers = [Caller(number, port) for number in range(count)]
    for caller in callers:
        await caller.open()
    answered = await asyncio.gather(*(caller.ring() for caller in callers))
    enough = asyncio.Event()
    clock = asyncio.create_task(_clock(callers, enough))
    await asyncio.sleep(prompt_seconds + 0.3)
    for caller in callers:
        caller.press(1)
    await asyncio.sleep(prompt_seconds + 0.5 + 4.0)  # the second prompt, the beep, the message
    first_up = [caller.key_up_at for caller in callers]
    for caller in callers:
        caller.last_up = caller.last_sound_at()  # type: ignore[attr-defined]
        del caller.key_up_at
        caller.press(11)
    await asyncio.sleep(1.0)
    enough.set()
    await clock
    await asyncio.gather(*(caller.hang_up() for caller in callers))
    results = []
    for caller, seconds, up in zip(callers, answered, first_up, strict=True):
        np.save(folder / f"heard-{caller.number}.npy", caller.samples())
        np.save(folder / f"sent-{caller.number}.npy", np.array(caller.sent))
        results.append(
            {
                "number": caller.number,
                "answer_seconds": seconds,
                "key_up_at": up,
                "beep_over_at": caller.last_up,  # type: ignore[attr-defined]
                "end_key_up_at": caller.key_up_at,
            }
        )
        caller.close()
    return results


async def long_call(port: int, seconds: float) -> dict[str, Any]:
    """One call: how far the exchange's sound runs from the clock, in seconds."""
    caller = Caller(0, port)
    await caller.open()
    await caller.ring()
    enough = asyncio.Event()
    clock = asyncio.create_task(_clock([caller], enough))
    await asyncio.sleep(seconds)
    enough.set()
    await clock
    await caller.hang_up()
    lateness = [at - stamp / 8000 for at, stamp, _ in caller.heard]
    # The earliest packets of the first and last five seconds: the scheduler's noise only adds.
    drift = min(lateness[-250:]) - min(lateness[:250])
    caller.close()
    return {"drift_seconds": drift, "packets": len(caller.heard)}


def main() -> None:
    what, port, *rest = sys.argv[1:]
    if what == "crowd":
        result: Any = asyncio.run(crowd(int(port), int(rest[0]), Path(rest[1]), float(rest[2])))
    else:
        result = asyncio.run(long_call(int(port), float(rest[0])))
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
