"""The one place that asks what time it is."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

Clock = Callable[[], datetime]


class NaiveTimeError(ValueError):
    """A time without its zone was handed over; it could mean two different instants."""


def now() -> datetime:
    """The present instant, in the neighbourhood's time zone."""
    return datetime.now(SHANGHAI)


def local(instant: datetime) -> datetime:
    """The same instant as the neighbourhood's clocks show it; raises NaiveTimeError."""
    return aware(instant).astimezone(SHANGHAI)


def utc(instant: datetime) -> datetime:
    """The same instant in UTC, as tables keep it; raises NaiveTimeError."""
    return aware(instant).astimezone(UTC)


def aware(instant: datetime) -> datetime:
    """The instant unchanged, refused if it has no zone."""
    if instant.tzinfo is None:
        raise NaiveTimeError(f"{instant!r} has no time zone")
    return instant
