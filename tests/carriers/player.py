"""The company's sound player: fetches what <Play> names and measures it."""

import wave
from collections.abc import Callable

from carriers.document import Sound, Words
from carriers.door import Answer
from carriers.sound import Measure, measure

CHARACTERS_A_SECOND = 3.0  # 180 字/分
NOTHING = Measure(0, 0)


class Player:
    """Each sound is fetched once; what cannot be played is a complaint and lasts no time."""

    def __init__(self, fetch: Callable[[str], Answer], complains: Callable[[str], None]) -> None:
        self._fetch = fetch
        self._complains = complains
        self._measures: dict[str, Measure] = {}

    def seconds_of(self, heard: Words | Sound) -> float:
        if isinstance(heard, Words):
            return len(heard.text) / CHARACTERS_A_SECOND
        return self.measure(heard).seconds

    def measure(self, sound: Sound) -> Measure:
        if sound.url not in self._measures:
            self._measures[sound.url] = self._measured(sound.url)
        return self._measures[sound.url]

    def checks_beep(self, heard: list[Words | Sound]) -> None:
        """The last thing before a recording is a sound, and it is not silent."""
        last = heard[-1] if heard else None
        if not isinstance(last, Sound):
            self._complains(f"the recording begins without a beep, after {last}")
        elif (beep := self.measure(last)).seconds <= beep.silent_seconds:
            self._complains(f"the recording begins after silence: {last.url}")

    def _measured(self, url: str) -> Measure:
        answer = self._fetch(url)
        kind = answer.content_type.split(";")[0].lower()
        if answer.status != 200 or kind not in ("audio/wav", "audio/x-wav", "audio/wave"):
            self._complains(f"{url} cannot be played: {answer.status} {kind}")
            return NOTHING
        try:
            return measure(answer.body)
        except (wave.Error, EOFError) as error:
            self._complains(f"{url} cannot be played: {error}")
            return NOTHING
