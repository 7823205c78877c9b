"""What is printed: the day's list for the room, and a slip to take along. No telephone number on any of them."""

from typing import Any

import segno
from flask import Blueprint, abort, render_template, url_for

from hotline.phone import Phone
from hotline.runtime import Runtime
from hotline.web import board, cards, sheet, words
from hotline.web.guard import needs
from tickets import checklist
from tickets.models import Role, Ticket


def make_blueprint(runtime: Runtime) -> Blueprint:
    papers = Blueprint("papers", __name__)
    db, settings = runtime.db, runtime.settings

    @papers.get("/paper/today")
    @needs(Role.VOLUNTEER)
    def day() -> Any:
        """A4: what is open for whoever prints it, with a box to tick."""
        now = runtime.clock()
        with db.writing() as session:
            who = sheet.me(session, now)
            sheet.note_look(session, "print_day", "volunteer", who.visitor.id, now)
            listed, _ = board.to_do(session, settings, who, now, board.MOST_SHOWN)
        return render_template("paper_day.html", cards=listed, me=who, now=now)

    @papers.get("/request/<int:ticket_id>/slip")
    @needs(Role.VOLUNTEER)
    def slip(ticket_id: int) -> Any:
        """A5: one errand in letters of 18 points, and a code that opens its page."""
        now = runtime.clock()
        with db.writing() as session:
            ticket = session.get(Ticket, ticket_id) or abort(404)
            sheet.note_look(session, "print", "ticket", ticket_id, now)
            card, things = (
                cards.of(session, settings, [ticket_id], now)[0],
                [item.what for item in checklist.items(session, ticket)],
            )
        address = f"{settings.public_url}{url_for('desk.one', ticket_id=ticket_id)}"
        code = segno.make(address, error="m").svg_inline(omitsize=True, svgclass="qr", lineclass=None, title="打开这件事的码")  # fmt: skip
        return render_template("paper_slip.html", card=card, things=things, now=now, code=code)

    @papers.get("/paper/card")
    @needs(Role.VOLUNTEER)
    def household_card() -> Any:
        """For the wall beside a telephone: letters of 28 points and more."""
        number = words.grouped(Phone(settings.line_number).dialled) if settings.line_number else ""
        return render_template("paper_card.html", number=number)

    return papers
