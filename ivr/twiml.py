"""A turn as TwiML of the portable subset: Say, Play, Gather, Record, Redirect, Hangup, Dial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from hotline.config import Capability, Settings
from hotline.phone import Phone
from ivr import prompts
from ivr.engine import End, Find, Menu, Pin, Record, Waiting

RECORD_ENDING_KEYS = "1234567890*#"
PIN_MOST_DIGITS = 12  # longer ones are for the page
PIN_WAIT_SECONDS = 6  # after the last digit: nobody is asked for a # (R5)

# What a turn says, as it is kept: {"prompt": id, "slots": {…}}, {"sound": name} or {"own": address}.
Words = Sequence[Mapping[str, Any]]


class Voices(Protocol):
    """Knows which prompts a person of the neighbourhood has recorded."""

    def recorded(self, prompt: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes TwiML documents for one house."""

    settings: Settings
    voices: Voices

    def ask(
        self, step: Waiting, words: Words, *, turn: int, ring: Mapping[str, Any] | None = None
    ) -> str:
        """The document of one turn; `ring` names the volunteer to ring (phone, seconds, call)."""
        response = VoiceResponse()
        answer = self._url("turn", turn=turn)
        match step:
            case Menu():
                gather = Gather(
                    action=answer,
                    method="POST",
                    num_digits=1,
                    timeout=self._wait(step),
                    finish_on_key="",
                )
                self._say(gather, words)
                response.append(gather)
                response.redirect(f"{answer}&silent=1", method="POST")
            case Record():
                self._say(response, words)
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
                self._say(gather, words)
                response.append(gather)
                response.redirect(f"{answer}&silent=1", method="POST")
            case Find():
                self._say(response, words)
                self._dial(response, answer, turn, ring)
            case End():
                self._say(response, words)
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
        self._say(gather, [{"prompt": "I32", "slots": {"line": self.settings.line_name}}])
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
        slots = {"committee_phone": self._committee_phone()}
        if standalone:
            self._speak(response, prompts.text("I50", slots))
        else:
            self._say(response, [{"prompt": "I50", "slots": slots}])
        response.hangup()
        return str(response)

    def _committee_phone(self) -> str:
        if not self.settings.committee_phone:
            return self.settings.committee_place
        return prompts.spoken_digits(Phone(self.settings.committee_phone).dialled)

    def _dial(
        self, response: VoiceResponse, answer: str, turn: int, ring: Mapping[str, Any] | None
    ) -> None:
        if ring is None:
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

    def _say(self, verb: VoiceResponse | Gather, words: Words) -> None:
        for word in words:
            if "sound" in word:
                verb.play(self._url(f"sound/{word['sound']}.wav"))
            elif "own" in word:
                verb.play(word["own"])
            elif not word["slots"] and self.voices.recorded(word["prompt"]):
                verb.play(self._url(f"prompt/{word['prompt']}.wav"))
            else:
                self._speak(verb, prompts.text(word["prompt"], word["slots"]))

    def _speak(self, verb: VoiceResponse | Gather, text: str) -> None:
        voice = {"voice": self.settings.speech_voice} if self.settings.speech_voice else {}
        verb.say(text, language=self.settings.speech_language, **voice)

    def _wait(self, step: Menu) -> int:
        return (
            self.settings.opening_wait_seconds
            if step.wait == "opening"
            else self.settings.menu_wait_seconds
        )

    def _url(self, path: str, **query: object) -> str:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{self.settings.public_url}/ivr/{path}" + (f"?{asked}" if asked else "")
