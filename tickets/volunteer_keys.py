"""What a volunteer does by key with the request he has just heard, in a call of his or of ours."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import footwork, ledger, limits, notices, roster, service
from tickets.ledger import SYSTEM, Person
from tickets.lifecycle import OPEN, Act, NotPossibleError, State, possible
from tickets.models import Event, Kind, Promise, ReturnTry, Ticket, Volunteer
from tickets.notices import Why
from tickets.outings import Reason, Went
from tickets.volunteer_calls import TAKEN, settle

PLACE_UNSAID = "其他"  # by telephone nobody is asked where
STEPS_TO_DONE: dict[State, tuple[Act, ...]] = {
    State.ASSIGNED: (Act.ACCEPT, Act.FINISH),
    State.IN_HAND: (Act.FINISH,),
    State.WAITING: (Act.RESUME, Act.FINISH),
}


def listen(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> None:
    """Written before a volunteer hears a request; what he was reminded of he then knows."""
    by = ledger.volunteer(volunteer_id, "phone")
    for reminder in limits.unseen(session, ticket, volunteer_id):
        limits.see(session, reminder, by, now)
    for recording in ticket.recordings:
        if not recording.superseded:
            ledger.write(
                session, at=now, person=by, act="listen", object_kind="recording",
                object_id=recording.id,
            )  # fmt: skip


def see_number(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> None:
    """Written before the number is said to him that he is to ring."""
    ledger.write(
        session, at=now, person=ledger.volunteer(volunteer_id, "phone"), act="see_number",
        object_kind="ticket", object_id=ticket.id, why="电话里念给他听",
    )  # fmt: skip


def can_be_his(session: Session, ticket: Ticket, volunteer_id: int) -> bool:
    """It waits for somebody, is his already, or is late in another's hands and he was told so."""
    if ticket.assignee_id == volunteer_id or ticket.state in {State.NEW, State.ASSIGNED}:
        return True
    return ticket.state in OPEN and limits.was_reminded(session, ticket, volunteer_id)


def take(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> None:
    """He takes it, unless somebody else was quicker; what is late he takes out of another's hands."""
    if not can_be_his(session, ticket, volunteer_id):
        return
    person, by = session.get_one(Volunteer, volunteer_id), ledger.volunteer(volunteer_id, "phone")
    if ticket.state is State.NEW:
        service.act(session, ticket, Act.ASSIGN, SYSTEM, now, to=person)
    elif ticket.assignee_id != volunteer_id and ticket.state is State.IN_HAND:
        service.act(session, ticket, Act.PASS_ON, by, now, to=person, why="过了时间，接过来办")
    if Act.ACCEPT in possible(ticket.state):
        service.act(session, ticket, Act.ACCEPT, by, now)
        settle(session, ticket, TAKEN, now)


def tell(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> list[int]:
    """He wants the line to tell the resident that he is coming."""
    if ticket.assignee_id != volunteer_id or ticket.state is not State.IN_HAND:
        return []
    by = ledger.volunteer(volunteer_id, "phone")
    return service.announce(session, ticket, Event.ACCEPTED, by, now)


def pass_on(
    session: Session, settings: Settings, ticket: Ticket, volunteer_id: int, now: datetime
) -> None:
    """Somebody else is to do it: the next on duty, the substitute, the lead; else the lead hears of it."""
    if ticket.state not in OPEN or not can_be_his(session, ticket, volunteer_id):
        return
    to = next_person(session, ticket, volunteer_id, now)
    if to is None or Act.PASS_ON not in possible(ticket.state):
        notices.owe(session, settings, Why.NOT_TAKEN, now, test=ticket.test)
        return
    by = ledger.volunteer(volunteer_id, "phone")
    service.act(session, ticket, Act.PASS_ON, by, now, to=to, why="电话里转给别人")


def next_person(
    session: Session, ticket: Ticket, volunteer_id: int, now: datetime
) -> Volunteer | None:
    """To whom it goes; whoever was rung for it already comes last."""
    rung = select(ReturnTry.volunteer_id).join(Promise).where(Promise.ticket_id == ticket.id)
    tried = set(session.scalars(rung))
    others = [p for p in roster.people_to_ring(session, now) if p.id != volunteer_id]
    return min(others, key=lambda person: person.id in tried, default=None)


def finish(
    session: Session, ticket: Ticket, volunteer_id: int, now: datetime, *, outings: int | None
) -> list[int]:
    """It is done, he says. Returns the promises to ring the bell for."""
    if ticket.assignee_id != volunteer_id:
        return []
    by, owed = ledger.volunteer(volunteer_id, "phone"), []
    why = "" if outings is None else f"出门{outings}趟"
    if outings and ticket.state in STEPS_TO_DONE:
        _log_outings(session, ticket, by, outings, now)
    if ticket.kind is Kind.RING_BACK and ticket.state in STEPS_TO_DONE:  # the call was the errand
        ticket.contacted_at = ticket.contacted_at or now
    try:
        for act in STEPS_TO_DONE.get(ticket.state, ()):
            owed += service.act(session, ticket, act, by, now, why=why if act is Act.FINISH else "")
        if ticket.kind is Kind.RING_BACK and ticket.state is State.DONE:
            owed += service.act(session, ticket, Act.CONFIRM, by, now, why="已经通过电话")
    except NotPossibleError:  # the table has changed: nothing is done by halves
        return owed
    settle(session, ticket, TAKEN, now)
    return owed


def spoke(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> None:
    """He has spoken with the resident, from whatever telephone: the first contact, as he says."""
    if ticket.contacted_at is None and ticket.assignee_id == volunteer_id:
        ticket.contacted_at = now
        ledger.write(
            session, at=now, person=ledger.volunteer(volunteer_id, "phone"), act="called",
            object_kind="ticket", object_id=ticket.id, why="说过话了",
        )  # fmt: skip


def told(session: Session, ticket: Ticket, volunteer_id: int, now: datetime) -> None:
    """He has told the resident that it is done: nothing is left to ring about."""
    if ticket.state is State.DONE:
        ticket.contacted_at = ticket.contacted_at or now
        service.drop_news(session, ticket, now)
        by = ledger.volunteer(volunteer_id, "phone")
        service.act(session, ticket, Act.CONFIRM, by, now, why="打电话告诉了")


def explain_outings(
    session: Session, ticket: Ticket, volunteer_id: int, reason: Reason, now: datetime
) -> None:
    """Why he went out more than once: what he said in this call says so from now on."""
    by = ledger.volunteer(volunteer_id, "phone")
    for journey in footwork.outings(session, ticket):
        if journey.written_by == by.label and journey.place == PLACE_UNSAID and journey.reason is Reason.OTHER:  # fmt: skip
            footwork.explain(session, journey, reason, by, now)


def _log_outings(session: Session, ticket: Ticket, by: Person, outings: int, now: datetime) -> None:
    """Those of all he names that nobody has written down yet; the last settled it."""
    for number in range(footwork.count(session, ticket).volunteer + 1, outings + 1):
        footwork.log_outing(
            session, [ticket], by, now, went=Went.VOLUNTEER, place=PLACE_UNSAID,
            settled=number == outings, reason=Reason.OTHER if outings > 1 else None,
        )  # fmt: skip
