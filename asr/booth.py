"""The room where a recording is listened to: whatever is in it, only the room is lost.

Decoders and Kaldi are C and C++ that abort, loop or grow on some inputs. So each recording is decoded and heard in
a forked child under limits; the caller gets a transcript with a plain outcome in every case.
"""

import logging
from dataclasses import replace
from pathlib import Path

from asr import audio, isolation
from asr.recognizer import Recognizer
from asr.transcript import Outcome, Transcript

log = logging.getLogger(__name__)

TRIES = 2  # a killed child may have met a busy machine; twice is the recording
LONGEST_SECONDS = 300.0  # messages end at 180 s; a carrier's own limit may be later
LEAST_SPEECH_SECONDS = 0.2  # one syllable
RATE_WITHOUT_MODEL_HZ = 8000  # lengths can be measured at the telephone's own rate


def transcribe(
    recording: Path,
    recognizer: Recognizer | None,
    *,
    max_wall_seconds: float,
    max_memory_bytes: int,
    longest_seconds: float = LONGEST_SECONDS,
) -> Transcript:
    """Listen to a recording; never raises for what is in it.

    A death or a time-out is tried once more, so the whole takes at most twice `max_wall_seconds`. The lengths are
    measured also without a model, and kept where the recogniser died after the decoder had finished.
    """

    name = recognizer.name if recognizer else ""

    def listen(send: isolation.Send) -> None:
        rate_hz = recognizer.rate_hz if recognizer else RATE_WITHOUT_MODEL_HZ
        try:
            sound = audio.read(recording, rate_hz=rate_hz, max_seconds=longest_seconds)
        except audio.Unreadable as error:
            send(Transcript(Outcome.UNREADABLE, model=name, note=error.reason).to_json())
            return
        send(
            measured(Outcome.GAVE_UP, sound, name).to_json()
        )  # what stands if the next line never comes
        if sound.speech_seconds < LEAST_SPEECH_SECONDS:
            send(measured(Outcome.SILENT, sound, name).to_json())
        elif recognizer is None:
            send(measured(Outcome.NO_MODEL, sound, name).to_json())
        else:
            send(recognizer.transcribe(sound).to_json())

    audio.rehearse()
    best = Transcript(Outcome.GAVE_UP, model=name)
    for attempt in range(1, TRIES + 1):
        report = isolation.apart(
            listen, max_wall_seconds=max_wall_seconds, max_memory_bytes=max_memory_bytes
        )
        if report.lines:
            best = Transcript.from_json(report.lines[-1])
        if report.death is None:
            return best
        log.warning("recording %s, try %d of %d: %s", recording.name, attempt, TRIES, report.death)
        best = replace(best, outcome=Outcome.GAVE_UP, note=report.death)
    return best


def measured(outcome: Outcome, sound: audio.Sound, model: str) -> Transcript:
    """Give a transcript without words, that still says how long the recording is and how much of it is speech."""
    seconds, speech_seconds = round(sound.seconds, 3), round(sound.speech_seconds, 3)
    return Transcript(outcome, seconds=seconds, speech_seconds=speech_seconds, model=model)
