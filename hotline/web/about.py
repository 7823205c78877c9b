"""这是什么事: what a request is about and the number that was spoken, once a person has looked."""

from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.phone import NotAPhoneError, Phone
from hotline.runtime import Runtime
from hotline.web import sheet, words
from hotline.web.guard import needs
from hotline.web.sheet import Refused
from tickets import matters, understanding
from tickets.models import Role, Ticket


def make_blueprint(runtime: Runtime) -> Blueprint:
    room = Blueprint("about", __name__, url_prefix="/request/<int:ticket_id>/about")
    db = runtime.db

    @room.post("")
    @needs(Role.VOLUNTEER)
    def say(ticket_id: int) -> Any:
        now = runtime.clock()
        try:
            with db.writing() as session:
                ticket = sheet.locked(session, ticket_id)
                sheet.must_be_theirs(sheet.me(session, now), ticket)
                _say_what(session, runtime.settings, ticket, now)
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        flash("记下来了。")
        return redirect(url_for("desk.one", ticket_id=ticket_id, _anchor="about"))

    @room.get("")
    @needs(Role.VOLUNTEER)
    def from_history(ticket_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    return room


def _say_what(session: Session, settings: Settings, ticket: Ticket, now: datetime) -> None:
    """Both answers of the one form, or neither: each may be left open."""
    form, by = request.form, current_user.person
    code, phone = form.get("matter", ""), ""
    chosen = matters.named(session, code)
    if code and chosen is None:
        raise Refused("no_matter")
    if ticket.phone is None:
        phone = words.clean(form.get("phone", ""))
        suggestion = understanding.of(ticket)
        if not phone and form.get("spoken") and suggestion and suggestion.phone:
            phone = suggestion.phone
    if not chosen and not phone:
        raise Refused("nothing_said")
    if phone:
        try:
            number = Phone.parse(phone, country=settings.country, area=settings.area_code).e164
        except NotAPhoneError:
            raise Refused("no_phone") from None
        understanding.take_number(session, ticket, number, by, now)
    if chosen:
        understanding.choose(session, ticket, chosen, by, now)
