"""What is kept about a resident beside name, address and numbers. Written by `tickets.residents`."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime, kept


class ConsentTo(StrEnum):
    """What a resident agrees to."""

    RECORDS = "records"  # that name, address and number are kept
    RECORDING = "recording"  # that what they say is kept as sound
    PROXY = "proxy"  # that a volunteer acts for them with their papers


class ConsentBy(StrEnum):
    """How they said so."""

    PHONE = "phone"
    IN_PERSON = "in_person"
    PAPER = "paper"  # signed
    FAMILY = "family"  # a relative said so for them


class Consent(Base):
    """That a resident agreed to something, when and how; ended, not deleted, when taken back."""

    __tablename__ = "consents"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    resident_id: Mapped[int] = mapped_column(
        ForeignKey("residents.id", ondelete="CASCADE"), index=True
    )
    to: Mapped[ConsentTo] = mapped_column(kept(ConsentTo))
    by: Mapped[ConsentBy] = mapped_column(kept(ConsentBy))
    given_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    written_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)


class ResidentNote(Base):
    """Something about a resident that only leads, committee and administrators may read.

    In a table of its own, so that nobody loads it by accident; each reading is a ledger line.
    """

    __tablename__ = "resident_notes"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    resident_id: Mapped[int] = mapped_column(
        ForeignKey("residents.id", ondelete="CASCADE"), index=True
    )
    text: Mapped[str] = mapped_column(Text)
    written_at: Mapped[datetime] = mapped_column(UtcDateTime)
    written_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
