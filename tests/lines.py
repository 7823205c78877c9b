"""The lines on which calls are tried: a company each, some with unreliable post."""

from collections.abc import Iterator
from contextlib import contextmanager

from carriers.company import Company
from carriers.somleng import Somleng
from carriers.twilio import Twilio

LINES: dict[str, tuple[type[Company], dict[str, object]]] = {
    "twilio": (Twilio, {}),
    "somleng": (Somleng, {}),
    "twilio-twice": (Twilio, {"repeats": True}),
    "somleng-shuffled": (Somleng, {"repeats": True, "shuffles": 2611}),
    "twilio-recording-lost": (Twilio, {"loses": {"recording"}}),
    "somleng-hangup-lost": (Somleng, {"loses": {"hangup action"}}),
}
LOSSY = frozenset(name for name, (_, options) in LINES.items() if "loses" in options)


@contextmanager
def open_line(name: str) -> Iterator[Company]:
    """The company behind a line, with its REST API serving; complains at the end if it had to."""
    kind, options = LINES[name]
    with kind(**options) as company:  # type: ignore[arg-type]
        yield company
