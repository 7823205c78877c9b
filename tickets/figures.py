"""The committee's figures, each defined once: what is counted, of what, and how to say it.

A figure is k of n. What n counts (a cohort) belongs to the day of one instant, so that the days of
a period add up, and the requests or calls behind a figure are the same conditions without the sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    SQLColumnExpression,
    String,
    and_,
    column,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    table,
)
from sqlalchemy.orm import aliased

from hotline.db import UtcDateTime
from tickets.epoch import seconds
from tickets.lifecycle import Act, State
from tickets.models import (
    TRY_PROMISES,
    Event,
    Fetch,
    Kind,
    Promise,
    Recording,
    ReturnTry,
    Ticket,
)
from tickets.outings import Journey, JourneyTicket, Went
from tickets.real import is_real
from tickets.returns import PROVEN, Outcome
from tickets.rounds import Deed, TicketRound
from tickets.trips import GOAL

FEWEST = 10  # below this a percentage says more than is known
REOPENED_WITHIN_SECONDS = 7 * 24 * 3600
ANSWERED_WITHIN_SECONDS = 15  # GB/T 33358-2016

# The telephone's table, which this side of the house knows by name only.
CALLS = table(
    "calls", column("id"), column("flow"), column("test", Boolean), column("taken_by"), column("phone", String),
    column("started_at", UtcDateTime), column("answered_at", UtcDateTime),
    column("ended_at", UtcDateTime),
)  # fmt: skip


@dataclass(frozen=True)
class Cohort:
    """What is counted, each at one instant."""

    key: str
    at: SQLColumnExpression[Any]
    id: ColumnElement[Any]  # of the request or call that is shown behind the figure
    rows: Select[Any]
    calls: bool = False  # whether `id` names calls; else requests
    due: bool = False  # counted only once the instant has passed
    sums: Mapping[str, ColumnElement[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """k of n: those of the cohort that fulfil a condition. `how` is read by the committee."""

    key: str
    name: str
    cohort: Cohort
    counts: ColumnElement[bool]
    how: str


_ticket = Ticket.__table__.c
_real = and_(Ticket.kind == Kind.ERRAND, is_real(Ticket))
_nothing = (State.VOID, State.MERGED)  # no request of its own
_not_ours = (*_nothing, State.WITHDRAWN, State.REFERRED)
_first, _again = aliased(TicketRound), aliased(TicketRound)
_outings = (
    select(func.count())
    .select_from(JourneyTicket)
    .join(Journey, Journey.id == JourneyTicket.journey_id)
    .where(JourneyTicket.ticket_id == Ticket.id, Journey.withdrawn_at.is_(None))
    .correlate(Ticket)
)
trips = _outings.scalar_subquery()
own_trips = _outings.where(Journey.went == Went.RESIDENT).scalar_subquery()


def _reopened(*when: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(_again.ticket_id == Ticket.id, _again.number == 2, *when)


OFFERED = Cohort(
    "offered", CALLS.c.started_at, CALLS.c.id,
    select().select_from(CALLS).where(CALLS.c.flow == "inbound", is_real(CALLS.c)), calls=True,
)  # fmt: skip
RING_BACKS = Cohort(
    "ring_backs", _ticket.contact_by, _ticket.id,
    select().select_from(Ticket).where(
        Ticket.kind == Kind.RING_BACK, is_real(Ticket),
        Ticket.state.not_in((*_nothing, State.WITHDRAWN)),
    ), due=True,
)  # fmt: skip
CONTACTS = Cohort(
    "contacts", _ticket.contact_by, _ticket.id,
    select().select_from(Ticket).where(_real, Ticket.state.not_in((*_nothing, State.WITHDRAWN))), due=True,
)  # fmt: skip
REGISTERED = Cohort(
    "registered", _ticket.opened_at, _ticket.id,
    select().select_from(Ticket).where(_real, Ticket.state.not_in(_not_ours)),
)  # fmt: skip
LIMITS = Cohort(
    "limits", _ticket.done_by, _ticket.id,
    select().select_from(Ticket).where(_real, Ticket.state.not_in(_not_ours)), due=True,
)  # fmt: skip
DONE = Cohort(
    "done", _first.done_at, _ticket.id,
    select().select_from(Ticket)
    .join(_first, and_(_first.ticket_id == Ticket.id, _first.number == 1))
    .where(_real, Ticket.state.not_in(_not_ours)),
    sums={"trips": trips},
)  # fmt: skip
# One call brings all news of a person; what was done may not be what the call was placed for.
_brought = aliased(Promise)
_told_of_done = exists().where(
    TRY_PROMISES.c.try_id == ReturnTry.id, TRY_PROMISES.c.promise_id == _brought.id,
    _brought.event == Event.DONE,
)  # fmt: skip
ANSWERED = Cohort(
    "answered", ReturnTry.__table__.c.ended_at, _ticket.id,
    select().select_from(ReturnTry)
    .join(Promise, Promise.id == ReturnTry.promise_id).join(Ticket, Ticket.id == Promise.ticket_id)
    .where(
        or_(Promise.event == Event.DONE, _told_of_done), is_real(Ticket),
        ReturnTry.outcome.in_([outcome.value for outcome in PROVEN]),
    ),
)  # fmt: skip
COHORTS = (OFFERED, RING_BACKS, CONTACTS, REGISTERED, LIMITS, DONE, ANSWERED)

# Counted, where EXISTS would say the same: PostgreSQL then reads all recordings for fifty calls.
message_left = (
    select(func.count())
    .where(
        Recording.call_id == CALLS.c.id,
        Recording.superseded.is_(False),
        Recording.fetch != Fetch.FAILED,
    )
    .correlate(CALLS)
    .scalar_subquery()
) > 0
_in_time = and_(Ticket.contacted_at.is_not(None), Ticket.contacted_at <= Ticket.contact_by)
_on_time = and_(Ticket.done_at.is_not(None), Ticket.done_at <= Ticket.done_by)
passed_on = exists().where(
    Deed.ticket_id == Ticket.id, Deed.act == Act.PASS_ON, Deed.undone_at.is_(None)
)
_heard = ReturnTry.outcome == Outcome.HEARD

# fmt: off
FIGURES = (
    Figure("reached", "接通率", OFFERED, CALLS.c.taken_by.is_not(None) | message_left,
           "留下了话的、志愿者接了的电话 ÷ 打进来的电话。只问进展、没留话的不算接通。测试电话不算。"),
    Figure("answered_fast", "15秒接通率", OFFERED,
           seconds(CALLS.c.answered_at) - seconds(CALLS.c.started_at) <= ANSWERED_WITHIN_SECONDS,
           "响起后15秒内应了声的电话 ÷ 打进来的电话。应声的是机器，志愿者接没接看接通率。"),
    Figure("called_back", "漏接回拨率", RING_BACKS, _in_time,
           "没留话的，在期限（值班时间1小时）内回了电话的 ÷ 这段时间到期该回的。又打来留了话的不算。"),
    Figure("responded", "响应率", CONTACTS, _in_time,
           "在期限内和居民说上话的求助 ÷ 这段时间到期该联系的求助。撤销、无效、并单的不算。"),
    Figure("finished", "办结率", REGISTERED, Ticket.state.in_((State.DONE, State.CLOSED)),
           "现在已经办完的 ÷ 这段时间受理的求助。撤销、无效、并单、转办的不算。"),
    Figure("on_time", "按时办结率", LIMITS, _on_time,
           "在期限前办完的 ÷ 办理期限落在这段时间的求助。撤销、无效、并单、转办的不算。"),
    Figure("overdue", "超期率", LIMITS, not_(func.coalesce(_on_time, false())),
           "到期没办完、或者晚了才办完的 ÷ 办理期限落在这段时间的求助。"),
    Figure("passed_on", "退单率", REGISTERED, passed_on,
           "派下去又转给别人办的 ÷ 这段时间受理的求助。撤回的转派不算。"),
    Figure("once", "最多跑一次达成率", DONE,
           and_(trips <= GOAL, ~_reopened(seconds(_again.began_at) - seconds(_first.done_at) < REOPENED_WITHIN_SECONDS)),
           "居民和志愿者加起来最多跑了一次，7天内又没有重办的 ÷ 这段时间第一次办完的求助。上门取件送件不算跑。"),
    Figure("stayed_home", "零跑率", DONE,
           and_(own_trips == 0, func.coalesce(Ticket.resident_trips, 0) == 0),
           "居民自己一次没跑的（回电时他自己也没说跑过） ÷ 这段时间第一次办完的求助。"),
    Figure("redone", "重办率", DONE, _reopened(),
           "办完后又重新办的 ÷ 这段时间第一次办完的求助。"),
    Figure("solved", "解决率", ANSWERED, and_(_heard, func.coalesce(ReturnTry.satisfaction, 0) != 3),
           "听完「办好了」按了1、也没说没办好的 ÷ 真正接通的办结回电。没接、占线、留言机都不算接通。"),
    Figure("satisfied", "满意率", ANSWERED, func.coalesce(ReturnTry.satisfaction, 0) == 1,
           "在回电里说满意的 ÷ 真正接通的办结回电。没打通的不算满意，没回答的也不算。"),
)
# fmt: on
BY_KEY = {figure.key: figure for figure in FIGURES}


def within(cohort: Cohort, start: datetime, end: datetime, now: datetime) -> ColumnElement[bool]:
    """That a row of the cohort belongs to `[start, end)`."""
    return and_(cohort.at >= start, cohort.at < (min(end, now) if cohort.due else end))


def behind(
    figure: Figure, start: datetime, end: datetime, now: datetime, *, counted: bool
) -> Select[Any]:
    """The ids of the requests or calls that n counts, or only those k counts; the newest first."""
    rows = figure.cohort.rows.add_columns(figure.cohort.id)
    if counted:
        rows = rows.where(figure.counts)
    return rows.where(within(figure.cohort, start, end, now)).order_by(figure.cohort.at.desc())
