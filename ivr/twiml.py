"""A turn as TwiML of the portable subset: Say, Play, Gather, Record, Redirect, Hangup, Dial."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain, groupby
from typing import Any, NamedTuple, Protocol

from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from hotline.config import Capability, Settings
from ivr import parts, prompts
from ivr.parts import Piece
from ivr.steps import Await, End, Find, Menu, Number, Pin, Record, Waiting
from ivr.voices import Voice

RECORD_ENDING_KEYS = "1234567890*#"
PIN_MOST_DIGITS = 12  # longer ones are for the page
PIN_WAIT_SECONDS = 6  # after the last digit: nobody is asked for a # (R5)

# What a turn says, as it is kept: {"prompt": id, "slots": {…}}, {"sound": name} or {"own": address}.
# A prompt may have a "set": the dialect or the slow speech it is recorded in.
Words = Sequence[Mapping[str, Any]]


class Voices(Protocol):
    """Knows which parts of a prompt a person of the neighbourhood speaks at an instant."""

    def voices(self, prompt: str, kept_in: str, at: datetime) -> Mapping[int, Voice]: ...


class Spoken(NamedTuple):
    """One word as a carrier gets it: an address to play, or a text to say."""

    play: str = ""
    say: str = ""


class Scribe:
    """Writes TwiML documents for one house."""

    def __init__(self, settings: Settings, voices: Voices) -> None:
        self.settings = settings
        self.voices = voices
        self._of_house = parts.of_house(settings)
        self._words = parts.words(settings)
        # Most callers are asked the same few things: writing them out is half of answering.
        self._document = lru_cache(maxsize=512)(self._write)

    def ask(
        self,
        step: Waiting,
        words: Words,
        *,
        turn: int,
        at: datetime,
        ring: Mapping[str, Any] | None = None,
        slow: bool = False,
    ) -> str:
        """The document of one turn, asked at an instant; `ring` names the volunteer to ring (phone,
        seconds, call), and who is `slow` has longer to find a key."""
        spoken = tuple(chain.from_iterable(self._spoken(word, at) for word in words))
        return self._document(step, spoken, turn, tuple(ring.items()) if ring else (), slow)

    def _write(
        self,
        step: Waiting,
        spoken: Sequence[Spoken],
        turn: int,
        ring: Sequence[tuple[str, Any]],
        slow: bool,
    ) -> str:
        response = VoiceResponse()
        answer = self._url("turn", turn=turn)
        match step:
            case Menu():
                gather = Gather(
                    action=answer,
                    method="POST",
                    num_digits=1,
                    timeout=self._wait(step, slow),
                    finish_on_key="",
                )
                self._say(gather, spoken)
                response.append(gather)
                response.redirect(f"{answer}&silent=1", method="POST")
            case Record():
                self._say(response, spoken)
                response.record(
                    action=answer, method="POST", max_length=self.settings.message_max_seconds,
                    timeout=self.settings.message_silence_seconds, finish_on_key=RECORD_ENDING_KEYS,
                    play_beep=False, trim="do-not-trim",
                    recording_status_callback=self._url("recording", turn=turn),
                )  # fmt: skip
                response.redirect(f"{answer}&empty=1", method="POST")
            case Pin() | Number():
                digits = PIN_MOST_DIGITS if isinstance(step, Pin) else parts.NUMBER_DIGITS
                gather = Gather(
                    action=answer, method="POST", num_digits=digits,
                    timeout=PIN_WAIT_SECONDS, finish_on_key="",
                )  # fmt: skip
                self._say(gather, spoken)
                response.append(gather)
                response.redirect(f"{answer}&silent=1", method="POST")
            case Find():
                self._say(response, spoken)
                self._dial(response, answer, turn, dict(ring))
            case Await():
                self._say(response, spoken)
                response.redirect(answer, method="POST")
            case End():
                self._say(response, spoken)
                response.hangup()
        return str(response)

    def whisper(self, call_id: int, turn: int, volunteer_id: int, at: datetime) -> str:
        """What only the volunteer hears before taking a call."""
        response = VoiceResponse()
        where = self._url("whisper", call=call_id, turn=turn, who=volunteer_id)
        gather = Gather(
            action=where,
            method="POST",
            num_digits=1,
            timeout=self.settings.menu_wait_seconds,
            finish_on_key="",
        )
        self._say(gather, self._prompt("I32", at, self._of_house))
        response.append(gather)
        response.redirect(f"{where}&silent=1", method="POST")
        return str(response)

    def nothing(self) -> str:
        """An empty document: a whispered volunteer is put through by it."""
        return str(VoiceResponse())

    def hang_up(self) -> str:
        response = VoiceResponse()
        response.hangup()
        return str(response)

    def apology(self, at: datetime | None = None) -> str:
        """The line is broken. Without an instant it needs no file of ours, so that it can lie anywhere."""
        response = VoiceResponse()
        self._say(
            response, self._prompt("I50", at, self._of_house) if at else [Spoken(say=self.sorry())]
        )
        response.hangup()
        return str(response)

    def sorry(self) -> str:
        """The words of the apology, for who must say them without us."""
        return prompts.text("I50", self._of_house)

    def _dial(
        self, response: VoiceResponse, answer: str, turn: int, ring: Mapping[str, Any]
    ) -> None:
        if not ring:
            response.redirect(f"{answer}&untaken=1", method="POST")
            return
        able = self.settings.capabilities
        options: dict[str, Any] = {"action": answer, "method": "POST", "timeout": ring["seconds"]}
        if self.settings.line_number:
            options["caller_id"] = self.settings.line_number
        if Capability.ANSWER_ON_BRIDGE in able:
            options["answer_on_bridge"] = True
        dial = Dial(**options)
        whisper = self._url("whisper", call=ring["call"], turn=turn, who=ring["who"])
        dial.number(
            ring["phone"],
            **(
                {"url": whisper, "method": "POST"}
                if Capability.WHISPER in able and ring["who"] is not None
                else {}
            ),
        )
        response.append(dial)

    def _spoken(self, word: Mapping[str, Any], at: datetime) -> Iterable[Spoken]:
        if "sound" in word:
            return (Spoken(play=self._url(f"sound/{word['sound']}.wav")),)
        if "own" in word:
            return (Spoken(play=word["own"]),)
        return self._prompt(word["prompt"], at, word["slots"], word.get("set", ""))

    def _prompt(
        self, prompt: str, at: datetime, slots: Mapping[str, str], kept_in: str = ""
    ) -> Iterable[Spoken]:
        """The parts that a person has recorded are played, what is between them is said at one go."""
        voices = self.voices.voices(prompt, kept_in, at)
        if not voices:
            return (Spoken(say=prompts.text(prompt, slots)),)
        slots = {**self._of_house, **slots}

        def played(piece: Piece) -> str:
            voice = voices.get(piece.part)  # words that have changed since are not played
            fits = voice is not None and voice.words == self._words[prompt, piece.part]
            return self._url(f"prompt/{voice.sha256}.wav") if voice and fits else ""

        def pieces() -> Iterator[Spoken]:
            for url, run in groupby(parts.PIECES[prompt], played):
                if url:
                    yield from (Spoken(play=url) for _ in run)
                else:
                    said = "".join(piece.template for piece in run)
                    yield Spoken(say=prompts.filled(said, slots))

        return pieces()

    def _say(self, verb: VoiceResponse | Gather, spoken: Iterable[Spoken]) -> None:
        voice = {"voice": self.settings.speech_voice} if self.settings.speech_voice else {}
        for word in spoken:
            if word.play:
                verb.play(word.play)
            else:
                verb.say(word.say, language=self.settings.speech_language, **voice)

    def _wait(self, step: Menu, slow: bool) -> int:
        """R12; whoever is spoken to slowly has so much longer."""
        settings = self.settings
        usual = settings.opening_wait_seconds if step.wait == "opening" else settings.menu_wait_seconds  # fmt: skip
        return usual + (settings.slow_wait_more_seconds if slow else 0)

    def _url(self, path: str, **query: object) -> str:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{self.settings.public_url}/ivr/{path}" + (f"?{asked}" if asked else "")
