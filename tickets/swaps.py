"""Swapping shifts in two taps: one asks, the other says yes. Or directly, by whoever leads the duty."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from tickets import ledger, roster, shifts
from tickets.ledger import Person
from tickets.models import Shift, Volunteer
from tickets.rota import Swap, SwapState


class NotTheirsError(Exception):
    """The shift is not, or no longer, the shift of whoever gives it away."""


class SwapOverError(Exception):
    """It was answered already, or the roster has changed; carries the state it is in."""

    def __init__(self, state: SwapState) -> None:
        super().__init__(f"the swap is {state}")
        self.state = state


def propose(
    session: Session,
    shift: Shift,
    to: Volunteer,
    now: datetime,
    *,
    in_return: Shift | None = None,
) -> Swap:
    """The one who has the shift asks another to take it, in return for one of theirs or for nothing.

    Raises ShiftOverError (it has begun), NotTheirsError, ClashError, GoneError. Asked twice, it is
    one proposal.
    """
    _check(session, shift, to.id, in_return, now)
    standing = session.scalar(
        select(Swap).where(
            Swap.shift_id == shift.id, Swap.to_id == to.id, Swap.state == SwapState.PROPOSED,
            Swap.return_shift_id == (in_return.id if in_return else None),
        )
    )  # fmt: skip
    if standing is not None:
        return standing
    swap = Swap(
        shift_id=shift.id, from_id=shift.volunteer_id, to_id=to.id, proposed_at=now,
        return_shift_id=in_return.id if in_return else None,
    )  # fmt: skip
    session.add(swap)
    session.flush()
    _note(session, swap, "propose_swap", ledger.volunteer(swap.from_id), now)
    return swap


def accept(session: Session, swap_id: int, by: Person, now: datetime) -> Swap:
    """The one who was asked says yes, and the shifts change hands.

    Where the roster has changed meanwhile, or the shift has begun, nothing happens and the swap
    comes back as overtaken. Raises SwapOverError, ClashError, GoneError, NotTheirsError (it is not
    theirs to answer).
    """
    swap = _open(session, swap_id)
    if by.volunteer_id != swap.to_id:
        raise NotTheirsError
    try:
        _check(session, swap.shift, swap.to_id, swap.return_shift, now, giver=swap.from_id)
    except (NotTheirsError, shifts.ShiftOverError):
        _answer(session, swap, SwapState.OVERTAKEN, ledger.SYSTEM, now)
        return swap
    _change_hands(session, swap.shift, swap.to_id, swap.return_shift, by, now)
    _answer(session, swap, SwapState.ACCEPTED, by, now)
    return swap


def decline(session: Session, swap_id: int, by: Person, now: datetime) -> Swap:
    """The one who was asked says no, or the one who asked takes it back. Raises as `accept`."""
    swap = _open(session, swap_id)
    if by.volunteer_id not in {swap.to_id, swap.from_id}:
        raise NotTheirsError
    state = SwapState.DECLINED if by.volunteer_id == swap.to_id else SwapState.WITHDRAWN
    _answer(session, swap, state, by, now)
    return swap


def directly(
    session: Session,
    shift: Shift,
    to: Volunteer,
    by: Person,
    now: datetime,
    *,
    in_return: Shift | None = None,
) -> None:
    """By whoever leads the duty, without asking. Raises as `propose`; who may is asked at the door."""
    _check(session, shift, to.id, in_return, now)
    _change_hands(session, shift, to.id, in_return, by, now)


def asked_of(session: Session, volunteer_id: int) -> Sequence[Swap]:
    """What waits for this person's answer, the oldest first."""
    return session.scalars(
        select(Swap)
        .where(Swap.to_id == volunteer_id, Swap.state == SwapState.PROPOSED)
        .order_by(Swap.id)
    ).all()


def _open(session: Session, swap_id: int) -> Swap:
    swap = session.get_one(Swap, swap_id)
    roster.hold(session, swap.shift, swap.return_shift)
    session.refresh(swap)
    if swap.state is not SwapState.PROPOSED:
        raise SwapOverError(swap.state)
    return swap


def _check(
    session: Session,
    shift: Shift,
    to_id: int,
    in_return: Shift | None,
    now: datetime,
    *,
    giver: int | None = None,
) -> None:
    """That both shifts are still theirs to give, have not begun, and clash with nothing else."""
    roster.hold(session, shift, in_return)
    given = [each for each in (shift, in_return) if each is not None]
    if any(each.starts_at <= now for each in given):
        raise shifts.ShiftOverError
    if giver is not None and shift.volunteer_id != giver:
        raise NotTheirsError
    if to_id == shift.volunteer_id or (in_return and in_return.volunteer_id != to_id):
        raise NotTheirsError
    but = tuple(each.id for each in given)
    shifts.refuse_clash(session, to_id, shift.starts_at, shift.ends_at, but=but)
    if in_return:
        shifts.refuse_clash(
            session, shift.volunteer_id, in_return.starts_at, in_return.ends_at, but=but
        )


def _change_hands(
    session: Session, shift: Shift, to_id: int, in_return: Shift | None, by: Person, now: datetime
) -> None:
    giver = shift.volunteer_id
    _give(session, shift, to_id, by, now)
    if in_return:
        _give(session, in_return, giver, by, now)
    touched = [each.id for each in (shift, in_return) if each is not None]
    for other in session.scalars(
        select(Swap).where(
            Swap.state == SwapState.PROPOSED,
            or_(Swap.shift_id.in_(touched), Swap.return_shift_id.in_(touched)),
            or_(Swap.to_id != to_id, Swap.shift_id != shift.id),
        )
    ):
        _answer(session, other, SwapState.OVERTAKEN, ledger.SYSTEM, now)


def _give(session: Session, shift: Shift, to_id: int, by: Person, now: datetime) -> None:
    """The new one takes it; a substitute who takes it himself is stood in for by whoever gave it."""
    before, substitute = shift.volunteer_id, shift.substitute_id
    shift.volunteer_id = to_id
    shift.substitute_id = before if substitute == to_id else substitute
    session.flush()
    session.refresh(shift)
    ledger.write(
        session, at=now, person=by, act="swap_shift", object_kind="shift", object_id=shift.id,
        before=before, volunteer=to_id, substitute=shift.substitute_id,
    )  # fmt: skip


def _answer(session: Session, swap: Swap, state: SwapState, by: Person, now: datetime) -> None:
    swap.state, swap.answered_at = state, now
    _note(session, swap, f"swap_{state}", by, now)


def _note(session: Session, swap: Swap, act: str, by: Person, now: datetime) -> None:
    ledger.write(
        session, at=now, person=by, act=act, object_kind="swap", object_id=swap.id,
        shift=swap.shift_id, in_return=swap.return_shift_id, asked=swap.to_id,
    )  # fmt: skip
