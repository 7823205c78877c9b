"""Changing the roster by hand: each change is one act with its ledger line. Nothing is guessed."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tickets import handover, ledger, roster
from tickets.ledger import Person
from tickets.models import Role, Shift, Volunteer
from tickets.rota import DayOff, DayOverride, RainyDay


class ShiftOverError(Exception):
    """It has ended; the past is not rewritten."""


class ClashError(Exception):
    """This person has another shift at the same time."""

    def __init__(self, other: Shift) -> None:
        super().__init__("two shifts at once")
        self.other = other


class GoneError(Exception):
    """This person no longer takes part."""


class NotOnThisShiftError(Exception):
    """This person has nothing to do with the shift."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What came of an absence: who has the shift now; nobody, if it is a gap now."""

    shift: Shift
    now_on: Volunteer | None


def add(
    session: Session,
    starts_at: datetime,
    ends_at: datetime,
    volunteer_id: int,
    by: Person,
    now: datetime,
    *,
    substitute_id: int | None = None,
) -> Shift:
    """Put one shift on the roster. Raises ShiftOverError, ClashError, GoneError; overlaps with others' shifts are shown."""
    if ends_at <= now:
        raise ShiftOverError
    refuse_clash(session, volunteer_id, starts_at, ends_at)
    shift = Shift(
        starts_at=starts_at,
        ends_at=ends_at,
        volunteer_id=volunteer_id,
        substitute_id=substitute_id if substitute_id != volunteer_id else None,
    )
    session.add(shift)
    session.flush()
    _note(session, shift, "add_shift", by, now)
    return shift


def assign(
    session: Session,
    shift: Shift,
    volunteer_id: int,
    by: Person,
    now: datetime,
    *,
    substitute_id: int | None = None,
    why: str = "",
) -> None:
    """Give a shift to these two, whoever had it. Raises ShiftOverError, ClashError, GoneError.

    During the shift, what waits for whoever had it goes to whoever has it now.
    """
    roster.hold(session, shift)
    if shift.ends_at <= now:
        raise ShiftOverError
    refuse_clash(session, volunteer_id, shift.starts_at, shift.ends_at, but=(shift.id,))
    before = shift.volunteer_id
    shift.volunteer_id = volunteer_id
    shift.substitute_id = substitute_id if substitute_id != volunteer_id else None
    session.flush()
    session.refresh(shift)
    _note(session, shift, "assign_shift", by, now, why=why, before=before)
    if shift.starts_at <= now and before != volunteer_id:
        handover.hand_on(session, before, shift.volunteer, by, now)


def remove(session: Session, shift: Shift, by: Person, now: datetime, *, why: str = "") -> None:
    """Take a shift that has not begun off the roster. Raises ShiftOverError."""
    if shift.starts_at < now:
        raise ShiftOverError
    _note(session, shift, "remove_shift", by, now, why=why)
    session.delete(shift)
    session.flush()


def absent(
    session: Session, shift: Shift, person: Volunteer, by: Person, now: datetime, *, why: str = ""
) -> Covered:
    """Somebody cannot come: the substitute takes the shift, else the duty lead, else it is a gap.

    Raises ShiftOverError, NotOnThisShiftError. One who cannot because of another shift is passed
    over. A shift under way that nobody can take ends now.
    """
    roster.hold(session, shift)
    if shift.ends_at <= now:
        raise ShiftOverError
    if person.id == shift.substitute_id:
        assign(session, shift, shift.volunteer_id, by, now, why=why)
        return Covered(shift, shift.volunteer)
    if person.id != shift.volunteer_id:
        raise NotOnThisShiftError
    for other in (shift.substitute, *session.scalars(roster.LEADS)):
        if other is None or not other.active or other.id == person.id:
            continue
        try:
            assign(session, shift, other.id, by, now, why=why)
        except ClashError:
            continue
        return Covered(shift, other)
    if shift.starts_at < now:
        shift.ends_at = now
        _note(session, shift, "end_shift", by, now, why=why)
    else:
        remove(session, shift, by, now, why=why)
    return Covered(shift, None)


def refuse_clash(
    session: Session, volunteer_id: int, starts_at: datetime, ends_at: datetime, *, but: tuple[int, ...] = ()
) -> None:  # fmt: skip
    """Raise ClashError if this person has a shift in that time already, other than those named;
    GoneError if they no longer take part."""
    if not session.get_one(Volunteer, volunteer_id).active:
        raise GoneError
    for other in roster.shifts(session, starts_at, ends_at):
        if other.volunteer_id == volunteer_id and other.id not in but:
            raise ClashError(other)


def day_off(
    session: Session, person: Volunteer, day: date, by: Person, now: datetime, *, why: str = ""
) -> bool:
    """Write down that somebody cannot have duty on a day; False if it was known."""
    known = select(DayOff.id).where(DayOff.volunteer_id == person.id, DayOff.day == day)
    if session.scalar(known) is not None:
        return False
    session.add(DayOff(volunteer_id=person.id, day=day, why=why[:80]))
    _note_day(session, "day_off", day, by, now, why=why, volunteer=person.id)
    return True


def no_day_off(session: Session, person: Volunteer, day: date, by: Person, now: datetime) -> bool:
    """They can after all; False if nothing else was known."""
    row = session.scalar(select(DayOff).where(DayOff.volunteer_id == person.id, DayOff.day == day))
    if row is None:
        return False
    session.delete(row)
    _note_day(session, "no_day_off", day, by, now, volunteer=person.id)
    return True


def override(
    session: Session, day: date, rest: bool | None, by: Person, now: datetime, *, name: str = ""
) -> None:
    """Declare a day a rest day or a working day; None: as published again."""
    row = session.get(DayOverride, day)
    if rest is None:
        if row is not None:
            session.delete(row)
    elif row is None:
        session.add(DayOverride(day=day, rest=rest, name=name[:40]))
    else:
        row.rest, row.name = rest, name[:40]
    _note_day(session, "override_day", day, by, now, why=name, rest=rest)


def rain(session: Session, day: date, it_rained: bool, by: Person, now: datetime) -> None:
    """Mark a day as rainy, or take the mark away."""
    row = session.get(RainyDay, day)
    if it_rained == (row is not None):
        return
    if row is None:
        session.add(RainyDay(day=day))
    else:
        session.delete(row)
    _note_day(session, "rain", day, by, now, rain=it_rained)


def may_lead(person: Volunteer) -> bool:
    """Whether they may change the roster of others."""
    return person.role in {Role.LEAD, Role.ADMIN, Role.COMMITTEE}


def _note(
    session: Session, shift: Shift, act: str, by: Person, now: datetime, *, why: str = "", **facts: object
) -> None:  # fmt: skip
    ledger.write(
        session, at=now, person=by, act=act, object_kind="shift", object_id=shift.id, why=why,
        starts=shift.starts_at.isoformat(), ends=shift.ends_at.isoformat(),
        volunteer=shift.volunteer_id, substitute=shift.substitute_id, **facts,
    )  # fmt: skip


def _note_day(
    session: Session, act: str, day: date, by: Person, now: datetime, *, why: str = "", **facts: object
) -> None:  # fmt: skip
    ledger.write(
        session, at=now, person=by, act=act, object_kind="day", object_id=None, why=why,
        day=day.isoformat(), **facts,
    )  # fmt: skip
