"""On foot: what to have ready, outings with their number, things taken along. Nothing here is ever blocked."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session

from hotline.runtime import Runtime
from hotline.web import auth, cards, sheet, words
from hotline.web.guard import needs
from hotline.web.sheet import Refused
from tickets import checklist, footwork
from tickets.footwork import OutingChangedError
from tickets.ledger import Person
from tickets.lifecycle import IncompleteError, TooLateError
from tickets.models import Role, Ticket
from tickets.outings import PLACES, Carried, Journey, JourneyTicket, Reason, Went

OTHER_PLACE = PLACES[-1]


def make_blueprint(runtime: Runtime) -> Blueprint:
    outings = Blueprint("outings", __name__, url_prefix="/request/<int:ticket_id>")
    db = runtime.db

    def theirs(session: Session, ticket_id: int) -> Ticket:
        ticket = sheet.locked(session, ticket_id)
        sheet.must_be_theirs(sheet.me(session, runtime.clock()), ticket)
        return ticket

    def back(ticket_id: int, said: str, anchor: str) -> Any:
        flash(said)
        return redirect(url_for("desk.one", ticket_id=ticket_id, _anchor=anchor))

    @outings.post("/list")
    @needs(Role.VOLUNTEER)
    def tick(ticket_id: int) -> Any:
        """What of the list is there. Only what this page showed is changed."""
        now, by = runtime.clock(), current_user.person
        there = set(request.form.getlist("there"))
        try:
            with db.writing() as session:
                ticket = theirs(session, ticket_id)
                listed = {item.what for item in checklist.items(session, ticket)}
                for what in listed.intersection(request.form.getlist("shown")):
                    change = checklist.tick if what in there else checklist.untick
                    change(session, ticket, what, by, now)
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        return back(ticket_id, "记下来了：要带的东西。", "ready")

    def show_outing(ticket_id: int, refused: str = "", status: int = 200) -> Any:
        now = runtime.clock()
        with db.reading() as session:
            ticket = session.get(Ticket, ticket_id) or abort(404)
            who = sheet.me(session, now)
            page = render_template(
                "outing.html", ticket=ticket, title=cards.title(ticket), ahead=footwork.ahead(session, ticket),
                places=PLACES, reasons=words.REASONS, refused=refused, typed=request.form, may=who.may_work(ticket),
            )  # fmt: skip
        return page, status

    @outings.get("/outing")
    @needs(Role.VOLUNTEER)
    def before_outing(ticket_id: int) -> Any:
        return show_outing(ticket_id)

    @outings.post("/outing")
    @needs(Role.VOLUNTEER)
    def log_outing(ticket_id: int) -> Any:
        """出门记一笔."""
        now, form, by = runtime.clock(), request.form, current_user.person
        place = words.clean(form.get("other_place", "")) or form.get("place", "")
        reason, seen = form.get("reason", ""), auth.number(form.get("seen", ""))
        if (
            seen is None
        ):  # which outing the page spoke of must be known, or a press would count twice
            return show_outing(ticket_id, "changed", 409)
        if form.get("went") not in list(Went):
            return show_outing(ticket_id, "who", 409)
        if form.get("settled") not in {"yes", "no"}:
            return show_outing(ticket_id, "settled", 409)
        try:
            with db.writing() as session:
                _, numbers = footwork.log_outing(
                    session, [theirs(session, ticket_id)], by, now,
                    went=Went(form["went"]), place=place, settled=form["settled"] == "yes",
                    reason=Reason(reason) if reason in list(Reason) else None,
                    note=words.clean(form.get("note", "")), seen=seen,
                )  # fmt: skip
                if taken := words.clean(form.get("taken", "")):
                    footwork.take_along(session, session.get_one(Ticket, ticket_id), taken, by, now)
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        except OutingChangedError as error:
            if error.outings == seen + 1 and _is_this(error.last, by, form["went"], place):
                return back(ticket_id, f"已经记好了：第 {error.outings} 次出门。", "outings")
            return show_outing(ticket_id, "changed", 409)
        except IncompleteError as error:
            return show_outing(ticket_id, error.lacks, 409)
        return back(ticket_id, f"记下来了：第 {max(numbers.values())} 次出门。", "outings")

    @outings.post("/outing/<int:journey_id>/back")
    @needs(Role.VOLUNTEER)
    def withdraw_outing(ticket_id: int, journey_id: int) -> Any:
        now = runtime.clock()
        try:
            with db.writing() as session:
                journey = session.get(Journey, journey_id)
                if journey is None or session.get(JourneyTicket, (journey_id, ticket_id)) is None:
                    abort(404)
                footwork.withdraw_outing(
                    session, runtime.settings, journey, current_user.person, now
                )
        except TooLateError as error:
            return sheet.show(runtime, ticket_id, Refused("too_late", {"why": error.why}), 409)
        return back(ticket_id, "撤回了，跟没记过一样。", "outings")

    @outings.post("/carried/<int:thing_id>/back")
    @needs(Role.VOLUNTEER)
    def give_back(ticket_id: int, thing_id: int) -> Any:
        """A thing that was taken along is with its owner again, says the volunteer."""
        try:
            with db.writing() as session:
                theirs(session, ticket_id)
                thing = session.get(Carried, thing_id, with_for_update=True)
                if thing is None or thing.ticket_id != ticket_id:
                    abort(404)
                footwork.give_back(session, thing, current_user.person, runtime.clock())
                what = thing.what
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        return back(ticket_id, f"记下来了：还了{what}。", "outings")

    return outings


def _is_this(last: Journey | None, by: Person, went: str, place: str) -> bool:
    """Whether the newest outing is what this press says: then it was pressed twice."""
    return last is not None and (last.written_by, last.went, last.place) == (by.label, went, place)
