"""The catalogue as the house keeps it: matters, what to have ready, and what was ticked off."""

from datetime import date, datetime

from sqlalchemy import JSON, Date, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime


class Matter(Base):
    """One matter that the line works on. Seeded from `tickets.catalogue`, then the committee's own.

    Empty fields are not known yet; `by_proxy` None means nobody has asked whether another may go.
    """

    __tablename__ = "matters"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(40))
    words: Mapped[list[str]] = mapped_column(JSON, default_factory=list)
    urgent: Mapped[bool] = mapped_column(default=False)
    materials: Mapped[list[str]] = mapped_column(JSON, default_factory=list)
    where: Mapped[str] = mapped_column(String(200), default="")
    hours: Mapped[str] = mapped_column(String(200), default="")
    by_proxy: Mapped[bool | None] = mapped_column(default=None)
    checked_on: Mapped[date | None] = mapped_column(Date, default=None)
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)  # one more with every edit; 1 is as seeded


class Ticked(Base):
    """That a thing on the list is there: somebody looked before setting out."""

    __tablename__ = "ticked"
    __table_args__ = (UniqueConstraint("ticket_id", "what"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    what: Mapped[str] = mapped_column(String(80))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[int] = mapped_column(ForeignKey("volunteers.id"))
