"""Ringing a resident from the desk: by their number, seen once it is written down who sees it, or
through the line, which rings both and shows none; and then how it went."""

from datetime import datetime
from typing import Any

import segno
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session

from hotline.config import DeskCalls
from hotline.phone import Phone
from hotline.runtime import Runtime
from hotline.web import auth, board, cards, sheet, words
from hotline.web.guard import needs
from hotline.web.sheet import Refused
from tickets import bridges, dialling, ledger, service
from tickets.lifecycle import Act, State
from tickets.models import Role, Ticket, Volunteer

REACHED = frozenset({"reached", "go_out"})


def make_blueprint(runtime: Runtime) -> Blueprint:
    calling = Blueprint("calling", __name__, url_prefix="/request/<int:ticket_id>")
    db, settings = runtime.db, runtime.settings

    @calling.post("/call")
    @needs(Role.VOLUNTEER)
    def call(ticket_id: int) -> Any:
        """Have the line ring both, where the house wants it and can; else show the number."""
        now = runtime.clock()
        try:
            with db.writing() as session:
                dialling.take_the_dial(session)  # of two presses one waits, and finds the other's
                ticket = sheet.locked(session, ticket_id)
                sheet.must_be_theirs(sheet.me(session, now), ticket)
                if ticket.phone is None:
                    raise Refused("no_number")
                who = session.get_one(Volunteer, current_user.id)
                bridged = _can_bridge(who, ticket) and request.form.get("way") != "number"
                if bridged:
                    promise_id = _press(session, ticket, who, now)
                else:
                    ledger.write(
                        session, at=now, person=current_user.person, act="see_number",
                        object_kind="ticket", object_id=ticket.id, why="打电话",
                    )  # fmt: skip
                    page = _number(ticket)
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        if not bridged:
            return page
        runtime.bell.ring(promise_id)
        return redirect(url_for("calling.ringing", ticket_id=ticket_id))

    def _can_bridge(who: Volunteer, ticket: Ticket) -> bool:
        return settings.desk_calls is DeskCalls.BRIDGE and who.phone not in {None, ticket.phone}

    def _press(session: Session, ticket: Ticket, who: Volunteer, now: datetime) -> int:
        try:
            promise = bridges.press(
                session, settings, ticket, who, now,
                seen=auth.number(request.form.get("seen", "")) or 0, anyway="anyway" in request.form,
            )  # fmt: skip
        except bridges.NotNowError as error:
            until = words.moment(error.until, now) if error.until else ""
            raise Refused(f"not_now_{error.why}", {"until": until}) from None
        if promise.volunteer_id != who.id and promise.settled_at is None:
            names = board.names(session)
            raise Refused("bridged_by", {"who": names.get(promise.volunteer_id or 0, "别人")})
        return promise.id

    def _number(ticket: Ticket) -> str:
        dialled = Phone(ticket.phone or "").dialled
        scan = segno.make(f"tel:{dialled}", error="m").svg_inline(omitsize=True, svgclass="qr", lineclass=None, title="用手机扫的号码")  # fmt: skip
        return render_template(
            "call.html", ticket_id=ticket.id, name=cards.title(ticket), dialled=dialled,
            talked=words.TALKED, grouped=words.grouped(dialled), scan=scan,
        )  # fmt: skip

    @calling.get("/call")
    @needs(Role.VOLUNTEER)
    def ringing(ticket_id: int) -> Any:
        """How far the line has come with it; a form's address from the browser's history otherwise."""
        with db.reading() as session:
            ticket = session.get(Ticket, ticket_id) or abort(404)
            bridge = bridges.newest(session, ticket_id)
            if bridge is None or bridge.volunteer_id != current_user.id:
                return redirect(url_for("desk.one", ticket_id=ticket_id))
            return render_template(
                "ringing.html", ticket_id=ticket_id, talked=words.TALKED, bridge=bridge, begun=bool(bridge.tries),
                name=ticket.resident.name if ticket.resident else "他", heard=words.PREFILLED.get(bridges.reached(bridge)),
            )  # fmt: skip

    @calling.post("/called")
    @needs(Role.VOLUNTEER)
    def called(ticket_id: int) -> Any:
        """How the call went. Whoever has spoken with a resident has the request in hand."""
        now, how = runtime.clock(), request.form.get("how", "")
        said = {**words.TALKED, "wrong": words.WRONG_NUMBER}.get(how)
        try:
            with db.writing() as session:
                ticket = sheet.locked(session, ticket_id)
                who = sheet.me(session, now)
                sheet.must_be_theirs(who, ticket)
                if said is None:
                    raise Refused("no_answer_chosen")
                if how in REACHED:
                    ticket.contacted_at = ticket.contacted_at or now
                    if ticket.state is State.ASSIGNED:
                        service.act(session, ticket, Act.ACCEPT, current_user.person, now)
                ledger.write(
                    session, at=now, person=current_user.person, act="called",
                    object_kind="ticket", object_id=ticket.id, why=said,
                )  # fmt: skip
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        flash(f"记下来了：{said}。")
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    @calling.get("/called")
    @needs(Role.VOLUNTEER)
    def called_again(ticket_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    return calling
