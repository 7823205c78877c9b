"""Who may ring, what may be rung, and how much of it in a day.

An open SIP port is found within hours and used to ring expensive numbers; every door here is
shut unless a setting opens it.
"""

import logging
import re
import time
from collections.abc import Callable
from hmac import compare_digest

from ivr.exchange.settings import ExchangeSettings

log = logging.getLogger(__name__)

BURST_SECONDS = 2.0  # so many seconds' worth of new calls may come at one moment


class NotAllowedError(Exception):
    """A number that this line does not ring; carries the carrier's code for it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Gate:
    """Counts and refuses. `live` is how many calls there are now, whoever began them."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self._settings = settings
        self._patterns = [re.compile(pattern) for pattern in settings.allowed_numbers]
        self.live: Callable[[], int] = lambda: 0
        self._credit = settings.max_new_calls_a_second * BURST_SECONDS
        self._credit_at = time.monotonic()

    def refuses_another(self) -> str | None:
        """Why no further incoming call is taken now, or None."""
        now, a_second = time.monotonic(), self._settings.max_new_calls_a_second
        earned = (now - self._credit_at) * a_second
        self._credit = min(self._credit + earned, a_second * BURST_SECONDS)
        self._credit_at = now
        if self._credit < 1:
            return "flood"
        self._credit -= 1
        if self.live() >= self._settings.max_calls:
            return "all lines busy"
        return None

    def check_outgoing(self, number: str, today: int, today_to_one: int, known: bool) -> None:
        """Raise NotAllowedError unless `number` (E.164) may be rung now.

        It must have an allowed form, and be known: a person's of the house's lists, or of one
        who rang this line.
        """
        settings = self._settings
        if not re.fullmatch(r"\+[1-9]\d{6,14}", number):
            raise NotAllowedError(21211, "not an E.164 number")
        if not any(pattern.fullmatch(number) for pattern in self._patterns):
            raise NotAllowedError(21215, "numbers of this form are not rung from this line")
        if not known:
            raise NotAllowedError(21215, "nobody known has this number")
        if today >= settings.max_outgoing_a_day:
            raise NotAllowedError(20429, "the day's calls are used up")
        if today_to_one >= settings.max_outgoing_a_day_to_one:
            raise NotAllowedError(20429, "this number was rung often enough today")
        if self.live() >= settings.max_calls:
            raise NotAllowedError(20429, "all lines are busy")


def same_secret(given: str, wanted: str) -> bool:
    """Compare without telling by the time it takes how much was right."""
    return compare_digest(given.encode(), wanted.encode())


def dialled(number: str, settings: ExchangeSettings) -> str:
    """An E.164 number as this line dials it: 82345678, 057182345678, 13812345678."""
    national = number.removeprefix(f"+{settings.country_code}")
    if national == number:
        return f"{settings.outside_prefix}00{number.removeprefix('+')}"
    if settings.country_code == "86":
        if settings.area_code and national.startswith(settings.area_code):
            national = national.removeprefix(settings.area_code)
        elif not re.fullmatch(r"1[3-9]\d{9}", national):
            national = f"0{national}"
    return f"{settings.outside_prefix}{national}"
