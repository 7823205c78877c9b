"""Those who sign in and take turns: adding them, changing their part, letting them go."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tickets import ledger
from tickets.ledger import Person
from tickets.models import Role, Shift, Volunteer

ROLE_NAMES = {
    Role.VOLUNTEER: "志愿者",
    Role.LEAD: "值班组长",
    Role.COMMITTEE: "居委会",
    Role.ADMIN: "管理员",
}


class NameTakenError(Exception):
    """Somebody is called so already; names are how people are told apart at the door."""


class StillOnRosterError(Exception):
    """They have shifts to come; carries how many, for a sentence."""

    def __init__(self, shifts: int) -> None:
        super().__init__("there are shifts to come")
        self.shifts = shifts


class LastAdminError(Exception):
    """Somebody has to be left who can change anything."""


class NoPhoneError(Exception):
    """Nobody is rung without a telephone."""


@dataclass(frozen=True, slots=True)
class NewVolunteer:
    """What is known of somebody who joins. The phone in E.164."""

    name: str
    role: Role = Role.VOLUNTEER
    phone: str | None = None


def named(session: Session, name: str) -> Volunteer | None:
    return session.scalar(select(Volunteer).where(Volunteer.name == name.strip()))


def add(session: Session, new: NewVolunteer, by: Person, now: datetime) -> Volunteer:
    """Somebody joins; they sign in once they have a PIN. Raises NameTakenError."""
    if named(session, new.name) is not None:
        raise NameTakenError
    person = Volunteer(name=new.name.strip(), role=new.role, phone=new.phone)
    session.add(person)
    session.flush()
    _note(session, person, "add_person", by, now, role=new.role)
    return person


def change(
    session: Session,
    person: Volunteer,
    by: Person,
    now: datetime,
    *,
    role: Role | None = None,
    phone: str | None = None,
    active: bool | None = None,
) -> list[str]:
    """Change what is given; returns which fields changed. Raises StillOnRosterError, LastAdminError."""
    if active is False and person.active and (left := _shifts_to_come(session, person, now)):
        raise StillOnRosterError(left)
    stays = active is not False and role in {None, Role.ADMIN}
    if person.role is Role.ADMIN and person.active and not stays:
        _need_another_admin(session, person)
    given = {"role": role, "phone": phone, "active": active}
    changed = [
        name
        for name, value in given.items()
        if value is not None and value != getattr(person, name)
    ]
    for name in changed:
        setattr(person, name, given[name])
    if active is False:  # nobody is stood in for by somebody who has left
        session.execute(
            update(Shift)
            .where(Shift.substitute_id == person.id, Shift.ends_at > now)
            .values(substitute_id=None)
        )
    if changed:
        _note(session, person, "change_person", by, now, fields=changed, role=person.role)
    return changed


def ring(
    session: Session, person: Volunteer, choice: bool | None, by: Person, now: datetime
) -> None:
    """Whether they are rung with what is new; None: as the setting says. Raises NoPhoneError."""
    if choice and not person.phone:
        raise NoPhoneError
    if choice is not person.ring_me:
        person.ring_me = choice
        _note(session, person, "ring_me", by, now, choice=choice)


def _need_another_admin(session: Session, person: Volunteer) -> None:
    others = select(Volunteer.id).where(
        Volunteer.role == Role.ADMIN, Volunteer.active, Volunteer.id != person.id
    )
    if session.scalar(others.with_for_update().limit(1)) is None:
        raise LastAdminError


def _shifts_to_come(session: Session, person: Volunteer, now: datetime) -> int:
    theirs = select(Shift.id).where(Shift.volunteer_id == person.id, Shift.ends_at > now)
    return len(session.scalars(theirs).all())


def _note(
    session: Session, person: Volunteer, act: str, by: Person, now: datetime, **facts: Any
) -> None:
    ledger.write(
        session, at=now, person=by, act=act, object_kind="volunteer", object_id=person.id, **facts
    )
