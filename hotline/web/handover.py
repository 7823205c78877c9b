"""交班: a note for whoever comes next, and the word of whoever was there before."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select

from hotline.runtime import Runtime
from hotline.web import cards, words
from hotline.web.guard import needs
from tickets import handover, roster
from tickets.models import Recording, Role
from tickets.rota import HandOver

LONGEST_NOTE = 400


def make_blueprint(runtime: Runtime) -> Blueprint:
    room = Blueprint("handover", __name__, url_prefix="/handover")
    db = runtime.db

    def show(refused: str = "", status: int = 200) -> Any:
        with db.reading() as session:
            shift = roster.on_duty(session, runtime.clock())
            mine = shift is not None and current_user.id in {
                shift.volunteer_id,
                shift.substitute_id,
            }
            page = render_template("handover.html", mine=mine, refused=refused, typed=request.form)
        return page, status

    @room.get("")
    @needs(Role.VOLUNTEER)
    def before_note() -> Any:
        return show()

    @room.post("")
    @needs(Role.VOLUNTEER)
    def write() -> Any:
        now, note = runtime.clock(), words.clean(request.form.get("note", ""))
        if not note or len(note) > LONGEST_NOTE:
            return show("long" if note else "empty", 409)
        with db.writing() as session:
            shift = roster.on_duty(session, now)
            if shift is None or current_user.id not in {shift.volunteer_id, shift.substitute_id}:
                return show("not_on_duty", 409)
            handover.write_note(session, shift, note, current_user.person, now)
        flash("记下来了。下一班一进来就看到。")
        return redirect(url_for("desk.today"))

    @room.get("/<int:hand_over_id>")
    @needs(Role.VOLUNTEER)
    def read(hand_over_id: int) -> Any:
        """The word of whoever was there before, and what each passed request said, to hear."""
        now = runtime.clock()
        with db.reading() as session:
            row = session.get(HandOver, hand_over_id)
            if row is None or row.to_id != current_user.id:
                abort(404)
            said = select(Recording).where(Recording.ticket_id.in_(row.passed), Recording.superseded.is_(False))  # fmt: skip
            return render_template(
                "left.html", row=row, now=now, recordings=session.scalars(said.order_by(Recording.id)).all(),
                cards=cards.of(session, runtime.settings, row.passed, now),
            )  # fmt: skip

    @room.post("/<int:hand_over_id>/heard")
    @needs(Role.VOLUNTEER)
    def heard(hand_over_id: int) -> Any:
        with db.writing() as session:
            row = session.get(HandOver, hand_over_id, with_for_update=True)
            if row is None or row.to_id != current_user.id:
                abort(404)
            handover.hear(session, row, current_user.person, runtime.clock())
        flash("好，知道了。")
        return redirect(url_for("desk.today"))

    return room
