"""Every written call, through every telephone company."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from books import House
from carriers.company import Company
from carriers.somleng import Somleng
from carriers.twilio import Twilio
from grammar import Transcript, read
from transcript import Player

TRANSCRIPTS = [read(path) for path in sorted((Path(__file__).parent / "transcripts").glob("*.txt"))]
LINES: dict[str, tuple[type[Company], dict[str, object]]] = {
    "twilio": (Twilio, {}),
    "somleng": (Somleng, {}),
    "twilio-twice": (Twilio, {"repeats": True}),
    "somleng-shuffled": (Somleng, {"repeats": True, "shuffles": 2611}),
    "twilio-recording-lost": (Twilio, {"loses": {"recording"}}),
    "somleng-hangup-lost": (Somleng, {"loses": {"hangup action"}}),
}


def takes_place(transcript: Transcript, line: str) -> bool:
    """Lost post is tried where it would have told of a recording."""
    kind, options = LINES[line]
    records = any("录音 " in written.what for written in transcript.lines)
    return transcript.needs <= kind.capabilities and (records or "loses" not in options)


CALLS = [
    pytest.param(line, transcript, id=f"{line}-{transcript.name}")
    for line in LINES
    for transcript in TRANSCRIPTS
    if takes_place(transcript, line)
]


@pytest.fixture
def company(request: pytest.FixtureRequest) -> Iterator[Company]:
    kind, options = LINES[request.param]
    with kind(**options) as company:  # type: ignore[arg-type]
        yield company


@pytest.mark.parametrize(("company", "transcript"), CALLS, indirect=["company"])
def test_call(house: House, company: Company, transcript: Transcript) -> None:
    Player(house, company).play(transcript)


def test_there_are_transcripts_and_each_has_a_title() -> None:
    assert len(TRANSCRIPTS) >= 60
    assert all(transcript.title for transcript in TRANSCRIPTS)
    titles = [transcript.title for transcript in TRANSCRIPTS]
    assert len(set(titles)) == len(titles)
