"""Excel files that somebody has looked at and may take over: what is taken is what was looked at."""

import hashlib
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from hotline.db import Base, UtcDateTime
from tickets.imports import Fate, RowFate, Told

LIVES = timedelta(days=1)


class WaitingSheet(Base):
    """One file between the look at it and taking it over, and what was told of it: to read a thousand rows
    takes most of a second, to show what they said does not. Gone when taken, and after a day."""

    __tablename__ = "waiting_sheets"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    kind: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    said: Mapped[dict[str, Any]] = mapped_column(JSON)  # a `Told`
    by_id: Mapped[int] = mapped_column(ForeignKey("volunteers.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def told(self) -> Told:
        fates = [RowFate(**{**each, "fate": Fate(each["fate"])}) for each in self.said["fates"]]
        return Told(fates, self.said["remarks"])

    def tell(self, told: Told) -> None:
        """Put down what a new look tells."""
        self.said = asdict(told)


def keep(session: Session, kind: str, content: bytes, told: Told, by_id: int, now: datetime) -> int:
    """Put a file aside for whoever brought it; returns its number."""
    sheet = WaitingSheet(
        kind=kind, sha256=hashlib.sha256(content).hexdigest(), content=content, said=asdict(told),
        by_id=by_id, at=now,
    )  # fmt: skip
    session.add(sheet)
    session.flush()
    return sheet.id


def find(
    session: Session, kind: str, sheet_id: int, by_id: int, now: datetime, *, lock: bool = False
) -> WaitingSheet | None:
    """A file that this person put aside within a day and has not taken yet."""
    asked = select(WaitingSheet).where(
        WaitingSheet.id == sheet_id, WaitingSheet.kind == kind, WaitingSheet.by_id == by_id,
        WaitingSheet.at > now - LIVES,
    )  # fmt: skip
    return session.scalar(asked.with_for_update() if lock else asked)


def forget_old(session: Session, now: datetime) -> int:
    """Let go of what nobody took within a day; it holds people's names and numbers."""
    gone = delete(WaitingSheet).where(WaitingSheet.at <= now - LIVES).returning(WaitingSheet.id)
    return len(session.execute(gone).all())


def seal(told: Told) -> str:
    """A short mark of what a look has told, to know whether a second look tells the same."""
    said = "\n".join([*told.remarks, *map(str, told.fates)])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
