"""Past days counted once: what each came to, and which must be counted again."""

from datetime import date
from typing import Any

from sqlalchemy import JSON, Date
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base


class FigureDay(Base):
    """What one past day came to: the sums of `tickets.counting.scan`. Written by `tickets.counting`.

    How often how many minutes went by is apart: it is most of the sums, and seldom asked.
    """

    __tablename__ = "figure_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    sums: Mapped[dict[str, Any]] = mapped_column(JSON)
    minutes: Mapped[dict[str, Any]] = mapped_column(JSON)


class StaleDay(Base):
    """That something about a day has changed. Written by the database's own triggers
    (`tickets.changes`), deleted when the day is counted again."""

    __tablename__ = "stale_days"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    day: Mapped[date] = mapped_column(Date, index=True)
