"""Who was reminded of a request that is past one of its limits."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime, kept


class Limit(StrEnum):
    """By when something should have happened."""

    ACCEPT = "accept"  # somebody took it
    CONTACT = "contact"  # the resident heard from us
    DONE = "done"
    TELL = "tell"  # the resident knows that it is done


class Step(StrEnum):
    """Whom it is said to, one after the other."""

    VOLUNTEER = "volunteer"
    SUBSTITUTE = "substitute"
    LEAD = "lead"


class Reminder(Base):
    """That one person is reminded, once, of one limit in one round. Written by `tickets.limits`.

    Seen is what that person's page, or a call, says of it.
    """

    __tablename__ = "reminders"
    __table_args__ = (UniqueConstraint("ticket_id", "round", "limit", "volunteer_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    round: Mapped[int]
    limit: Mapped[Limit] = mapped_column(kept(Limit))
    step: Mapped[Step] = mapped_column(kept(Step))
    volunteer_id: Mapped[int] = mapped_column(ForeignKey("volunteers.id"), index=True)
    past_since: Mapped[datetime] = mapped_column(UtcDateTime)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
