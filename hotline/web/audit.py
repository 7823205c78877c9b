"""台账和抽查: whether the ledger is whole, the sheets to take along, and which requests to look at again."""

import secrets
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, send_file, url_for
from flask_login import current_user
from sqlalchemy import case, func, select

from hotline import heard_sheet
from hotline.runtime import Runtime
from hotline.store import Store
from hotline.web import board, cards
from hotline.web.desk import shown
from hotline.web.figures import asked_month, in_order
from hotline.web.guard import needs
from tickets import audit, export, ledger, sealing, spot_checks
from tickets.books import Seal, SpotCheck
from tickets.export import TooLongError
from tickets.models import Role, Ticket
from tickets.sealing import NotOverError

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def make_blueprint(runtime: Runtime) -> Blueprint:
    books = Blueprint("audit", __name__, url_prefix="/audit")
    db = runtime.db

    def show(refused: str = "") -> Any:
        now = runtime.clock()
        month = asked_month(now)
        with db.reading() as session:
            drawn = select(SpotCheck).where(SpotCheck.month == month.name)
            undone = SpotCheck.finding.is_(None)
            checks = session.scalars(
                drawn.order_by(undone.desc(), SpotCheck.id).limit(min(shown(), board.MOST_SHOWN))
            ).all()
            many, left = session.execute(
                drawn.with_only_columns(func.count(), func.count(case((undone, 1))))
            ).one()
            tickets = {
                row.id: row for row in in_order(session, Ticket, [c.ticket_id for c in checks])
            }
            return render_template(
                "audit.html", looked=audit.newest_look(session), refused=refused, many=many, left=left, sealed=sealing.sealed(session, month), sealing=sealing.asked(session, month), over=month.end <= now, checks=checks, tickets=tickets, page=board.A_PAGE, most=board.MOST_SHOWN, month=month, now=now,
                sheets=heard_sheet.SHEETS, title=cards.title, names=board.names(session),
                earlier=month.before.first, later=month.after if month.end <= now else None,
            )  # fmt: skip

    @books.get("")
    @needs(Role.COMMITTEE)
    def overview() -> Any:
        return show()

    @books.post("/verify")
    @needs(Role.COMMITTEE)
    def verify() -> Any:
        """Have every line of the ledger read; what was found stands on the page."""
        with db.writing() as session:
            owed = audit.ask(session, current_user.person, runtime.clock())
        if owed:
            runtime.bell.ring(owed)
        return redirect(url_for("audit.overview", month=asked_month(runtime.clock()).name))

    @books.post("/draw")
    @needs(Role.COMMITTEE)
    def draw() -> Any:
        """Draw the month's spot checks; the seed is written down, so that anybody can draw them again."""
        now = runtime.clock()
        month = asked_month(now)
        with db.writing() as session:
            before = session.scalar(select(SpotCheck.seed).where(SpotCheck.month == month.name).limit(1))  # fmt: skip
            seed = before if before is not None else secrets.randbelow(1_000_000)
            drawn = spot_checks.draw(session, month, seed, current_user.person, now)
        flash(f"抽好了，一共 {len(drawn)} 件。")
        return redirect(url_for("audit.overview", month=month.name))

    @books.post("/seal")
    @needs(Role.COMMITTEE)
    def seal() -> Any:
        """Have a month that is over sealed; what came of it stands on the page."""
        now = runtime.clock()
        month = asked_month(now)
        try:
            with db.writing() as session:
                owed = sealing.ask(session, month, current_user.person, now)
        except NotOverError:
            return show(refused="not_over"), 409
        if owed:
            runtime.bell.ring(owed)
        return redirect(url_for("audit.overview", month=month.name))

    @books.get("/sealed/<month>.zip")
    @needs(Role.COMMITTEE)
    def bundle(month: str) -> Any:
        """The sealed month to take along, once it is written down who takes it."""
        with db.writing() as session:
            kept = session.get(Seal, month) or abort(404)
            ledger.write(
                session, at=runtime.clock(), person=current_user.person, act="give_bundle",
                object_kind="month", object_id=None, month=kept.month,
            )  # fmt: skip
        name = f"{kept.month}.zip"
        return send_file(Store(runtime.settings.seals).open(kept.key), mimetype="application/zip", as_attachment=True, download_name=name)  # fmt: skip

    @books.get("/verify")
    @books.get("/draw", endpoint="draw_again")
    @books.get("/seal", endpoint="seal_again")
    @needs(Role.COMMITTEE)
    def from_history() -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("audit.overview"))

    @books.get("/<key>.xlsx")
    @needs(Role.COMMITTEE)
    def sheet(key: str) -> Any:
        """One sheet of a month, numbers masked, once it is written down who takes it."""
        now, asked = runtime.clock(), heard_sheet.BY_KEY.get(key) or abort(404)
        month = asked_month(now)
        name = month.name
        with db.writing() as session:
            ledger.write(
                session, at=now, person=current_user.person, act="export", object_kind="sheet",
                object_id=None, sheet=key, month=name,
            )  # fmt: skip
        with TemporaryDirectory() as folder, db.reading() as session:
            path = Path(folder) / "sheet.xlsx"
            try:
                with path.open("wb") as file:
                    export.write_xlsx(session, asked, month.start, min(month.end, now), file)
            except TooLongError:
                abort(413)
            written = path.read_bytes()
        return Response(
            written, content_type=XLSX,
            headers={"Content-Disposition": f'attachment; filename="{key}-{name}.xlsx"'},
        )  # fmt: skip

    return books
