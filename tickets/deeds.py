"""Acts as rows: what an act changed, so that it can be put back, and how each round went."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tickets.ledger import Person
from tickets.lifecycle import Act, ChangedError, IncompleteError, State
from tickets.models import Duty, Elsewhere, Promise, PromiseState, Ticket, Volunteer
from tickets.rounds import Deed, TicketRound

# The columns an act may change, and how each is read back from JSON.
COLUMNS: Mapping[str, Callable[[Any], Any]] = {
    "state": State,
    "round": int,
    "assignee_id": int,
    "holder_id": int,
    "first_taker_id": int,
    "assigned_at": datetime.fromisoformat,
    "accepted_at": datetime.fromisoformat,
    "done_by": datetime.fromisoformat,
    "done_at": datetime.fromisoformat,
    "closed_at": datetime.fromisoformat,
    "missing": str,
    "merged_into_id": int,
    "referred_to": Elsewhere,
    "void_reason": str,
}

ROUND = frozenset({"round", "holder_id", "accepted_at", "done_by", "done_at", "closed_at"})


NEEDS: Mapping[Act, str] = {
    Act.ASSIGN: "to",
    Act.PASS_ON: "to",
    Act.ASK_MATERIALS: "missing",
    Act.MERGE: "into",
    Act.REFER: "elsewhere",
    Act.VOID: "why",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said with an act; `NEEDS` names what each cannot do without."""

    why: str = ""
    to: Volunteer | None = None  # whom it is given to
    missing: str = ""
    into: Ticket | None = None  # the request it is the same as
    elsewhere: Elsewhere | None = None

    def complete(self, what: Act) -> None:
        """Raise IncompleteError if the act lacks what it needs."""
        lacks = NEEDS.get(what)
        said = getattr(self, lacks) if lacks else True
        if lacks and not (said.strip() if isinstance(said, str) else said):
            raise IncompleteError(lacks)


def lock(session: Session, ticket: Ticket, seen: int | None) -> None:
    """Hold the row and read it afresh; raises ChangedError if it is not what was seen.

    Of two who act at once the second waits here, and then finds what the first did.
    """
    session.flush()
    session.refresh(ticket, [*COLUMNS, "version"], with_for_update=True)
    if seen is not None and seen != ticket.version:
        last = session.scalar(
            select(Deed)
            .where(Deed.ticket_id == ticket.id)
            .order_by(func.coalesce(Deed.undone_at, Deed.at).desc(), Deed.id.desc())
            .limit(1)
        )
        if last is not None:
            raise ChangedError(
                ticket.state, last.act, last.person, last.undone_at or last.at,
                undone=last.undone_at is not None,
            )  # fmt: skip


def snapshot(ticket: Ticket) -> dict[str, Any]:
    """The columns as JSON keeps them."""
    return {name: _plain(getattr(ticket, name)) for name in COLUMNS}


def change(ticket: Ticket, what: Act, by: Person, now: datetime, said: Said) -> None:
    """What an act changes besides the state."""
    match what:
        case Act.ASSIGN | Act.PASS_ON:
            assert said.to is not None  # noqa: S101
            ticket.assignee_id, ticket.assigned_at = said.to.id, now
        case Act.ACCEPT:
            ticket.assignee_id = ticket.holder_id = by.volunteer_id or ticket.assignee_id
            ticket.first_taker_id = ticket.first_taker_id or ticket.assignee_id
            ticket.accepted_at = ticket.accepted_at or now
        case Act.ASK_MATERIALS:
            ticket.missing = said.missing[:200]
        case Act.FINISH:
            ticket.done_at = now
        case Act.CONFIRM:
            ticket.closed_at = now
        case Act.REOPEN:
            if ticket.done_by:  # as much time as the round before had
                began_at = ticket.opened_at if ticket.round == 1 else ticket.accepted_at
                ticket.done_by = now + (ticket.done_by - (began_at or now))
            ticket.round += 1
            ticket.accepted_at, ticket.done_at, ticket.closed_at = now, None, None
        case Act.REFER:
            ticket.referred_to = said.elsewhere
        case Act.VOID:
            ticket.void_reason = said.why[:200]
        case _:
            pass


def deed(ticket: Ticket, act: Act, by: Person, now: datetime, before: Mapping[str, Any]) -> Deed:
    """What the act changed since `before`, as a row to be added."""
    ticket.version += 1
    after = snapshot(ticket)
    was = {name: value for name, value in before.items() if after[name] != value}
    return Deed(ticket_id=ticket.id, act=act, at=now, person=by.label, was=was)


def put_back(ticket: Ticket, deed: Deed) -> None:
    """Make the ticket what it was before the act."""
    ticket.version += 1
    for name, value in deed.was.items():
        setattr(ticket, name, None if value is None else COLUMNS[name](value))


def keep_round(session: Session, ticket: Ticket, now: datetime, why: str = "") -> None:
    """Make the round's row say what the ticket says; a round that was taken back is gone."""
    rounds = session.scalars(
        select(TicketRound)
        .where(TicketRound.ticket_id == ticket.id, TicketRound.number >= ticket.round)
        .order_by(TicketRound.number)
    ).all()
    for taken_back in [row for row in rounds if row.number > ticket.round]:
        session.delete(taken_back)
    if rounds and rounds[0].number == ticket.round:
        row = rounds[0]
    else:
        row = TicketRound(ticket_id=ticket.id, number=ticket.round, began_at=now, why=why)
        session.add(row)
    row.accepted_at, row.accepted_by = ticket.accepted_at, ticket.holder_id
    row.done_by, row.done_at, row.closed_at = ticket.done_by, ticket.done_at, ticket.closed_at


def open_news(session: Session, ticket: Ticket) -> set[int]:
    """The return calls that are owed about it now."""
    return set(
        session.scalars(
            select(Promise.id).where(
                Promise.ticket_id == ticket.id,
                Promise.duty == Duty.RETURN_CALL,
                Promise.state == PromiseState.OPEN,
            )
        )
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
