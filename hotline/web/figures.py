"""本月数据: the committee's figures, how each is counted, what is behind it, and the same on paper."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Response, abort, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.runtime import Runtime
from hotline.web import board, sheet
from hotline.web.guard import needs
from ivr.models import Call
from tickets import counting, understanding
from tickets.counting import Period, Value
from tickets.figures import BY_KEY, behind
from tickets.models import Role, Ticket

FIVE = ("reached", "on_time", "once", "stayed_home", "satisfied")
ON_A_PAGE = 50


def make_blueprint(runtime: Runtime) -> Blueprint:
    figures = Blueprint("figures", __name__, url_prefix="/figures")
    db = runtime.db

    def page(template: str) -> Any:
        now = runtime.clock()
        month = asked_month(now)
        with db.reading() as session:
            report = counting.report(session, month, now)
        return render_template(
            template, report=report, five=[report[key] for key in FIVE], month=month, now=now,
            rest=[value for value in report.values if value.figure.key not in FIVE],
            earlier=month.before.first, later=month.after if month.end <= now else None,
        )  # fmt: skip

    @figures.get("")
    @needs(Role.COMMITTEE)
    def this_month() -> Any:
        return page("figures.html")

    @figures.get("/report")
    @needs(Role.COMMITTEE)
    def monthly() -> Any:
        """The monthly report: no person in it, so that it may hang on a wall."""
        return page("report.html")

    @figures.get("/bars.svg")
    @needs(Role.COMMITTEE)
    def bars() -> Response:
        now = runtime.clock()
        with db.reading() as session:
            report = counting.report(session, asked_month(now), now)
        drawn = render_template("bars.svg", values=[report[key] for key in FIVE])
        return Response(drawn, content_type="image/svg+xml")

    @figures.get("/<key>")
    @needs(Role.COMMITTEE)
    def rows(key: str) -> Any:
        """What a figure counts: requests or calls, fifty a page, the newest first."""
        now, figure = runtime.clock(), BY_KEY.get(key) or abort(404)
        month, counted = asked_month(now), request.args.get("only") == "counted"
        at = request.args.get("from", "0")
        start = int(at) if at.isascii() and at.isdigit() and len(at) < 8 else 0
        with db.writing() as session:
            sheet.note_look(session, "look_behind", "figure", None, now, figure=key, month=f"{month.first:%Y-%m}")  # fmt: skip
            asked = behind(figure, month.start, month.end, now, counted=counted)
            ids = list(session.scalars(asked.offset(start).limit(ON_A_PAGE + 1)))
            shown = ids[:ON_A_PAGE]
            cards, calls = [], []
            if figure.cohort.calls:
                calls = in_order(session, Call, shown)
            else:
                cards = [board.card(ticket, runtime.settings, now, understanding.names(session)) for ticket in in_order(session, Ticket, shown)]  # fmt: skip
            value = next(
                v for v in counting.report(session, month, now).values if v.figure.key == key
            )
            return render_template(
                "behind.html", value=value, month=month, counted=counted, cards=cards, calls=calls, now=now,
                tickets=tickets_of(session, calls), start=start, more=start + ON_A_PAGE if len(ids) > ON_A_PAGE else None,
            )  # fmt: skip

    return figures


def asked_month(now: datetime) -> Period:
    """The month in the address, such as 2026-11; anything else is this month."""
    written = request.args.get("month", "")
    try:
        first = date.fromisoformat(f"{written}-01") if len(written) == 7 else local(now).date()
        return Period.month(first.year, first.month)
    except ValueError:
        return Period.month(local(now).year, local(now).month)


def in_order(session: Session, kind: Any, ids: Sequence[int]) -> list[Any]:
    found = {row.id: row for row in session.scalars(select(kind).where(kind.id.in_(ids)))}
    return [found[each] for each in ids if each in found]


def tickets_of(session: Session, calls: Sequence[Call]) -> dict[int, Ticket]:
    """The request that each call made, by the call."""
    rows = session.scalars(select(Ticket).where(Ticket.call_id.in_([call.id for call in calls])))
    return {row.call_id: row for row in rows if row.call_id}


def said(value: Value) -> str:
    """96.2%, or nothing where there are too few."""
    return f"{value.percent:.1f}%" if value.percent is not None else ""
