"""排班: a month on a page with what is wrong on top, and who is rung right now."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_login import current_user

from hotline.clock import local
from hotline.runtime import Runtime
from hotline.web import rota_changes
from hotline.web.figures import asked_month
from hotline.web.guard import may, needs
from hotline.web.rota_changes import chosen, days_of, people
from tickets import ledger, noticeboard, roster, roster_sheet, shifts, watch
from tickets.models import Role
from tickets.shifts import ClashError, ShiftOverError

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def make_blueprint(runtime: Runtime) -> Blueprint:
    room = Blueprint("rota", __name__, url_prefix="/rota")
    db, settings = runtime.db, runtime.settings

    def show(refused: str = "", facts: Any = None, status: int = 200) -> Any:
        now = runtime.clock()
        month = asked_month(now)
        with db.reading() as session:
            found = roster.shifts(session, month.start, month.end)
            page = render_template(
                "rota.html", month=month, now=now, shifts=found, refused=refused, facts=facts or {},
                ringing=roster.people_to_ring(session, now), on_duty=roster.on_duty(session, now),
                wrong=watch.problems(session, settings, month.first, days_of(month)),
                people=people(session), spoken_span=watch.spoken, may_change=may(current_user.role, Role.LEAD),
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
                who = chosen(session, "who")
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

    rota_changes.add_to(room, runtime)
    return room
