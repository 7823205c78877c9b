"""What the ear heard, and how sure it is of it."""

import json
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

UNHEARD = "〔听不清〕"
# How models write a word they do not have; nothing at all where their list of words was cut short.
FILLERS = frozenset({"", "[unk]", "<unk>", "<UNK>", "[UNK]"})

WEAK_CONFIDENCE = 0.6
# A text is shown as it is only if all of these hold; else its ticket says that the recording must be heard.
LEAST_CONFIDENCE = 0.8
# The demonstration model is sure of its one synthesiser, and too easily of people: of 7,500 recordings and
# pieces of their speech it was as sure as can be of seven characters once, and of eight never.
DEMO_LEAST_CONFIDENCE = 0.88
DOUBT = 1  # of a character, beside those heard: of a few that are surely there chance has many
MOST_WEAK_SHARE = 0.25  # one weak word in four
MOST_WEAK_SHARE_TO_TELL = 0.5  # beyond it, what a text is about would be told from chance words
MOST_UNHEARD_SHARE = 0.1  # words the model does not have are seldom alone
# Mandarin is spoken at 3 to 6 characters a second; far outside it a recogniser filled in or skipped.
PLAUSIBLE_CHARACTERS_PER_SECOND = (1.0, 10.0)

_LATIN_PAIR = re.compile(r"[0-9A-Za-z]$")
_LATIN_START = re.compile(r"^[0-9A-Za-z]")


class Outcome(StrEnum):
    """How the work on one recording ended."""

    HEARD = "heard"
    SILENT = "silent"
    UNREADABLE = "unreadable"
    NO_MODEL = "no_model"
    GAVE_UP = "gave_up"


@dataclass(frozen=True)
class Word:
    """One word as the recogniser gave it; times count from the start of the recording, confidence is 0 to 1."""

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float

    @property
    def weak(self) -> bool:
        return self.text in FILLERS or self.confidence < WEAK_CONFIDENCE


@dataclass(frozen=True)
class Transcript:
    """The text of a recording with the measures of its honesty.

    `trusted` False means: hear the recording. `note` is for the log: why it is unreadable, or of what the ear died.
    """

    outcome: Outcome
    text: str = ""
    words: tuple[Word, ...] = ()
    confidence: float = 0.0
    weak_share: float = 0.0
    characters_per_second: float = 0.0
    seconds: float = 0.0
    speech_seconds: float = 0.0
    model: str = ""
    trusted: bool = False
    demo: bool = False
    note: str = ""

    @property
    def telling(self) -> bool:
        """Whether enough was heard to say what it is about: by the demonstration model, only what it is trusted for."""
        return self.weak_share <= MOST_WEAK_SHARE_TO_TELL and (self.trusted or not self.demo)

    def to_json(self) -> str:
        # vars and not asdict, which copies every word deeply: a hundredth of what listening costs.
        return json.dumps(vars(self), default=vars, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        facts: dict[str, Any] = json.loads(text)
        words = tuple(Word(**word) for word in facts.pop("words"))
        return cls(outcome=Outcome(facts.pop("outcome")), words=words, **facts)


def heard(
    words: Sequence[Word],
    *,
    seconds: float,
    speech_seconds: float,
    model: str,
    demo: bool = False,
) -> Transcript:
    """Write the words out as a text and judge it. No words in what was speech is heard too, and not trusted."""
    words = tuple(words)
    # A filler has a confidence of its own, but what it is sure of is that it does not know.
    sure = [0.0 if word.text in FILLERS else word.confidence for word in words]
    confidence = sum(sure) / len(words) if words else 0.0
    weak_share = sum(word.weak for word in words) / len(words) if words else 0.0
    unheard_share = sum(word.text in FILLERS for word in words) / len(words) if words else 1.0
    # By characters, for chance finds short words; what was not heard was one at least.
    lengths = [1 if word.text in FILLERS else len(word.text) for word in words]
    sureness = sum(map(operator.mul, sure, lengths)) / (sum(lengths) + DOUBT)
    characters = sum(len(word.text) for word in words if word.text not in FILLERS)
    pace = characters / speech_seconds if speech_seconds > 0 else 0.0
    slowest, fastest = PLAUSIBLE_CHARACTERS_PER_SECOND
    return Transcript(
        outcome=Outcome.HEARD,
        text=written([word.text for word in words]),
        words=words,
        confidence=round(confidence, 4),
        weak_share=round(weak_share, 4),
        characters_per_second=round(pace, 2),
        seconds=round(seconds, 3),
        speech_seconds=round(speech_seconds, 3),
        model=model,
        demo=demo,
        trusted=sureness >= (DEMO_LEAST_CONFIDENCE if demo else LEAST_CONFIDENCE)
        and weak_share <= MOST_WEAK_SHARE
        and unheard_share <= MOST_UNHEARD_SHARE
        and slowest <= pace <= fastest,
    )


def written(words: Sequence[str]) -> str:
    """Join words as Chinese is written: a space only between two words of Latin letters or digits."""
    text = ""
    for word in (UNHEARD if each in FILLERS else each for each in words):
        if word == UNHEARD and text.endswith(UNHEARD):
            continue
        text += " " + word if _LATIN_PAIR.search(text) and _LATIN_START.search(word) else word
    return text
