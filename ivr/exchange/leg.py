"""One telephone on the line, whatever engine holds it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ivr.exchange import g711
from ivr.exchange.keys import Keys


@dataclass(frozen=True, slots=True)
class Sound:
    """Something to play: A-law bytes, 8 kHz, one a sample."""

    alaw: bytes = field(repr=False)
    name: str = ""

    @property
    def seconds(self) -> float:
        return len(self.alaw) / g711.RATE_HZ


class EndedBy(StrEnum):
    """What made a recording end."""

    KEY = "key"
    SILENCE = "silence"
    LENGTH = "length"
    HANGUP = "hangup"


@dataclass(frozen=True, slots=True)
class TakeLimits:
    max_seconds: float
    silence_seconds: float
    finish_keys: str  # any of these ends the recording


@dataclass(frozen=True, slots=True)
class Take:
    """A finished recording, a wav file of 8 kHz, 16 bit, mono."""

    path: Path
    seconds: float
    ended_by: EndedBy
    key: str = ""
    heard: bool = True  # whether there is anything in it but the line's own noise
    cut_short: bool = False  # a disk failed, and the end is lost
    keep: Callable[[], object] | None = None  # a disk fails: to be tried again until it is well


class Refusal(StrEnum):
    """How an unanswered call is turned away."""

    BUSY = "busy"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"


class Outcome(StrEnum):
    """Why a call that we placed was not answered; words of the carrier's protocol."""

    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"


class NotAnsweredError(Exception):
    """Nobody took the call; carries the outcome and the SIP code, 0 if there was none."""

    def __init__(self, outcome: Outcome, sip_code: int = 0) -> None:
        super().__init__(f"{outcome} ({sip_code})")
        self.outcome = outcome
        self.sip_code = sip_code


class LegGoneError(Exception):
    """The line was lost before the act could begin."""


class Leg(Protocol):
    """Every act returns early when the line is lost; `gone` tells which it was."""

    caller: str  # as the trunk wrote it, "anonymous" when it was withheld
    keys: Keys
    gone: asyncio.Event

    async def answer(self) -> None:
        """Pick up; nothing if that was done. Raises LegGoneError."""

    async def refuse(self, how: Refusal) -> None:
        """Turn an unanswered call away."""

    async def play(self, sound: Sound, *, stop_on_key: bool) -> None:
        """Return when all was heard, or at once when a key goes down and may stop it."""

    async def repeat(self, sound: Sound) -> None:
        """Play it over and over until cancelled."""

    async def record(self, path: Path, limits: TakeLimits) -> Take:
        """Keep what the person says; raises OSError when it cannot be kept."""

    async def join(self, other: "Leg") -> None:
        """Let the two talk until either line is gone."""

    async def hang_up(self) -> None:
        """End the call, answered or not; nothing if it has ended."""


class Engine(Protocol):
    """What speaks to telephones."""

    on_ring: Callable[[Leg], None]  # somebody rings; must not block

    async def salvage(self, folder: Path) -> None:
        """Before the start: put raw recordings that a crash left elsewhere into `folder`."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def live(self) -> int:
        """How many calls there are now."""

    @property
    def well(self) -> bool:
        """Whether calls can come and go: Asterisk answers, the trunk knows us."""

    def reaches(self, number: str) -> bool:
        """Whether there is a way to a number, as this line dials it."""

    async def dial(
        self, number: str, caller_id: str, ring_seconds: float, on_ringing: Callable[[], None]
    ) -> Leg:
        """Ring `number`, as this line dials it; raises NotAnsweredError. Cancelling stops the ringing."""
