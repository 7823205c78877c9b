"""What was done on foot for a request: outings, visits to the home, and things taken along."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime, kept
from tickets.trips import Reason as Reason
from tickets.trips import Went as Went

PLACES = ("窗口", "医院", "药店", "银行", "营业厅", "其他")


class VisitKind(StrEnum):
    FETCH = "fetch"  # 取件
    DELIVER = "deliver"  # 送达


class Journey(Base):
    """One outing to a place where errands are done, for one or several requests.

    Written by whoever logs it. Withdrawn it stays, and counts no more.
    """

    __tablename__ = "journeys"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    went: Mapped[Went] = mapped_column(kept(Went))
    place: Mapped[str] = mapped_column(String(40))
    settled: Mapped[bool]
    written_by: Mapped[str] = mapped_column(String(60))  # as in the ledger: volunteer:3
    written_at: Mapped[datetime] = mapped_column(UtcDateTime)
    volunteer_id: Mapped[int | None] = mapped_column(
        ForeignKey("volunteers.id"), default=None, index=True
    )
    reason: Mapped[Reason | None] = mapped_column(kept(Reason), default=None)
    reason_note: Mapped[str] = mapped_column(String(200), default="")
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class JourneyTicket(Base):
    """That an outing served a request."""

    __tablename__ = "journey_tickets"
    __table_args__ = (Index("ix_journey_tickets_ticket_id", "ticket_id"),)

    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"), primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), primary_key=True)


class Visit(Base):
    """One visit to a home, to fetch papers or to bring results. No journey: it is counted apart."""

    __tablename__ = "visits"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)
    kind: Mapped[VisitKind] = mapped_column(kept(VisitKind))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    volunteer_id: Mapped[int] = mapped_column(ForeignKey("volunteers.id"))
    written_by: Mapped[str] = mapped_column(String(60))
    written_at: Mapped[datetime] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class Carried(Base):
    """A thing of the resident's that a volunteer took along: a card, a key, money.

    Returned is the volunteer's word; confirmed is the resident's.
    """

    __tablename__ = "carried"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)
    what: Mapped[str] = mapped_column(String(80))
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_by: Mapped[int] = mapped_column(ForeignKey("volunteers.id"))
    returned_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    returned_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"), default=None)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
