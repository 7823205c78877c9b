"""One line of the ledger, as a row."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime


class LedgerLine(Base):
    """One change or access: who, when, what, to which object, from where, why. Never changed.

    `hash` is the SHA-256 of the line and of the hash before it, so that no line can be altered or
    left out unnoticed. `sequence` has no gaps. What a person wrote, `why`, is not hashed itself but
    by its salted digest `words`: it can be erased, and the chain still holds (`ledger.erase_words`).
    """

    __tablename__ = "ledger"
    __table_args__ = (Index("ix_ledger_object", "object_kind", "object_id"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    person: Mapped[str] = mapped_column(String(60))
    act: Mapped[str] = mapped_column(String(40))
    object_kind: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[int | None]
    origin: Mapped[str] = mapped_column(String(20))  # phone, desk, system
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    words: Mapped[str] = mapped_column(String(64), default="")
    previous: Mapped[str] = mapped_column(String(64), default="")
    hash: Mapped[str] = mapped_column(String(64), default="")
    why: Mapped[str] = mapped_column(String(400), default="")
    salt: Mapped[str] = mapped_column(String(32), default="")  # so that no digest can be guessed at
