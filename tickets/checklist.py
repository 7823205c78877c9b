"""一次性告知: what to have ready for a request, read before setting out and ticked off."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from hotline.db import Base, UtcDateTime
from tickets import deeds, ledger, matters
from tickets.ledger import Person
from tickets.lifecycle import IncompleteError
from tickets.models import Ticket

BETWEEN = "、"  # how the missing things of a request are written


class Ticked(Base):
    """That a thing on the list is there: somebody looked before setting out."""

    __tablename__ = "ticked"
    __table_args__ = (UniqueConstraint("ticket_id", "what"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    what: Mapped[str] = mapped_column(String(80))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[int] = mapped_column(ForeignKey("volunteers.id"))


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of the list, and who saw that it is there."""

    what: str
    ticked_at: datetime | None = None
    by: int | None = None


def items(session: Session, ticket: Ticket) -> Sequence[Item]:
    """The matter's list, what was found missing since, and what else was ticked."""
    ticked = {
        row.what: row
        for row in session.scalars(
            select(Ticked).where(Ticked.ticket_id == ticket.id).order_by(Ticked.id)
        )
    }
    wanted = dict.fromkeys((*_wanted(session, ticket), *ticked))
    return [
        Item(what, ticked[what].at, ticked[what].by) if what in ticked else Item(what)
        for what in wanted
    ]


def is_ready(listed: Sequence[Item]) -> bool:
    """Whether everything is ticked."""
    return all(item.ticked_at for item in listed)


def tick(session: Session, ticket: Ticket, what: str, by: Person, now: datetime) -> None:
    """It is there. Ticked already, it stays as it was ticked. Raises IncompleteError."""
    what = what.strip()[:80]
    if not what or by.volunteer_id is None:
        raise IncompleteError("what" if not what else "by")
    deeds.lock(session, ticket, None)
    if _row(session, ticket, what) is None:
        session.add(Ticked(ticket_id=ticket.id, what=what, at=now, by=by.volunteer_id))
        _note(session, ticket, "tick", what, by, now)


def untick(session: Session, ticket: Ticket, what: str, by: Person, now: datetime) -> None:
    """It is not there after all."""
    deeds.lock(session, ticket, None)
    row = _row(session, ticket, what.strip()[:80])
    if row is not None:
        session.delete(row)
        _note(session, ticket, "untick", row.what, by, now)


def _wanted(session: Session, ticket: Ticket) -> Sequence[str]:
    matter = matters.named(session, ticket.matter)
    missing = [part.strip() for part in ticket.missing.split(BETWEEN) if part.strip()]
    return (*(matter.materials if matter else ()), *missing)


def _row(session: Session, ticket: Ticket, what: str) -> Ticked | None:
    return session.scalar(select(Ticked).where(Ticked.ticket_id == ticket.id, Ticked.what == what))


def _note(session: Session, ticket: Ticket, act: str, what: str, by: Person, now: datetime) -> None:
    named = what in _wanted(session, ticket)  # what somebody made up may hold anything
    ledger.write(
        session, at=now, person=by, act=act, object_kind="ticket", object_id=ticket.id,
        what=what if named else "",
    )  # fmt: skip
