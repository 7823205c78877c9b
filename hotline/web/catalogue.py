"""办事目录: what the line works on, what each matter asks for, and when somebody last looked it up."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select

from hotline.clock import local
from hotline.runtime import Runtime
from hotline.web import board, words
from hotline.web.guard import needs
from tickets import matters
from tickets.catalogue import Entry
from tickets.lifecycle import IncompleteError
from tickets.matters import Matter, MatterChangedError, TooLongError
from tickets.models import Role

PROXY = {"yes": True, "no": False, "unknown": None}


def make_blueprint(runtime: Runtime) -> Blueprint:
    catalogue = Blueprint("catalogue", __name__, url_prefix="/matters")
    db = runtime.db

    @catalogue.get("")
    @needs(Role.COMMITTEE)
    def every() -> Any:
        """Those that somebody should look up again first."""
        today = local(runtime.clock()).date()
        with db.reading() as session:
            rows = session.scalars(select(Matter).order_by(Matter.id)).all()
            stale = {
                row.id
                for row in rows
                if row.active and matters.is_stale(row, today, runtime.settings.check_matters_days)
            }
            shown = sorted(rows, key=lambda row: (not row.active, row.id not in stale, row.id))
            return render_template(
                "matters.html", matters=shown, stale=stale, names=board.names(session)
            )

    def show(matter_id: int, refused: str = "", facts: Any = None, status: int = 200) -> Any:
        with db.reading() as session:
            matter = session.get(Matter, matter_id) or abort(404)
            today = local(runtime.clock()).date()
            page = render_template(
                "matter.html", matter=matter, refused=refused, facts=facts or {}, typed=request.form,
                stale=matters.is_stale(matter, today, runtime.settings.check_matters_days), names=board.names(session),
            )  # fmt: skip
        return page, status

    @catalogue.get("/<int:matter_id>")
    @needs(Role.COMMITTEE)
    def one(matter_id: int) -> Any:
        return show(matter_id)

    @catalogue.post("/<int:matter_id>")
    @needs(Role.COMMITTEE)
    def change(matter_id: int) -> Any:
        """Write it anew, say that it is still right, or take it out and in again."""
        now, form, by = runtime.clock(), request.form, current_user.person
        seen = int(form["seen"]) if form.get("seen", "").isdigit() and len(form["seen"]) < 9 else 0
        try:
            with db.writing() as session:
                matter = session.get(Matter, matter_id) or abort(404)
                match form.get("do"):
                    case "check":
                        matters.check(session, matter, by, now, seen=seen)
                        said = f"记下来了：{matter.name}，今天核对过。"
                    case "stop" | "use":
                        matters.use(session, matter, by, now, active=form["do"] == "use", seen=seen)
                        said = f"{matter.name}：{'又用起来了' if matter.active else '先不用了'}。"
                    case _:
                        matters.edit(session, matter, _written(matter), by, now, seen=seen)
                        said = f"记下来了：{matter.name}。"
        except MatterChangedError as error:
            with db.reading() as session:
                who = words.person(error.person, board.names(session)) if error.person else "有人"
            return show(matter_id, "changed", {"who": who}, 409)
        except IncompleteError:
            return show(matter_id, "no_name", status=409)
        except TooLongError as error:
            return show(matter_id, "long", {"longest": error.longest}, 409)
        flash(said)
        return redirect(url_for("catalogue.one", matter_id=matter_id))

    return catalogue


def _written(matter: Matter) -> Entry:
    """The entry as the form says it; what the form does not hold stays."""
    form = request.form
    kept = Entry(
        code=matter.code, name=matter.name, words=tuple(matter.words), urgent=matter.urgent,
        checked_on=matter.checked_on,
    )  # fmt: skip
    things = (words.clean(line) for line in form.get("materials", "").splitlines())
    return replace(
        kept, name=words.clean(form.get("name", "")), materials=tuple(dict.fromkeys(filter(None, things))),
        where=words.clean(form.get("where", "")), hours=words.clean(form.get("hours", "")),
        by_proxy=PROXY.get(form.get("by_proxy", ""), matter.by_proxy),
    )  # fmt: skip
