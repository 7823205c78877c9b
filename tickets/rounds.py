"""How a request went, round by round and act by act."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime, kept
from tickets.lifecycle import Act

PERSONAL = frozenset({"missing", "void_reason"})  # of what a deed keeps: people's own words


class TicketRound(Base):
    """One round of a request: the first, and one more each time it is opened again.

    The newest repeats what the ticket says; the others stay as they ended. Written with every act.
    """

    __tablename__ = "ticket_rounds"
    __table_args__ = (UniqueConstraint("ticket_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    number: Mapped[int]
    began_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    why: Mapped[str] = mapped_column(String(400), default="")  # why it was opened again
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    accepted_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    done_by: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)  # a deadline
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None, index=True)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class Deed(Base):
    """One act on a request, and what has to be put back if it is undone.

    Written with the act; the ledger has a line of its own for the act and for its undoing.
    """

    __tablename__ = "deeds"
    __table_args__ = (Index("ix_deeds_ticket", "ticket_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    act: Mapped[Act] = mapped_column(kept(Act))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    person: Mapped[str] = mapped_column(String(60))  # as in the ledger: volunteer:3
    was: Mapped[dict[str, Any]] = mapped_column(JSON)  # the ticket's columns before
    owed: Mapped[list[int]] = mapped_column(JSON, default_factory=list)  # promises it made
    dropped: Mapped[list[int]] = mapped_column(JSON, default_factory=list)  # and overtook
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
