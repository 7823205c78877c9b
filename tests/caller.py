"""People on the phone: residents who ring, volunteers who pick up, residents who are rung back.

The language of the tests: `grandma.dials(); grandma.hears(); grandma.presses("1")`.
Each act first hears out what is being said, unless it says otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from carriers.call import Call, ScriptError, words_of
from carriers.document import Gather, Record, Sound, Words
from carriers.sound import tone

if TYPE_CHECKING:
    from carriers.company import Company

RINGING_SECONDS = 8.0  # before a resident has come to the phone


class OnThePhone:
    """Whoever is connected with the service."""

    company: Company
    call: Call

    def hears(self) -> list[str]:
        """What is heard since this person's last act: texts, and sounds as ♪name."""
        self.call.listen()
        return words_of(self.call.heard)

    def heard(self) -> list[Words | Sound]:
        self.call.listen()
        return list(self.call.heard)

    def silence_seconds(self) -> float:
        """How long nothing is heard before the first word of this turn."""
        silent = 0.0
        for item in self.heard():
            if isinstance(item, Words):
                break
            measure = self.company.player.measure(item)
            silent += measure.silent_seconds
            if measure.silent_seconds < measure.seconds:
                break
        return silent

    @property
    def hung_up(self) -> bool:
        """The service (or this person) has ended the call."""
        self.call.listen()
        return self.call.over

    @property
    def asked_for_a_key(self) -> Gather | None:
        self.call.listen()
        return self.call.waiting if isinstance(self.call.waiting, Gather) else None

    @property
    def recorded(self) -> Record | None:
        """The recording that is running."""
        self.call.listen()
        return self.call.waiting if isinstance(self.call.waiting, Record) else None

    def presses(self, key: str, at_once: bool = False) -> Self:
        """Presses a key after the prompt, or `at_once`, in the middle of it."""
        self.call.press(key, at_once)
        return self

    def keeps_silent(self) -> Self:
        """Does nothing until the wait is over: in a menu, or after the last word of a message."""
        self.call.keep_silent()
        return self

    def says(self, words: str, seconds: float = 6, file: Path | None = None) -> Self:
        """Speaks after the beep; hanging up, a key or silence ends it."""
        self.call.speak(words, seconds, tone(seconds) if file is None else file.read_bytes())
        return self

    def says_nothing(self) -> Self:
        """Is silent after the beep until the recording ends by itself."""
        if self.recorded is None:
            raise ScriptError("nothing is recorded now")
        return self.keeps_silent()

    def hangs_up(self, after_seconds: float | None = None) -> Self:
        """Puts the phone down, after everything was said or in the middle of it."""
        self.call.hang_up(after_seconds)
        return self

    def volunteer_picks_up(self, press: str | None = None) -> Self:
        """The first phone that rings; `press` answers the whisper where there is one."""
        self.call.volunteer_answers(press)
        return self

    def volunteer_hears(self) -> list[str]:
        """What the volunteer heard before being connected."""
        return words_of(self.call.child.history) if self.call.child else []

    def volunteer_hangs_up(self, after_seconds: float = 60) -> Self:
        """After a talk; or at once, at the whisper, when nobody was connected."""
        if self.call.bridged:
            self.call.volunteer_hangs_up(after_seconds)
        else:
            self.call.volunteer_hangs_up_at_whisper()
        return self

    def volunteer_is_busy(self) -> Self:
        self.call.volunteer_does_not_answer("busy")
        return self

    def nobody_picks_up(self) -> Self:
        """One volunteer after the other does not answer, as long as the service tries."""
        self.call.volunteer_does_not_answer()
        while self.call.ringing:
            self.call.volunteer_does_not_answer()
        return self


class Caller(OnThePhone):
    """Somebody who rings us."""

    def __init__(self, company: Company, phone: str) -> None:
        self.company = company
        self.phone = phone

    def dials(self) -> Self:
        self.call = self.company.rings_us(self.phone)
        return self


class Called(OnThePhone):
    """Somebody whose phone rings because the service asked for it."""

    def __init__(self, company: Company, call: Call) -> None:
        self.company = company
        self.call = call

    @property
    def phone(self) -> str:
        return self.call.called

    @property
    def rings(self) -> bool:
        return self.call.status in ("queued", "ringing")

    def answers(self, after_seconds: float = RINGING_SECONDS) -> Self:
        self._rings(after_seconds)
        self.call.answer()
        return self

    def machine_answers(self) -> Self:
        """An answering machine: only where the company listens for one does it say so."""
        self._rings(RINGING_SECONDS)
        if self.call.asked.get("MachineDetection"):
            self.call.answered_by = "machine_start"
        self.call.answer()
        return self

    def busy(self) -> Self:
        return self._ends("busy")

    def no_answer(self) -> Self:
        self._rings(float(self.call.asked.get("Timeout", self.company.ring_seconds)))
        return self._ends("no-answer")

    def fails(self) -> Self:
        """The carrier could not place the call; it is nobody's fault in the house."""
        return self._ends("failed")

    def _rings(self, seconds: float) -> None:
        if not self.rings:
            raise ScriptError(f"the call is {self.call.status}: it does not ring")
        self.company.passes(seconds)

    def _ends(self, status: Literal["busy", "no-answer", "failed"]) -> Self:
        self._rings(0)
        self.call.end(status)
        self.company.delivers()
        return self
