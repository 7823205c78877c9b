"""The errand side alone: people, a clock and tables, and nobody at the telephone or the pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import HandClock, settings_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.db import Database
from hotline.schema import metadata
from tickets import deeds, ledger, matters, return_calls, service, undo
from tickets.ledger import Person
from tickets.lifecycle import Act
from tickets.models import Kind, LedgerLine, Promise, Role, Shift, Source, Ticket, Volunteer

LI, ZHANG = "+8613812341234", "+8657982345678"
WANG, CHEN, WU = "王秀兰", "陈国强", "吴队长"
DAYS_OF_DUTY = 15


@dataclass
class ErrandHouse:
    """王秀兰 has duty, 陈国强 is her substitute, 吴队长 leads; mornings and afternoons."""

    db: Database
    settings: Settings
    clock: HandClock
    people: dict[str, Person] = field(default_factory=dict)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self.db.writing() as session:
            yield session

    def asks(self, phone: str | None = LI, **more: Any) -> int:
        """Somebody rings and leaves words; returns the request's id."""
        given = {"kind": Kind.ERRAND, "source": Source.MESSAGE, "by": ledger.CALLER, **more}
        with self.db.writing() as session:
            return service.open_ticket(
                session, self.settings, self.clock.now(), phone=phone, **given
            ).id

    def does(self, who: str, ticket_id: int, *acts: Act, **said: Any) -> None:
        """One person, one or several acts, a minute after whatever was before."""
        for what in acts:
            self.clock.advance(60)
            with self.db.writing() as session:
                if into := said.pop("into", None):
                    said["into"] = session.get_one(Ticket, into)
                if to := said.pop("to", None):
                    said["to"] = session.get_one(Volunteer, self.people[to].volunteer_id)
                service.act(
                    session, session.get_one(Ticket, ticket_id), what, self.people[who], self.clock.now(), **said
                )  # fmt: skip

    def takes_back(self, who: str, ticket_id: int, seen: int | None = None) -> list[Act]:
        with self.db.writing() as session:
            ticket = session.get_one(Ticket, ticket_id)
            pressed = undo.undo(
                session, self.settings, ticket, self.people[who], self.clock.now(), seen=seen
            )
            return [deed.act for deed in pressed]

    def rings(self, ticket_id: int) -> None:
        """The machine begins to ring about what is owed: from now on the news may be out."""
        with self.db.writing() as session:
            ticket = session.get_one(Ticket, ticket_id)
            for promise_id in deeds.open_news(session, ticket):
                promise = session.get_one(Promise, promise_id)
                return_calls.begin_try(session, promise, ticket.phone or "", self.clock.now())

    def ticket(self, ticket_id: int) -> Ticket:
        with self.db.reading() as session:
            return session.get_one(Ticket, ticket_id)

    def id_of(self, who: str) -> int:
        return self.people[who].volunteer_id or 0

    def promises(self, ticket_id: int) -> list[tuple[str, str]]:
        """News and state of each return call, in order."""
        with self.db.reading() as session:
            found = session.scalars(
                select(Promise).where(Promise.ticket_id == ticket_id).order_by(Promise.id)
            )
            return [(str(promise.event), str(promise.state)) for promise in found]

    def acts(self, ticket_id: int) -> list[str]:
        """What the ledger says of a request, in order."""
        with self.db.reading() as session:
            return list(
                session.scalars(
                    select(LedgerLine.act)
                    .where(LedgerLine.object_kind == "ticket", LedgerLine.object_id == ticket_id)
                    .order_by(LedgerLine.sequence)
                )
            )

    def ledger_lines(self) -> int:
        with self.db.reading() as session:
            return session.scalar(select(func.count()).select_from(LedgerLine)) or 0


def open_errands(folder: Path, clock: HandClock, database_url: str = "", **given: Any) -> ErrandHouse:  # fmt: skip
    settings = settings_for(folder, database_url=database_url, **given)
    db = Database(settings.database, synchronous="NORMAL")
    metadata.create_all(db.engine)
    house = ErrandHouse(db, settings, clock)
    with db.writing() as session:
        people = {
            name: Volunteer(name=name, role=role)
            for name, role in ((WANG, Role.VOLUNTEER), (CHEN, Role.VOLUNTEER), (WU, Role.LEAD))
        }
        session.add_all(people.values())
        session.flush()
        house.people = {name: ledger.volunteer(person.id) for name, person in people.items()}
        for day in range(DAYS_OF_DUTY):
            for begins, ends in ((8.5, 11.5), (14, 17)):
                midnight = clock.now().replace(hour=0, minute=0) + timedelta(days=day)
                session.add(
                    Shift(
                        starts_at=midnight + timedelta(hours=begins), ends_at=midnight + timedelta(hours=ends),
                        volunteer_id=people[WANG].id, substitute_id=people[CHEN].id,
                    )
                )  # fmt: skip
        matters.seed(session, clock.now())
    return house


def at(hour: int, minute: int = 0, day: int = 23) -> datetime:
    """A time of these days: 2026-11-23 is a Monday."""
    return HandClock().now().replace(day=day, hour=hour, minute=minute)
