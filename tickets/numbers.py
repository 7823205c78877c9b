"""The numbers by which people speak of a request: month, day and the day's sequence, 1123-07."""

import re
from datetime import date

from sqlalchemy import extract, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from tickets.models import Ticket, TicketDay

SPOKEN = re.compile(r"(\d{1,2})(\d{2})\s*[-－—–_ ]?\s*(\d{2,4})", re.ASCII)


def next_sequence(session: Session, day: date) -> int:
    """The day's next number; simultaneous requests queue at the day's row."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    days = TicketDay.__table__
    statement = (
        insert(TicketDay)
        .values(day=day, last=1)
        .on_conflict_do_update(index_elements=[days.c.day], set_={"last": days.c.last + 1})
        .returning(days.c.last)
    )
    return int(session.execute(statement).scalar_one())


def find(session: Session, said: str) -> Ticket | None:
    """The newest request of this number: it says no year."""
    found = SPOKEN.fullmatch(said.strip())
    if found is None:
        return None
    month, day, sequence = (int(part) for part in found.groups())
    days = select(TicketDay.day).where(
        extract("month", TicketDay.day) == month, extract("day", TicketDay.day) == day
    )
    return session.scalar(
        select(Ticket)
        .where(Ticket.day.in_(days), Ticket.sequence == sequence)
        .order_by(Ticket.day.desc())
        .limit(1)
    )
