"""The keys a person presses, kept in order until somebody asks for them."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress

KEYS = frozenset("0123456789*#")
KEPT = 16  # keys waiting; a child playing with the telephone fills no memory


class Keys:
    """Type-ahead is kept: what is pressed during a prompt answers the next question."""

    def __init__(self) -> None:
        self.waiting: deque[str] = deque(maxlen=KEPT)
        self.on_touch: Callable[[], None] | None = None  # stops a prompt at key-down
        self._pressed = asyncio.Event()
        self._gone = False

    def touch(self) -> None:
        """A key is going down; which one is counted is known when it comes up."""
        if self.on_touch is not None:
            self.on_touch()

    def press(self, key: str) -> None:
        if key not in KEYS:
            return
        self.waiting.append(key)
        self._pressed.set()
        self.touch()

    def forget(self) -> None:
        """Drop what was pressed; before a recording, where a key means "finished"."""
        self.waiting.clear()

    async def next(self, seconds: float | None) -> str | None:
        """The next key, or None when nothing was pressed for so long."""
        if not self.waiting and not self._gone:
            self._pressed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._pressed.wait()
        return self.waiting.popleft() if self.waiting else None

    def stop_waiting(self) -> None:
        """The line is gone: whoever waits for a key gets none."""
        self._gone = True
        self._pressed.set()


def key_of_info(kind: str, text: str) -> str:
    """The key in a SIP INFO, application/dtmf-relay (Signal=5) or application/dtmf (5); or ""."""
    if kind.split(";")[0].strip().lower() not in {"application/dtmf-relay", "application/dtmf"}:
        return ""
    pattern = r"(?:Signal\s*=\s*|^\s*)([0-9*#]{1,2})"
    found = re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
    return {"10": "*", "11": "#"}.get(found[1], found[1]) if found else ""
