"""The last thing that went wrong, kept in a small file: when, what kind, about which call. Nothing personal.

A file, because what goes wrong may be the database. Its text has no message of the error: that may
hold anything. The whole traceback is in the log, masked.
"""

import json
import logging
import traceback
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from structlog.contextvars import get_contextvars

from hotline import clock

FILE = "mishap.json"
ROOMS = ("hotline", "ivr", "asr", "tickets", "worker")
SUBJECTS = ("call", "ticket", "promise", "duty")


@dataclass(frozen=True, slots=True)
class Mishap:
    """One error: its kind, the place in our code, and what was being done."""

    at: str
    kind: str
    place: str
    about: str

    @property
    def when(self) -> datetime:
        return clock.local(datetime.fromisoformat(self.at))


class Notebook(logging.Handler):
    """Keeps the last logged traceback of every process of the house."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.ERROR)
        self._file = folder / FILE

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is None:
            return
        subject = get_contextvars()
        about = " ".join(f"{name} {subject[name]}" for name in SUBJECTS if subject.get(name))
        mishap = Mishap(clock.now().isoformat(timespec="seconds"), type(error).__name__, _place(error), about)  # fmt: skip
        aside = self._file.with_name(f"{FILE}.{record.process}.{record.thread}")
        try:
            aside.write_text(json.dumps(asdict(mishap), ensure_ascii=False))
            aside.replace(self._file)
        except OSError:  # a full disk: it is in the log at least
            self.handleError(record)


def keep(folder: Path) -> None:
    """From now on this process writes down its last error; after `logs.start`."""
    logging.getLogger().addHandler(Notebook(folder))


def last(folder: Path) -> Mishap | None:
    """What nobody has said they have seen."""
    try:
        return Mishap(**json.loads((folder / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def seen(folder: Path, at: str) -> bool:
    """Somebody has seen the one of that moment; a newer one stays."""
    known = last(folder)
    if known is None or known.at != at:
        return False
    (folder / FILE).unlink(missing_ok=True)
    return True


def _place(error: BaseException) -> str:
    """The last line of our own code that it passed through: tickets/limits.py:38"""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.parent.name in ROOMS or path.parent.parent.name in ROOMS:
            inner = path.parts[-3:] if path.parent.parent.name in ROOMS else path.parts[-2:]
            return f"{'/'.join(inner)}:{frame.lineno}"
    return ""
