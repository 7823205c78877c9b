"""tmp"""

from pathlib import Path

from asr.recognizer import Recognizer
from asr.transcript import Outcome, Transcript


def transcribe(
    recording: Path,
    recognizer: Recognizer | None,
    *,
    max_wall_seconds: float,
    max_memory_bytes: int,
) -> Transcript:
    return Transcript(Outcome.NO_MODEL)
