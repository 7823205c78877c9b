"""The catalogue as the house keeps it: seeded once, then the committee's own."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, String, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from hotline.clock import local
from hotline.db import Base
from tickets import ledger
from tickets.catalogue import CATALOGUE, Entry
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import IncompleteError
from tickets.models import LedgerLine

SEEDED = 1  # the version of a row that nobody has edited
LONGEST = {"code": 40, "name": 40, "where": 200, "hours": 200}
LONGEST_MATERIAL = 80
FIELDS = ("name", "words", "urgent", "materials", "where", "hours", "by_proxy", "checked_on")


class MatterChangedError(Exception):
    """Somebody edited the matter since the page was read: its version now, who, when."""

    def __init__(self, version: int, person: str, at: datetime | None) -> None:
        super().__init__(f"version {version} by {person}")
        self.version, self.person, self.at = version, person, at


class CodeTakenError(Exception):
    """There is a matter with this code."""


class TooLongError(ValueError):
    """A field is longer than it may be; carries which, and how long it may be."""

    def __init__(self, field: str, longest: int) -> None:
        super().__init__(f"{field}: at most {longest}")
        self.field, self.longest = field, longest


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


def active(session: Session) -> Sequence[Matter]:
    """What the line works on now, in the catalogue's order."""
    return session.scalars(select(Matter).where(Matter.active).order_by(Matter.id)).all()


def named(session: Session, code: str | None) -> Matter | None:
    """The matter with this code, also one that is not worked on any more."""
    return session.scalar(select(Matter).where(Matter.code == code)) if code else None


def is_stale(matter: Matter, today: date, days: int) -> bool:
    """Whether somebody should look again: nobody ever did, or longer ago than so many days."""
    return matter.checked_on is None or (today - matter.checked_on).days > days


def seed(session: Session, now: datetime) -> int:
    """Put the catalogue's entries in; what anybody has edited stays. Returns how many changed."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    kept = {matter.code: matter for matter in session.scalars(select(Matter))}
    changed = 0
    for entry in CATALOGUE:
        matter = kept.get(entry.code)
        if matter is None:
            new = insert(Matter).values(
                code=entry.code, active=True, version=SEEDED, **_content(entry)
            )
            session.execute(new.on_conflict_do_nothing(index_elements=[Matter.__table__.c.code]))
            changed += 1
        elif matter.version == SEEDED and _write(matter, entry):
            changed += 1
    if changed:
        ledger.write(
            session, at=now, person=SYSTEM, act="seed", object_kind="matter", object_id=None, count=changed
        )  # fmt: skip
    return changed


def add(session: Session, entry: Entry, by: Person, now: datetime) -> Matter:
    """A matter of the committee's own. Raises IncompleteError, TooLongError, CodeTakenError."""
    _must_fit(entry)
    if named(session, entry.code) is not None:
        raise CodeTakenError(entry.code)
    matter = Matter(code=entry.code, name=entry.name, version=SEEDED + 1)
    session.add(matter)
    _edited(session, matter, _write(matter, entry), by, now, act="add")
    return matter


def edit(
    session: Session, matter: Matter, entry: Entry, by: Person, now: datetime, *, seen: int
) -> bool:
    """Make the matter say what `entry` says, its code apart; False if it said so already.

    Raises MatterChangedError, IncompleteError, TooLongError.
    """
    _lock(session, matter, seen)
    _must_fit(entry)
    changed = _write(matter, entry)
    if changed:
        matter.version += 1
        _edited(session, matter, changed, by, now)
    return bool(changed)


def check(session: Session, matter: Matter, by: Person, now: datetime, *, seen: int) -> None:
    """Somebody looked it up today, and it is as it stands."""
    _lock(session, matter, seen)
    matter.checked_on = local(now).date()
    matter.version += 1
    _edited(session, matter, ["checked_on"], by, now, act="check")


def use(
    session: Session, matter: Matter, by: Person, now: datetime, *, active: bool, seen: int
) -> None:
    """Take a matter out of the catalogue, or in again; requests that name it keep it."""
    _lock(session, matter, seen)
    matter.active = active
    matter.version += 1
    _edited(session, matter, ["active"], by, now)


def _content(entry: Entry) -> dict[str, Any]:
    """The entry's fields as the table keeps them."""
    plain = {name: getattr(entry, name) for name in FIELDS}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}  # fmt: skip


def _write(matter: Matter, entry: Entry) -> list[str]:
    """Write the entry over the matter; returns the names of the fields that differed."""
    changed = [name for name, value in _content(entry).items() if getattr(matter, name) != value]
    for name in changed:
        setattr(matter, name, _content(entry)[name])
    return changed


def _edited(
    session: Session, matter: Matter, changed: list[str], by: Person, now: datetime, act: str = "edit"
) -> None:  # fmt: skip
    if "checked_on" in changed:
        matter.checked_by = by.volunteer_id
    session.flush()
    ledger.write(
        session, at=now, person=by, act=act, object_kind="matter", object_id=matter.id,
        version=matter.version, changed=changed,
    )  # fmt: skip


def _must_fit(entry: Entry) -> None:
    for name in ("code", "name"):
        if not getattr(entry, name).strip():
            raise IncompleteError(name)
    for name, longest in LONGEST.items():
        if len(getattr(entry, name)) > longest:
            raise TooLongError(name, longest)
    if any(len(material) > LONGEST_MATERIAL for material in entry.materials):
        raise TooLongError("materials", LONGEST_MATERIAL)


def _lock(session: Session, matter: Matter, seen: int) -> None:
    session.flush()
    session.refresh(matter, with_for_update=True)
    if matter.version == seen:
        return
    last = session.scalar(
        select(LedgerLine)
        .where(LedgerLine.object_kind == "matter", LedgerLine.object_id == matter.id)
        .order_by(LedgerLine.sequence.desc())
        .limit(1)
    )
    raise MatterChangedError(matter.version, last.person if last else "", last.at if last else None)
