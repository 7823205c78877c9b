"""Prompts recorded by a person of the neighbourhood: wav files named after the prompt."""

from dataclasses import dataclass
from pathlib import Path

from ivr import prompts
from tickets.models import Dialect

PLAIN, SLOW = "", "slow"
# From what suits best to what everybody gets. A set's name is its folder.
PLACES = {PLAIN: (PLAIN,), SLOW: (SLOW, PLAIN)} | {
    name: tuple(dict.fromkeys((name, dialect.value, PLAIN)))
    for dialect in Dialect
    for name in (dialect.value, f"{dialect}/{SLOW}")
}


@dataclass(frozen=True, slots=True)
class RecordedPrompts:
    """A folder such as `prompts/`, holding I10.wav and its like: 8 kHz, mono, −19 dBov.

    A folder in it named after a dialect holds the same prompts in that dialect (R26), and `slow`
    in it or in that folder the same spoken slowly. What a set lacks is taken from a plainer one.
    """

    folder: Path

    def recorded(self, prompt: str, kept_in: str = "") -> bool:
        return self._file(prompt, kept_in) is not None

    def wav(self, prompt: str, kept_in: str = "") -> bytes:
        """Raises FileNotFoundError for what nobody has recorded."""
        if (file := self._file(prompt, kept_in)) is None:
            raise FileNotFoundError(prompt)
        return file.read_bytes()

    def _file(self, prompt: str, kept_in: str) -> Path | None:
        """The most fitting file there is. A set that is none of ours is the plain one."""
        if prompt not in prompts.SHEET or prompts.has_slots(prompt):
            return None
        files = (self.folder / place / f"{prompt}.wav" for place in PLACES.get(kept_in, (PLAIN,)))
        return next((file for file in files if file.is_file()), None)


def set_for(dialect: Dialect, slow: bool) -> str:
    """The set of prompts for a resident."""
    spoken = PLAIN if dialect is Dialect.MANDARIN else dialect.value
    return "/".join(filter(None, (spoken, SLOW if slow else "")))
