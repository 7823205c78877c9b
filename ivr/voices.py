"""Prompts recorded by a person of the neighbourhood: wav files named after the prompt."""

from dataclasses import dataclass
from pathlib import Path

from ivr import prompts


@dataclass(frozen=True, slots=True)
class RecordedPrompts:
    """A folder such as `prompts/`, holding I10.wav and its like: 8 kHz, mono, −19 dBov."""

    folder: Path

    def recorded(self, prompt: str) -> bool:
        return (
            prompt in prompts.SHEET
            and not prompts.has_slots(prompt)
            and self._file(prompt).is_file()
        )

    def wav(self, prompt: str) -> bytes:
        return self._file(prompt).read_bytes()

    def _file(self, prompt: str) -> Path:
        return self.folder / f"{prompt}.wav"
