"""What counts: rows of real life. Demonstration and training make the same rows with `test` set, and
everything that counts, lists for the committee or disturbs somebody asks here which are which."""

from typing import Any

from sqlalchemy import ColumnElement

from hotline.config import Settings
from tickets.models import Promise


def is_real(rows: Any, *, tests: bool = False) -> ColumnElement[bool]:
    """The rows (requests, calls, tries, or their columns) that are no test; or those that are."""
    found: ColumnElement[bool] = rows.test.is_(tests)
    return found


def is_test(settings: Settings, promise: Promise) -> bool:
    """Whether this promise is kept by the telephone in the browser: nobody outside is rung for it."""
    return settings.demo or bool(promise.ticket and promise.ticket.test)
