"""What the ear reports of one recording. Pure data."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    HEARD = "heard"
    SILENT = "silent"
    UNREADABLE = "unreadable"
    NO_MODEL = "no_model"
    GAVE_UP = "gave_up"


@dataclass(frozen=True)
class Word:
    text: str
    start_seconds: float
    end_seconds: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
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
