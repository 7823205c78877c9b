"""A turn as TwiML of the portable subset: Say, Play, Gather, Record, Redirect, Hangup, Dial."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from hotline.config import Capability, Settings
from hotline.phone import Phone
from ivr import prompts
from ivr.engine import Await, End, Find, Menu, Pin, Record, Waiting

RECORD_ENDING_KEYS = "1234567890*#"
PIN_MOST_DIGITS = 12  # longer ones are for the page
PIN_WAIT_SECONDS = 6  # after the last digit: nobody is asked for a # (R5)

# What a turn says, as it is kept: {"prompt": id, "slots": {…}}, {"sound": name} or {"own": address}.
# A prompt may have a "set": the dialect or the slow speech it is recorded in.
Words = Sequence[Mapping[str, Any]]


class Voices(Protocol):
    """Knows which prompts a person of the neighbourhood has recorded."""

    def recorded(self, prompt: str, kept_in: str = "") -> bool: ...


class Spoken(NamedTuple):
    """One word as a carrier gets it: an address to play, or a text to say."""

    play: str = ""
    say: str = ""


class Scribe:
    """Writes TwiML documents for one house."""

    def __init__(self, settings: Settings, voices: Voices) -> None:
        self.settings = settings
        self.voices = voices
        # Most callers are asked the same few things: writing them out is half of answering.
        self._document = lru_cache(maxsize=512)(self._write)

    def ask(
        self,
        step: Waiting,
        words: Words,
        *,
        turn: int,
        ring: Mapping[str, Any] | None = None,
        slow: bool = False,
    ) -> str:
        """The document of one turn; `ring` names the volunteer to ring (phone, seconds, call), and
        who is `slow` has longer to find a key."""
        spoken = tuple(map(self._spoken, words))
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
            case Pin():
                gather = Gather(
                    action=answer, method="POST", num_digits=PIN_MOST_DIGITS,
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

    def whisper(self, call_id: int, turn: int, volunteer_id: int) -> str:
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
        self._say(
            gather, [self._spoken({"prompt": "I32", "slots": {"line": self.settings.line_name}})]
        )
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

    def apology(self, *, standalone: bool = False) -> str:
        """The line is broken. Stand-alone, it needs no file of ours, so that it can lie anywhere."""
        response = VoiceResponse()
        said = (
            Spoken(say=self.sorry())
            if standalone
            else self._spoken({"prompt": "I50", "slots": self._sorry_slots()})
        )
        self._say(response, [said])
        response.hangup()
        return str(response)

    def sorry(self) -> str:
        """The words of the apology, for who must say them without us."""
        return prompts.text("I50", self._sorry_slots())

    def _sorry_slots(self) -> dict[str, str]:
        return {"committee_phone": self._committee_phone()}

    def _committee_phone(self) -> str:
        if not self.settings.committee_phone:
            return self.settings.committee_place
        return prompts.spoken_digits(Phone(self.settings.committee_phone).dialled)

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

    def _spoken(self, word: Mapping[str, Any]) -> Spoken:
        if "sound" in word:
            return Spoken(play=self._url(f"sound/{word['sound']}.wav"))
        if "own" in word:
            return Spoken(play=word["own"])
        if not word["slots"] and self.voices.recorded(word["prompt"], word.get("set", "")):
            kept_in = {"set": quote(word["set"])} if word.get("set") else {}
            return Spoken(play=self._url(f"prompt/{word['prompt']}.wav", **kept_in))
        return Spoken(say=prompts.text(word["prompt"], word["slots"]))

    def _say(self, verb: VoiceResponse | Gather, spoken: Sequence[Spoken]) -> None:
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
