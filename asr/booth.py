"""The room where recordings are listened to: whatever is in one, only the room is lost.

Decoders and Kaldi are C and C++ that abort, loop or grow on some inputs. So a recording is decoded and heard in a
forked child under limits; the caller gets a transcript with a plain outcome in every case.
"""

import json
import logging
from dataclasses import replace
from pathlib import Path
from threading import Lock

from asr import audio, isolation
from asr.recognizer import Recognizer
from asr.transcript import Outcome, Transcript

log = logging.getLogger(__name__)

TRIES = 2  # a killed child may have met a busy machine; twice is the recording
LONGEST_SECONDS = 300.0  # messages end at 180 s; a carrier's own limit may be later
LEAST_SPEECH_SECONDS = 0.2  # one syllable
RATE_WITHOUT_MODEL_HZ = 8000  # lengths can be measured at the telephone's own rate


class Booth:
    """One seat for listening, with a recogniser or without; threads take it in turns."""

    def __init__(
        self,
        recognizer: Recognizer | None,
        *,
        max_wall_seconds: float,
        max_memory_bytes: int,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._model = recognizer.name if recognizer else ""
        self._seat = Lock()
        # No method of its own is handed in: a booth that nobody holds any more ends its child at once.
        self._room = isolation.Room(
            lambda recording, send: _listen(
                Path(json.loads(recording)), recognizer, longest_seconds, send
            ),
            max_wall_seconds=max_wall_seconds,
            max_memory_bytes=max_memory_bytes,
        )

    def transcribe(self, recording: Path) -> Transcript:
        """Listen to a recording; never raises for what is in it.

        A death or a time-out is tried once more, so the whole takes at most twice `max_wall_seconds`. The lengths
        are measured also without a model, and kept where the recogniser died after the decoder had finished.
        """
        audio.rehearse()
        best = Transcript(Outcome.GAVE_UP, model=self._model)
        for attempt in range(1, TRIES + 1):
            with self._seat:
                report = self._room.ask(json.dumps(str(recording.absolute())))
            if report.lines:
                best = Transcript.from_json(report.lines[-1])
            if report.death is None:
                return best
            log.warning(
                "recording %s, try %d of %d: %s", recording.name, attempt, TRIES, report.death
            )
            best = replace(best, outcome=Outcome.GAVE_UP, note=report.death)
        return best

    def open(self) -> None:
        """Have the child ready before the first recording."""
        audio.rehearse()
        self._room.open()

    def close(self) -> None:
        self._room.close()


def _listen(
    recording: Path, recognizer: Recognizer | None, longest_seconds: float, send: isolation.Send
) -> None:
    """Be in the booth: send one transcript after the other, each saying more."""
    name = recognizer.name if recognizer else ""
    rate_hz = recognizer.rate_hz if recognizer else RATE_WITHOUT_MODEL_HZ
    try:
        sound = audio.read(recording, rate_hz=rate_hz, max_seconds=longest_seconds)
    except audio.Unreadable as error:
        send(Transcript(Outcome.UNREADABLE, model=name, note=error.reason).to_json())
        return
    # What stands if the next line never comes.
    send(measured(Outcome.GAVE_UP, sound, name).to_json())
    if sound.speech_seconds < LEAST_SPEECH_SECONDS:
        send(measured(Outcome.SILENT, sound, name).to_json())
    elif recognizer is None:
        send(measured(Outcome.NO_MODEL, sound, name).to_json())
    else:
        send(recognizer.transcribe(sound).to_json())


def measured(outcome: Outcome, sound: audio.Sound, model: str) -> Transcript:
    """Give a transcript without words, that still says how long the recording is and how much of it is speech."""
    seconds, speech_seconds = round(sound.seconds, 3), round(sound.speech_seconds, 3)
    return Transcript(outcome, seconds=seconds, speech_seconds=speech_seconds, model=model)
