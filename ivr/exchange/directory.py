"""Who rings, and where a number is rung."""

import re
from contextlib import suppress
from typing import NamedTuple

from aiosipua.headers import parse_address
from aiosipua.incoming_call import IncomingCall
from aiosipua.message import SipRequest

from ivr.exchange.settings import ExchangeSettings

MOST_REMEMBERED = 1000  # callers of a line without a trunk


class Target(NamedTuple):
    """Where a telephone, or the box in front of it, is rung."""

    user: str
    host: str
    port: int


class Directory:
    """The trunk reaches every number; without one, those who rang are reached where they rang from."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self._settings = settings
        self._came_from: dict[str, Target] = {}  # by the number that was shown

    def remember(self, call: IncomingCall) -> str:
        """Who rings; without a trunk a caller is rung back where the call came from."""
        user = shown = caller_of(call.invite)
        if self._settings.nameless_caller and re.fullmatch(r"(?!anonymous$).*[a-zA-Z].*", user):
            shown = self._settings.nameless_caller
        if self._settings.trunk is None:
            self._came_from.pop(shown, None)  # the newest last
            self._came_from[shown] = Target(user, *call.source_addr[:2])
            if len(self._came_from) > MOST_REMEMBERED:
                del self._came_from[next(iter(self._came_from))]
        return shown

    def way_to(self, number: str) -> Target | None:
        """Where to ring a number, as this line dials it."""
        trunk = self._settings.trunk
        if trunk is not None:
            return Target(number, trunk.host, trunk.port)
        ways = [
            target
            for shown, target in self._came_from.items()
            if shown.lstrip("+0").endswith(number.lstrip("0"))  # however its trunk wrote it
        ]
        return ways[-1] if ways else None


def caller_of(invite: SipRequest) -> str:
    """The number as the trunk wrote it; "anonymous" when it is withheld."""
    if "id" in (invite.get_header("privacy") or "").lower().split(";"):
        return "anonymous"
    for header in ("p-asserted-identity", "from"):
        raw = invite.get_header(header)
        if raw:
            with suppress(ValueError, IndexError):
                address = parse_address(raw)
                user = address.uri.user or ""
                if re.fullmatch(r"[\w+*#.-]{1,32}", user, re.ASCII):
                    return user
    return "anonymous"
