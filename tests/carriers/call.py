"""One call at the company: plays the service's documents to the person on the phone, step by step.

Time is virtual and nothing happens by itself: `listen` plays on until the person has to do
something, and each act of the person (a key, silence, speech, hanging up) moves the call on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from carriers.document import (
    Dial,
    Gather,
    Hangup,
    Record,
    Redirect,
    Reject,
    Sound,
    Unknown,
    Verb,
    Words,
)

if TYPE_CHECKING:
    from carriers.company import Company

MAX_DOCUMENTS_WITHOUT_AN_ACT = 20
PICK_UP_SECONDS = 5.0
HURRY_SECONDS = 0.5  # how long somebody listens who knows the key already

Ending = Literal["key", "silence", "hangup", "length"]


class ScriptError(AssertionError):
    """The script lets a person do what cannot be done at this point of the call."""


@dataclass(eq=False)
class Call:
    company: Company
    sid: str
    caller: str
    called: str
    direction: str
    status: str = "ringing"
    parent: Call | None = None
    answered_by: str = ""
    asked: dict[str, str] = field(default_factory=dict)  # what the service asked the REST API for

    created: datetime = field(init=False)
    waiting: Gather | Record | Dial | None = None
    heard: list[Words | Sound] = field(default_factory=list)  # since the last act
    history: list[Words | Sound] = field(default_factory=list)  # since the beginning
    child: Call | None = None  # the leg to the volunteer
    bridged: bool = False
    rung_seconds: float = 0.0  # how long volunteers' phones rang, in all
    seconds: float = 0.0  # since it was answered

    _verbs: deque[Verb] = field(default_factory=deque)
    _interruptible: bool = False
    _spoken_seconds: float = 0.0
    _words: list[str] = field(default_factory=list)
    _sounds: list[bytes] = field(default_factory=list)
    _documents: int = 0

    def __post_init__(self) -> None:
        self.created = self.company.now()

    @property
    def over(self) -> bool:
        return self.status not in ("queued", "ringing", "in-progress")

    @property
    def said_something(self) -> bool:
        return self._spoken_seconds > 0

    @property
    def ringing(self) -> bool:
        """A volunteer's phone rings."""
        return isinstance(self.waiting, Dial) and not self.bridged

    # What the person does

    def answer(self) -> None:
        """The person who was rung picks up."""
        self.status = "in-progress"
        self.start(self.asked["Url"], self.asked.get("Method", "POST"))

    def start(self, url: str, method: str = "POST") -> None:
        self._go(url, method)
        self._settle()

    def listen(self, patience_seconds: float | None = None) -> None:
        """Hears everything until there is something to do; or until patience is used up."""
        self._plays(patience_seconds)
        if self.over:
            self.company.delivers()

    def _plays(self, patience_seconds: float | None) -> None:
        left = patience_seconds
        while not self.over and self.waiting is None and not self.bridged:
            if not self._verbs:
                self._document_ends()
                return
            verb = self._verbs[0]
            if isinstance(verb, Words | Sound):
                seconds = self.company.player.seconds_of(verb)
                if left is not None and seconds > left:
                    self._passes(left)
                    return
                left = None if left is None else left - seconds
                self._passes(seconds)
                self.heard.append(verb)
                self.history.append(verb)
            self._verbs.popleft()
            self._step(verb)

    def press(self, key: str, at_once: bool = False) -> None:
        if at_once:
            self._listen_until_interruptible()
        else:
            self.listen()
        match self.waiting:
            case Gather() as gather:
                self._act()
                self._go(gather.action, "POST", {"Digits": key})
            case Record() as record if key in record.finish_keys:
                self._recording_ends("key", key)
            case Record():
                self._passes(HURRY_SECONDS)
            case Dial():
                pass  # nobody listens for keys while it rings
            case None:
                raise ScriptError(f"{key} pressed, but the call is over")
        self._settle()

    def keep_silent(self) -> None:
        self.listen()
        match self.waiting:
            case Gather() as gather:
                self._act()
                self._passes(gather.timeout_seconds)
            case Record() as record:
                self._passes(record.silence_seconds)
                self._recording_ends("silence", "")
            case Dial():
                raise ScriptError("silence while the phones of volunteers ring: say who picks up")
            case None:
                raise ScriptError("silence, but the call is over")
        self._settle()

    def speak(self, words: str, seconds: float, sound: bytes) -> None:
        """Speaks after the beep; the next act (key, silence, hanging up) ends the recording."""
        self.listen()
        if not isinstance(self.waiting, Record):
            raise ScriptError(f"「{words}」 is said, but nothing is recorded now")
        room = self.waiting.max_seconds - self._spoken_seconds
        self._passes(min(seconds, room))
        self._spoken_seconds += min(seconds, room)
        self._words.append(words)
        self._sounds.append(sound)
        if seconds >= room:
            self._recording_ends("length", "")
            self._settle()

    def hang_up(self, after_seconds: float | None = None) -> None:
        self.listen(after_seconds)
        if self.over:
            return
        match self.waiting:
            case Record():
                self._recording_ends("hangup", "")
            case Dial() as dial:
                if self.child is not None and not self.child.over:
                    self.child.end("completed")
                self.company.hung_up_while_dialling(self, dial)
        if not self.over:
            self.end("completed")
        self.company.delivers()

    # What volunteers do

    def volunteer_answers(self, key: str | None) -> None:
        """The first phone of the Dial is picked up; where there is a whisper, `key` answers it."""
        dial = self._ringing()
        number = dial.numbers[0]
        self._rings(min(PICK_UP_SECONDS, dial.timeout_seconds))
        child = self.company.leg(self, dial.caller_id, number.phone)
        self.child = child
        child.status = "in-progress"
        if not number.whisper_url:
            child.bridged = True
        else:
            child.start(number.whisper_url)
            if key is not None:
                child.press(key)
            child.listen()
            while not (child.over or child.bridged):
                child.keep_silent()
                child.listen()
        if child.bridged:
            self.bridged = True
        else:
            self._dial_ends("completed", child)

    def volunteer_hangs_up(self, after_seconds: float = 60.0) -> None:
        if not (self.bridged and self.child):
            raise ScriptError("no volunteer is on the line")
        self._passes(after_seconds)
        self.child.seconds += after_seconds
        self.child.end("completed")
        self.bridged = False
        self._dial_ends("completed", self.child)

    def volunteer_hangs_up_at_whisper(self) -> None:
        """Picked up and put down before a key: without a whisper this is a very short talk."""
        dial = self._ringing()
        self._rings(min(PICK_UP_SECONDS, dial.timeout_seconds))
        self.child = self.company.leg(self, dial.caller_id, dial.numbers[0].phone)
        self.child.status = "in-progress"
        if dial.numbers[0].whisper_url:
            self.child.start(dial.numbers[0].whisper_url)
        self._passes(2)
        self.child.seconds += 2
        self.child.end("completed")
        self._dial_ends("completed", self.child)

    def volunteer_does_not_answer(self, status: str = "no-answer") -> None:
        dial = self._ringing()
        self._rings(dial.timeout_seconds if status == "no-answer" else 1)
        self._dial_ends(status, None)

    # How it goes on

    def end(self, status: str) -> None:
        self.status = status
        self.waiting = None
        self._verbs.clear()
        self.company.call_ended(self)

    def take_recording(self) -> tuple[float, list[str], list[bytes]]:
        """What was said since the beep: seconds, words, sounds."""
        taken = (self._spoken_seconds, self._words, self._sounds)
        self._spoken_seconds, self._words, self._sounds = 0.0, [], []
        return taken

    def go_on(self, url: str, extra: dict[str, str]) -> None:
        self._go(url, "POST", extra)

    def _step(self, verb: Verb) -> None:
        match verb:
            case Words() | Sound():
                pass
            case Gather() if verb.asks:
                self._verbs.extendleft(reversed([*verb.asks, replace(verb, asks=())]))
                self._interruptible = True
            case Gather():
                self.waiting = verb
            case Record():
                self.company.player.checks_beep(self.heard)
                self.waiting = verb
            case Dial():
                if self.parent is not None:
                    self.company.complains("a whisper cannot <Dial>")
                self.waiting = verb
            case Redirect():
                self._go(verb.url, verb.method)
            case Hangup():
                self.end("completed")
            case Reject():
                self.end("busy" if verb.reason == "busy" else "failed")
            case Unknown():
                self.company.unknown_verb(self, verb.name)

    def _document_ends(self) -> None:
        if self.parent is not None:
            self.bridged = True  # the whisper is over and nobody hung up: the two are connected
        else:
            self.end("completed")

    def _go(self, url: str, method: str, extra: dict[str, str] | None = None) -> None:
        self._documents += 1
        if self._documents > MAX_DOCUMENTS_WITHOUT_AN_ACT:
            raise ScriptError("the documents go round in circles")
        self.waiting = None
        self._interruptible = False
        self._verbs = deque(self.company.fetch(self, url, method, extra or {}))

    def _act(self) -> None:
        """Somebody did something: what is heard from now on is a new turn."""
        self.heard = []
        self.waiting = None
        self._interruptible = False
        self._documents = 0

    def _settle(self) -> None:
        """What takes no time happens at once; then the post comes."""
        if not self.over and self.waiting is None:
            self.listen(patience_seconds=0)
        self.company.delivers()

    def _listen_until_interruptible(self) -> None:
        while not (self.over or self.waiting or self._interruptible):
            verb = self._verbs[0] if self._verbs else None
            if isinstance(verb, Gather):
                self._verbs.popleft()
                self._step(verb)
            elif isinstance(verb, Words | Sound):
                self.listen(self.company.player.seconds_of(verb))
            else:
                self.listen(0)
        if self._interruptible and self.waiting is None:
            self._passes(HURRY_SECONDS)
            while isinstance(self._verbs[0], Words | Sound):
                self._verbs.popleft()
            self.listen(0)

    def _recording_ends(self, ending: Ending, key: str) -> None:
        record = self.waiting
        assert isinstance(record, Record)
        self._act()
        self.company.recording_ends(self, record, ending, key)

    def _ringing(self) -> Dial:
        self.listen()
        if not isinstance(self.waiting, Dial) or self.bridged:
            raise ScriptError("no volunteer's phone rings now")
        return self.waiting

    def _rings(self, seconds: float) -> None:
        self._passes(seconds)
        self.rung_seconds += seconds

    def _dial_ends(self, status: str, child: Call | None) -> None:
        dial = self.waiting
        assert isinstance(dial, Dial)
        self._act()
        self._go(dial.action, "POST", self.company.dial_result(status, child))
        self._settle()

    def _passes(self, seconds: float) -> None:
        self.seconds += seconds
        if self.parent is not None:
            self.parent.seconds += seconds
        self.company.passes(seconds)


def words_of(heard: Iterable[Words | Sound]) -> list[str]:
    """Text of what was said; a played sound as ♪ and its name."""
    return [item.text if isinstance(item, Words) else f"♪{item.name}" for item in heard]
