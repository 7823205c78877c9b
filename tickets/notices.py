"""What volunteers are told without their asking: a ring each, and a word to their groups that there
is something to look at, never who or what it is."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from tickets import promises
from tickets.models import Duty, Promise, PromiseState, Ticket, Volunteer
from tickets.reminders import Reminder
from tickets.roster import next_shift, on_duty


class Why(StrEnum):
    NEW = "new"
    URGENT = "urgent"
    NOT_TAKEN = "not_taken"
    LINE_AT_FAULT = "line_at_fault"
    NOT_BACK = "not_back"
    ROSTER = "roster"
    LATE = "late"


TEXTS = {
    Why.NEW: "有{count}件新的事，请值班的人看一下。",
    Why.URGENT: "有{count}件急事，请值班的人马上看一下。",
    Why.NOT_TAKEN: "有{count}件事还没人接，请组长看一下。",
    Why.NOT_BACK: "有{count}家说交来的东西还没还，请组长马上看一下。",
    Why.ROSTER: "值班表有{count}处要看一下：有的时候没人，或者排重了。请组长看一下。",
    Why.LATE: "有{count}件事过了时间，打电话也没人接，请组长看一下。",
    Why.LINE_AT_FAULT: "热线的电话打不出去，请居委会查一查。",
}
AT_ONCE = frozenset({Why.URGENT, Why.LINE_AT_FAULT})
GIVEN_UP = "群里发不出去"


def owe(
    session: Session, settings: Settings, why: Why, now: datetime, *, test: bool = False
) -> Promise | None:
    """Owe the groups a word: at once if it is urgent, else when somebody is on duty; of a test, none."""
    if test or not settings.notice_urls:
        return None
    shift = None if why in AT_ONCE or on_duty(session, now) else next_shift(session, now)
    due_at = shift.starts_at if shift else now
    return promises.make(session, Duty.NOTICE, now, due_at=due_at, notice=why)


def call(session: Session, ticket: Ticket, now: datetime) -> Promise:
    """Owe whoever is to take this request a ring; an older one for it is overtaken."""
    for promise in session.scalars(
        select(Promise).where(
            Promise.ticket_id == ticket.id,
            Promise.duty == Duty.TELL_VOLUNTEER,
            Promise.state == PromiseState.OPEN,
        )
    ):
        promises.settle(promise, PromiseState.DROPPED, "交给别人了", now)
    return promises.make(session, Duty.TELL_VOLUNTEER, now, ticket_id=ticket.id)


def remind(
    session: Session, settings: Settings, reminder: Reminder, now: datetime
) -> Promise | None:
    """Owe whoever has to be reminded a ring, if that is how they are told."""
    if not wants_rings(session.get_one(Volunteer, reminder.volunteer_id), settings):
        return None
    return promises.make(
        session, Duty.TELL_VOLUNTEER, now, ticket_id=reminder.ticket_id, reminder_id=reminder.id
    )


def wants_rings(person: Volunteer, settings: Settings) -> bool:
    """Whether they are rung, or look at the page: as they, or else the setting, say."""
    wanted = settings.ring_volunteers if person.ring_me is None else person.ring_me
    return wanted and person.phone is not None


def together(session: Session, promise: Promise, now: datetime) -> list[Promise]:
    """This word and all others of its kind that are due: one message counts them."""
    others = session.scalars(
        select(Promise)
        .where(
            Promise.duty == Duty.NOTICE, Promise.notice == promise.notice,
            Promise.state == PromiseState.OPEN, Promise.due_at <= now, Promise.id != promise.id,
        )
        .order_by(Promise.id)
    )  # fmt: skip
    return [promise, *others]


def text(why: Why, count: int) -> str:
    return TEXTS[why].format(count=count)
