"""Every written call, on every line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from books import House
from carriers.company import Company
from grammar import Transcript, read
from lines import LINES, LOSSY, open_line
from transcript import Player

TRANSCRIPTS = [read(path) for path in sorted((Path(__file__).parent / "transcripts").glob("*.txt"))]


def takes_place(transcript: Transcript, line: str) -> bool:
    """Lost post is tried where it would have told of a recording."""
    kind, _ = LINES[line]
    records = any("录音 " in written.what for written in transcript.lines)
    return transcript.needs <= kind.capabilities and (records or line not in LOSSY)


CALLS = [
    pytest.param(line, transcript, id=f"{line}-{transcript.name}")
    for line in LINES
    for transcript in TRANSCRIPTS
    if takes_place(transcript, line)
]


@pytest.fixture
def company(request: pytest.FixtureRequest) -> Iterator[Company]:
    with open_line(request.param) as company:
        yield company


@pytest.mark.parametrize(("company", "transcript"), CALLS, indirect=["company"])
def test_call(house: House, company: Company, transcript: Transcript) -> None:
    Player(house, company).play(transcript)


def test_there_are_transcripts_and_each_has_a_title_of_its_own() -> None:
    titles = {transcript.title for transcript in TRANSCRIPTS}
    assert len(titles) == len(TRANSCRIPTS) >= 60
    assert all(titles)
