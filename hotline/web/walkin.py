"""当面来登记: somebody stands in the room. Found by a few keys, never matched for sure without a press."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from hotline.phone import NotAPhoneError, Phone, mask
from hotline.runtime import Runtime
from hotline.web import words
from hotline.web.guard import needs
from tickets import directory, ledger, matters, service
from tickets.lifecycle import Act, State
from tickets.models import Kind, Resident, Role, Source, Volunteer

LONGEST_NOTE = 400
LONGEST_NAME = 40
MOST_SHOWN = 12


def make_blueprint(runtime: Runtime) -> Blueprint:
    walkin = Blueprint("walkin", __name__, url_prefix="/walkin")
    db, settings = runtime.db, runtime.settings

    def show(refused: str = "", status: int = 200) -> Any:
        who = words.clean(request.values.get("who", ""))[:LONGEST_NAME]
        with db.writing() as session:
            found = directory.find(session, who, limit=MOST_SHOWN) if who else ()
            if who:
                ledger.write(
                    session, at=runtime.clock(), person=current_user.person, act="find_resident",
                    object_kind="resident", object_id=None, why=mask(who), found=len(found),
                )  # fmt: skip
            page = render_template(
                "walkin.html", who=who, found=found, address=directory.address, mask=mask,
                catalogue=matters.active(session), refused=refused, typed=request.form,
            )  # fmt: skip
        return page, status

    @walkin.get("")
    @needs(Role.VOLUNTEER)
    def look() -> Any:
        return show()

    @walkin.post("")
    @needs(Role.VOLUNTEER)
    def register() -> Any:
        now, form, by = runtime.clock(), request.form, current_user.person
        said, name = words.clean(form.get("note", "")), words.clean(form.get("name", ""))
        chosen, code = form.get("resident", ""), form.get("matter", "")
        if not chosen.isdigit() and not name:
            return show("who", 409)
        if not said and not code:
            return show("what", 409)
        if len(said) > LONGEST_NOTE or len(name) > LONGEST_NAME:
            return show("long", 409)
        try:
            typed = form.get("phone", "").strip()
            phone = Phone.parse(typed, country=settings.country, area=settings.area_code).e164 if typed else None  # fmt: skip
        except NotAPhoneError:
            return show("phone", 409)
        with db.writing() as session:
            resident = (
                session.get(Resident, int(chosen))
                if chosen.isdigit() and len(chosen) < 10
                else None
            )
            if resident is None and not name:
                return show("who", 409)
            if resident and phone is None and resident.phones:
                phone = resident.phones[0].phone
            ticket = service.open_ticket(
                session, settings, now, kind=Kind.ERRAND, source=Source.DESK, phone=phone, by=by,
                in_person=True, test=settings.demo or bool(resident and resident.test),
            )  # fmt: skip
            ticket.resident_id = resident.id if resident else None
            ticket.note = said if resident else f"{name}：{said}"
            ticket.contacted_at = now
            if code and matters.named(session, code):
                service.describe(session, settings, ticket, by, now, matter=code)
            me = session.get_one(Volunteer, current_user.id)
            if ticket.assignee_id != me.id:
                give = Act.ASSIGN if ticket.state is State.NEW else Act.PASS_ON
                service.act(session, ticket, give, by, now, to=me, why="当面来登记")
            service.act(session, ticket, Act.ACCEPT, by, now)
            ticket_id = ticket.id
        flash("登记好了，这件事归您办。")
        return redirect(url_for("desk.one", ticket_id=ticket_id))

    return walkin
