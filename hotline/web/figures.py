"""本月数据: the committee's figures, how each is counted, what is behind it, and the same on paper."""

from collections.abc import Sequence
from datetime import date, datetime
from io import BytesIO
from typing import Any

from flask import Blueprint, Response, abort, render_template, request
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from xlsxwriter import Workbook

from hotline.clock import local
from hotline.runtime import Runtime
from hotline.web import cards, sheet
from hotline.web.guard import needs
from ivr.models import Call
from tickets import counting, ledger
from tickets.counting import Period, Report
from tickets.figures import BY_KEY, behind
from tickets.models import Role, Ticket

FIVE = ("reached", "on_time", "once", "stayed_home", "satisfied")
ON_A_PAGE = 50
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HEADINGS = (
    "名称",
    "本月几件",
    "本月共几件",
    "本月百分比",
    "上月几件",
    "上月共几件",
    "上月百分比",
    "怎么算的",
)


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

    @figures.get("/month.xlsx")
    @needs(Role.COMMITTEE)
    def workbook() -> Response:
        """The month's figures as a workbook, once it is written down who takes it."""
        now = runtime.clock()
        month = asked_month(now)
        name = month.name
        with db.writing() as session:
            ledger.write(
                session, at=now, person=current_user.person, act="export", object_kind="sheet",
                object_id=None, sheet="figures", month=name,
            )  # fmt: skip
            written = _workbook(counting.report(session, month, now), name)
        return Response(
            written, content_type=XLSX,
            headers={"Content-Disposition": f'attachment; filename="figures-{name}.xlsx"'},
        )  # fmt: skip

    @figures.get("/<key>")
    @needs(Role.COMMITTEE)
    def rows(key: str) -> Any:
        """What a figure counts: requests or calls, fifty a page, the newest first."""
        now, figure = runtime.clock(), BY_KEY.get(key) or abort(404)
        month, counted = asked_month(now), request.args.get("only") == "counted"
        at = request.args.get("from", "0")
        start = int(at) if at.isascii() and at.isdigit() and len(at) < 8 else 0
        with db.writing() as session:
            sheet.note_look(session, "look_behind", "figure", None, now, figure=key, month=month.name)  # fmt: skip
            asked = behind(figure, month.start, month.end, now, counted=counted)
            ids = list(session.scalars(asked.offset(start).limit(ON_A_PAGE + 1)))
            shown = ids[:ON_A_PAGE]
            listed, calls = list[cards.Card](), []
            if figure.cohort.calls:
                calls = in_order(session, Call, shown)
            else:
                listed = cards.of(session, runtime.settings, shown, now)
            value = next(
                v for v in counting.report(session, month, now).values if v.figure.key == key
            )
            return render_template(
                "behind.html", value=value, month=month, counted=counted, cards=listed, calls=calls, now=now,
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


def _workbook(report: Report, name: str) -> bytes:
    file = BytesIO()
    with Workbook(file, {"in_memory": True, "strings_to_formulas": False}) as book:
        page = book.add_worksheet(name)
        page.write_row(0, 0, HEADINGS)
        for number, value in enumerate(report.values, 1):
            percent, before = (
                "" if each is None else f"{each:.1f}%"
                for each in (value.percent, value.percent_before)
            )
            page.write_row(number, 0, (
                value.figure.name, value.k, value.n, percent, value.k_before, value.n_before, before, value.figure.how,
            ))  # fmt: skip
    return file.getvalue()
