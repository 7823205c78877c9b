"""The demonstration model's own recordings, found by what is said in them."""

import json
import re
from functools import cache
from pathlib import Path

import asr

SAMPLES = Path(next(iter(asr.__path__))) / "model" / "samples"


def sample_of(words: str) -> Path | None:
    """The recording in which these words are said, if there is one."""
    return _recordings().get(_plain(words))


@cache
def _recordings() -> dict[str, Path]:
    told = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
    return {_plain(each["words"]): SAMPLES / each["file"] for each in told}


def _plain(words: str) -> str:
    return re.sub(r"[\s，。]", "", words)
