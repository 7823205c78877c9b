"""What the committee gets out of the tables, as sheets of rows: masked, in their words, streamed.

Every figure can be counted again by hand from these. Tests are left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, or_, select
from sqlalchemy.orm import Session, aliased

from hotline.clock import local
from hotline.phone import mask, mask_name
from tickets import audit
from tickets.figures import CALLS, message_left, own_trips, passed_on, trips
from tickets.ledger import LEDGER
from tickets.models import Duty, Promise, Recording, Resident, ReturnTry, Shift, Ticket, Volunteer
from tickets.outings import Journey, JourneyTicket, Went
from tickets.real import is_real
from tickets.rounds import TicketRound

BATCH = 500
Cell = str | int | None
Row = list[Cell]

KINDS = {"errand": "求助", "ring_back": "没留话"}
SOURCES = {"message": "留言", "talk": "志愿者接的", "short_call": "没留话", "desk": "当面"}
STATES = {
    "new": "已登记", "assigned": "已派单", "in_hand": "办理中", "waiting": "待补材料", "done": "已办结",
    "closed": "已回访", "withdrawn": "已撤销", "void": "无效", "merged": "已并单", "referred": "已转办",
}  # fmt: skip
MODES = {"help": "帮办", "for_them": "代办", "at_home": "上门办"}
REASONS = {
    "materials": "材料不齐", "closed": "窗口关门", "breakdown": "系统故障",
    "wrong_place": "找错地方", "in_person": "需本人到场", "other": "其他",
}  # fmt: skip
EVENTS = {"accepted": "受理", "visited": "上门", "done": "办好了", "materials": "缺材料"}
OUTCOMES = {
    "heard": "听完按1", "recorded": "留了话", "talked": "和志愿者说上话", "not_confirmed": "放完没按键",
    "machine": "留言机", "no_answer": "未接", "busy": "占线", "fault": "线路故障",
}  # fmt: skip
SATISFIED = {1: "满意", 2: "一般", 3: "没办好"}
FETCHES = {"wanted": "还没取回", "stored": "在", "failed": "取不回", "deleted": "已到期删除"}


@dataclass(frozen=True)
class Sheet:
    """A sheet: its name, its headings, and its rows of a span `[start, end)`."""

    key: str
    name: str
    headings: tuple[str, ...]
    rows: Callable[[Session, datetime, datetime], Iterator[Row]]


_first, _again = aliased(TicketRound), aliased(TicketRound)
_volunteer = aliased(Volunteer)


def _between(column: Any, start: datetime, end: datetime) -> ColumnElement[bool]:
    return and_(column >= start, column < end)


def _tickets(session: Session, start: datetime, end: datetime) -> Iterator[Row]:
    """Those opened, due or first done in the span: whatever its figures count."""
    asked = (
        select(
            Ticket.id, Ticket.day, Ticket.sequence, Ticket.kind, Ticket.source, Ticket.state,
            Ticket.round, Resident.name, Ticket.phone, Ticket.matter, Ticket.mode,
            _volunteer.name.label("volunteer"), Ticket.opened_at, Ticket.contact_by,
            Ticket.contacted_at, Ticket.accepted_at, Ticket.done_by, Ticket.done_at,
            _first.done_at.label("first_done_at"), _again.began_at.label("again_at"),
            Ticket.closed_at, own_trips.label("own_trips"), trips.label("trips"),
            Ticket.resident_trips, Ticket.satisfaction, passed_on.label("passed_on"),
        )
        .outerjoin(Resident, Resident.id == Ticket.resident_id)
        .outerjoin(_volunteer, _volunteer.id == Ticket.assignee_id)
        .outerjoin(_first, and_(_first.ticket_id == Ticket.id, _first.number == 1))
        .outerjoin(_again, and_(_again.ticket_id == Ticket.id, _again.number == 2))
        .where(
            is_real(Ticket),
            or_(*(
                _between(column, start, end)
                for column in (Ticket.opened_at, Ticket.contact_by, Ticket.contacted_at, Ticket.done_by, _first.done_at)
            )),
        )
        .order_by(Ticket.opened_at, Ticket.id)
    )  # fmt: skip
    for row in _stream(session, asked):
        yield [
            row.id, f"{row.day:%m%d}-{row.sequence:02d}", KINDS[row.kind], SOURCES[row.source],
            STATES[row.state], row.round, mask_name(row.name or ""), mask(row.phone or ""),
            row.matter, _named(MODES, row.mode), row.volunteer, _time(row.opened_at),
            _time(row.contact_by), _time(row.contacted_at), _time(row.accepted_at),
            _time(row.done_by), _time(row.done_at), _time(row.first_done_at), _time(row.again_at),
            _time(row.closed_at), row.own_trips, row.trips - row.own_trips, row.resident_trips,
            _named(SATISFIED, row.satisfaction), _yes(row.passed_on),
        ]  # fmt: skip


def _calls(session: Session, start: datetime, end: datetime) -> Iterator[Row]:
    calls = CALLS.c
    asked = (
        select(
            calls.id, calls.flow, calls.phone, calls.started_at, calls.answered_at, calls.ended_at,
            calls.taken_by.is_not(None).label("taken"), message_left.label("message"),
            Ticket.id.label("ticket"),
        )
        .outerjoin(Ticket, Ticket.call_id == calls.id)
        .where(is_real(calls), _between(calls.started_at, start, end))
        .order_by(calls.started_at, calls.id)
    )  # fmt: skip
    for row in _stream(session, asked):
        yield [
            row.id, "打进来" if row.flow == "inbound" else "打出去", mask(row.phone or ""),
            _time(row.started_at), _time(row.answered_at), _time(row.ended_at), _yes(row.taken),
            _yes(row.message), row.ticket,
        ]  # fmt: skip


def _return_calls(session: Session, start: datetime, end: datetime) -> Iterator[Row]:
    asked = (
        select(
            ReturnTry.id, Ticket.id.label("ticket"), Promise.event, ReturnTry.phone,
            ReturnTry.placed_at, ReturnTry.ended_at, ReturnTry.outcome, ReturnTry.satisfaction,
        )
        .join(Promise, Promise.id == ReturnTry.promise_id)
        .join(Ticket, Ticket.id == Promise.ticket_id)
        .where(
            is_real(Ticket),
            Promise.duty == Duty.RETURN_CALL,
            or_(
                _between(ReturnTry.placed_at, start, end), _between(ReturnTry.ended_at, start, end)
            ),
        )
        .order_by(ReturnTry.placed_at, ReturnTry.id)
    )  # fmt: skip
    for row in _stream(session, asked):
        yield [
            row.id, row.ticket, _named(EVENTS, row.event), mask(row.phone), _time(row.placed_at),
            _time(row.ended_at), _named(OUTCOMES, row.outcome), _named(SATISFIED, row.satisfaction),
        ]  # fmt: skip


def _journeys(session: Session, start: datetime, end: datetime) -> Iterator[Row]:
    """All outings of every request that had one in the span: which was the second is seen only so."""
    in_span = select(JourneyTicket.ticket_id).join(Journey).where(_between(Journey.at, start, end))
    asked = (
        select(
            Journey.id, JourneyTicket.ticket_id, Journey.at, Journey.went, Volunteer.name,
            Journey.place, Journey.settled, Journey.reason,
        )
        .join(JourneyTicket, JourneyTicket.journey_id == Journey.id)
        .join(Ticket, Ticket.id == JourneyTicket.ticket_id)
        .outerjoin(Volunteer, Volunteer.id == Journey.volunteer_id)
        .where(
            is_real(Ticket), Journey.withdrawn_at.is_(None),
            JourneyTicket.ticket_id.in_(in_span),
        )
        .order_by(Journey.at, Journey.id, JourneyTicket.ticket_id)
    )  # fmt: skip
    for row in _stream(session, asked):
        yield [
            row.id, row.ticket_id, _time(row.at), "居民" if row.went == Went.RESIDENT else "志愿者",
            row.name, row.place, _yes(row.settled), _named(REASONS, row.reason),
        ]  # fmt: skip


def _duty(session: Session, start: datetime, end: datetime) -> Iterator[Row]:
    asked = (
        select(Shift.starts_at, Shift.ends_at, Volunteer.name)
        .join(Volunteer, Volunteer.id == Shift.volunteer_id)
        .where(Shift.ends_at > start, Shift.starts_at < end)
        .order_by(Shift.starts_at, Shift.id)
    )
    for row in _stream(session, asked):
        yield [_time(row.starts_at), _time(row.ends_at), row.name]


def _recordings(session: Session, start: datetime, end: datetime) -> Iterator[Row]:
    asked = (
        select(
            Recording.id, Recording.ticket_id, Recording.made_at, Recording.fetch,
            Recording.sha256, Recording.size_bytes,
        )
        .outerjoin(Ticket, Ticket.id == Recording.ticket_id)
        .outerjoin(CALLS, CALLS.c.id == Recording.call_id)
        .where(
            _between(Recording.made_at, start, end),
            or_(Recording.ticket_id.is_(None), is_real(Ticket)),
            or_(Recording.call_id.is_(None), is_real(CALLS.c)),
        )
        .order_by(Recording.made_at, Recording.id)
    )  # fmt: skip
    for row in _stream(session, asked):
        yield [
            row.id, row.ticket_id, _time(row.made_at), FETCHES[row.fetch], row.sha256, row.size_bytes,
        ]  # fmt: skip


def _ledger(session: Session, start: datetime, end: datetime) -> Iterator[Row]:
    """As it is stored, so that its hashes can be counted again from the sheet.

    The words that people wrote stay in the house, where they can be erased: here is their digest.
    """
    for line in audit.written(session, _between(LEDGER.c.at, start, end)):
        yield list(line[:11])


SHEETS = (
    Sheet("tickets", "求助", (
        "序号", "编号", "类别", "来源", "状态", "第几轮", "姓名", "电话", "事项", "办法", "经办人",
        "登记时间", "联系期限", "联系时间", "接手时间", "办理期限", "办完时间", "第一次办完", "重新办理",
        "回访时间", "居民跑动", "志愿者跑动", "居民自己说跑了", "满意", "转派过",
    ), _tickets),
    Sheet("calls", "电话", ("序号", "方向", "号码", "时间", "应声时间", "结束时间", "志愿者接了", "留了话", "求助序号"), _calls),
    Sheet("return_calls", "回电", ("序号", "求助序号", "消息", "号码", "拨出时间", "结束时间", "结果", "满意"), _return_calls),
    Sheet("journeys", "跑动", ("序号", "求助序号", "时间", "谁去", "志愿者", "地点", "办成了", "为什么没办成"), _journeys),
    Sheet("duty", "值班", ("开始", "结束", "值班人"), _duty),
    Sheet("recordings", "录音", ("序号", "求助序号", "时间", "状态", "SHA-256", "字节"), _recordings),
    Sheet("ledger", "台账", (
        "行号", "时间(UTC)", "谁", "做了什么", "对象", "对象序号", "从哪里", "细节", "话的封印", "前一行封印", "封印",
    ), _ledger),
)  # fmt: skip
BY_KEY = {sheet.key: sheet for sheet in SHEETS}


def _stream(session: Session, asked: Executable) -> Iterator[Any]:
    with session.execute(asked, execution_options={"yield_per": BATCH}) as rows:
        yield from rows


def _time(instant: datetime | None) -> str:
    return f"{local(instant):%Y-%m-%d %H:%M:%S}" if instant else ""


def _named(names: Mapping[Any, str], value: Any) -> str:
    return names[value] if value is not None else ""


def _yes(value: Any) -> str:
    return "是" if value else "否"
