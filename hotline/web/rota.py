"""排班: a month on a page with what is wrong on top, who is rung right now, and changing one shift."""

from calendar import monthrange
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.runtime import Runtime
from hotline.web import words
from hotline.web.figures import asked_month
from hotline.web.guard import may, needs
from tickets import ledger, noticeboard, roster, roster_sheet, shifts, watch
from tickets.counting import Period
from tickets.models import Role, Shift, Volunteer
from tickets.shifts import ClashError, ShiftOverError

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def make_blueprint(runtime: Runtime) -> Blueprint:
    room = Blueprint("rota", __name__, url_prefix="/rota")
    db, settings = runtime.db, runtime.settings

    def days_of(month: Period) -> int:
        return monthrange(month.first.year, month.first.month)[1]

    def show(refused: str = "", facts: Any = None, status: int = 200) -> Any:
        now = runtime.clock()
        month = asked_month(now)
        with db.reading() as session:
            found = roster.shifts(session, month.start, month.end)
            page = render_template(
                "rota.html", month=month, now=now, shifts=found, refused=refused, facts=facts or {},
                ringing=roster.people_to_ring(session, now), on_duty=roster.on_duty(session, now),
                wrong=watch.problems(session, settings, month.first, days_of(month)),
                people=_people(session), spoken_span=watch.spoken, may_change=may(current_user.role, Role.LEAD),
                earlier=month.before.first, later=month.after,
            )  # fmt: skip
        return page, status

    @room.get("")
    @needs(Role.VOLUNTEER)
    def month() -> Any:
        return show()

    @room.get("/board")
    @needs(Role.VOLUNTEER)
    def board() -> Any:
        """For the notice board: names and hours, no number of anybody."""
        asked = asked_month(runtime.clock())
        with db.reading() as session:
            days = noticeboard.board(session, settings, asked.first, days_of(asked))
        return render_template("paper_roster.html", days=days, month=asked)

    @room.get("/month.xlsx")
    @needs(Role.LEAD)
    def sheet() -> Response:
        now = runtime.clock()
        asked = asked_month(now)
        name = f"{asked.first:%Y-%m}"
        with db.writing() as session:
            ledger.write(
                session, at=now, person=current_user.person, act="export", object_kind="sheet",
                object_id=None, sheet="roster", month=name,
            )  # fmt: skip
            written = roster_sheet.export(session, asked.first, days_of(asked))
        return Response(
            written, content_type=XLSX,
            headers={"Content-Disposition": f'attachment; filename="roster-{name}.xlsx"'},
        )  # fmt: skip

    @room.post("/gap")
    @needs(Role.LEAD)
    def fill_gap() -> Any:
        """Somebody for hours that nobody has."""
        try:
            starts_at, ends_at = (datetime.fromisoformat(request.form.get(each, "")) for each in ("starts", "ends"))  # fmt: skip
            local(starts_at), local(ends_at)
        except ValueError:
            return show("gone", status=409)
        try:
            with db.writing() as session:
                who = _chosen(session, "who")
                if who is None:
                    return show("nobody", status=409)
                now_gaps = watch.problems(session, settings, local(starts_at).date(), 1).gaps
                if (starts_at, ends_at) not in now_gaps:
                    return show("gone", status=409)
                shifts.add(
                    session, starts_at, ends_at, who.id, current_user.person, runtime.clock()
                )
                name = who.name
        except ShiftOverError:
            return show("over", status=409)
        except ClashError:
            return show("clash", status=409)
        flash(f"排好了：{watch.spoken(starts_at, ends_at)}，{name}。")
        return redirect(url_for("rota.month", month=f"{local(starts_at):%Y-%m}"))

    @room.get("/gap")
    @needs(Role.LEAD)
    def from_history() -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("rota.month"))

    def show_shift(shift_id: int, refused: str = "", status: int = 200) -> Any:
        with db.reading() as session:
            shift = session.get(Shift, shift_id) or abort(404)
            page = render_template(
                "shift.html", shift=shift, people=_people(session), refused=refused, typed=request.form,
                said=watch.spoken(shift.starts_at, shift.ends_at), over=shift.ends_at <= runtime.clock(),
            )  # fmt: skip
        return page, status

    @room.get("/shift/<int:shift_id>")
    @needs(Role.LEAD)
    def shift(shift_id: int) -> Any:
        return show_shift(shift_id)

    @room.post("/shift/<int:shift_id>")
    @needs(Role.LEAD)
    def change(shift_id: int) -> Any:
        """Give it to others, or write down that somebody cannot come."""
        now, by = runtime.clock(), current_user.person
        why = words.clean(request.form.get("why", ""))[:200]
        try:
            with db.writing() as session:
                row = session.get(Shift, shift_id, with_for_update=True) or abort(404)
                if request.form.get("do") == "absent":
                    came_of = shifts.absent(session, row, row.volunteer, by, now, why=why)
                    said = (
                        f"{came_of.now_on.name}来顶班。"
                        if came_of.now_on
                        else "现在没有人能顶，这一班空着，请再排一个人。"
                    )
                else:
                    who = _chosen(session, "who")
                    if who is None:
                        return show_shift(shift_id, "nobody", 409)
                    second = _chosen(session, "second")
                    shifts.assign(session, row, who.id, by, now, substitute_id=second.id if second else None, why=why)  # fmt: skip
                    said = f"换好了：{who.name}。"
                month = f"{row.starts_at:%Y-%m}"
        except ShiftOverError:
            return show_shift(shift_id, "over", 409)
        except ClashError:
            return show_shift(shift_id, "clash", 409)
        flash(said)
        return redirect(url_for("rota.month", month=month))

    return room


def _people(session: Session) -> Any:
    """Who can have duty."""
    roles = (Role.VOLUNTEER, Role.LEAD)
    return session.scalars(
        select(Volunteer)
        .where(Volunteer.active, Volunteer.role.in_(roles))
        .order_by(Volunteer.name)
    ).all()


def _chosen(session: Session, field: str) -> Volunteer | None:
    number = request.form.get(field, "")
    person = session.get(Volunteer, int(number)) if number.isdigit() and len(number) < 10 else None
    return person if person and person.active else None
