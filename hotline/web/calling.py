"""Ringing a resident from the desk: a number is seen once it is written down who sees it, and then how it went."""

from typing import Any

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from hotline.phone import Phone
from hotline.runtime import Runtime
from hotline.web import board, sheet, words
from hotline.web.guard import needs
from hotline.web.sheet import Refused
from tickets import ledger, service
from tickets.lifecycle import Act, State
from tickets.models import Role

REACHED = frozenset({"reached", "go_out"})


def make_blueprint(runtime: Runtime) -> Blueprint:
    calling = Blueprint("calling", __name__, url_prefix="/request/<int:ticket_id>")
    db = runtime.db

    @calling.post("/call")
    @needs(Role.VOLUNTEER)
    def call(ticket_id: int) -> Any:
        """Show a whole number, once it is written down who sees it."""
        now = runtime.clock()
        try:
            with db.writing() as session:
                ticket = sheet.locked(session, ticket_id)
                sheet.must_be_theirs(sheet.me(session, now), ticket)
                if ticket.phone is None:
                    raise Refused("no_number")
                ledger.write(
                    session, at=now, person=current_user.person, act="see_number",
                    object_kind="ticket", object_id=ticket.id, why="打电话",
                )  # fmt: skip
                dialled, name = Phone(ticket.phone).dialled, board.title(ticket)
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        scan = segno.make(f"tel:{dialled}", error="m").svg_inline(omitsize=True, svgclass="qr", lineclass=None, title="用手机扫的号码")  # fmt: skip
        return render_template(
            "call.html", ticket_id=ticket_id, name=name, dialled=dialled, talked=words.TALKED,
            grouped=words.grouped(dialled), scan=scan,
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

    @calling.get("/call")
    @calling.get("/called", endpoint="called_again")
    @needs(Role.VOLUNTEER)
    def call_again(ticket_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    return calling
