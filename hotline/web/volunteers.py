"""志愿者: who takes part and signs in, what is their part, how they are told; a new PIN is shown once."""

from typing import Any

import segno
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.phone import NotAPhoneError, Phone, mask
from hotline.runtime import Runtime
from hotline.web import auth, pins, words
from hotline.web.guard import needs
from tickets import feed, volunteers
from tickets.models import Role, Volunteer
from tickets.volunteers import (
    ROLE_NAMES,
    LastAdminError,
    NameTakenError,
    NewVolunteer,
    NoPhoneError,
    StillOnRosterError,
)

LONGEST_NAME = 40
RINGS = {"yes": True, "no": False, "default": None}
RINGS_SAID = {
    "default": "照设置来", "yes": "打电话告诉，不用看页面", "no": "只看页面，不打电话",
}  # fmt: skip


def make_blueprint(runtime: Runtime) -> Blueprint:
    room = Blueprint("volunteers", __name__, url_prefix="/volunteers")
    db, settings = runtime.db, runtime.settings

    def show_list(refused: str = "", status: int = 200) -> Any:
        with db.reading() as session:
            people = session.scalars(
                select(Volunteer).order_by(Volunteer.active.desc(), Volunteer.id)
            )
            page = render_template(
                "volunteers.html", people=people, roles=ROLE_NAMES, mask=mask, rings=RINGS_SAID, ringing=_ringing,
                refused=refused, typed=request.form,
            )  # fmt: skip
        return page, status

    @room.get("")
    @needs(Role.ADMIN)
    def every() -> Any:
        return show_list()

    @room.post("")
    @needs(Role.ADMIN)
    def add() -> Any:
        """Somebody joins; the PIN by lot is shown on the page that answers, and never again."""
        name, role = words.clean(request.form.get("name", "")), request.form.get("role", "")
        if not name or len(name) > LONGEST_NAME:
            return show_list("name", 409)
        try:
            new = NewVolunteer(name, Role(role) if role in ROLE_NAMES else Role.VOLUNTEER, _phone())
            pin = pins.drawn_pin()
            with db.writing() as session:
                person = volunteers.add(session, new, current_user.person, runtime.clock())
                pins.give_pin(person, pin)
        except NotAPhoneError:
            return show_list("phone", 409)
        except NameTakenError:
            return show_list("taken", 409)
        return render_template("pins.html", given=[(name, pin.digits)])

    def show(person_id: int, refused: str = "", status: int = 200, **more: Any) -> Any:
        with db.reading() as session:
            person = session.get(Volunteer, person_id) or abort(404)
            page = render_template(
                "volunteer.html", person=person, roles=ROLE_NAMES, mask=mask, rings=RINGS_SAID, ringing=_ringing,
                refused=refused, typed=request.form, **{"address": "", "code": "", "shifts": 0, **more},
            )  # fmt: skip
        return page, status

    @room.get("/<int:person_id>")
    @needs(Role.ADMIN)
    def one(person_id: int) -> Any:
        return show(person_id)

    @room.post("/<int:person_id>")
    @needs(Role.ADMIN)
    def change(person_id: int) -> Any:
        """What the button says: change, end, take back, a new PIN, the address of their calendar."""
        do, now, by = request.form.get("do", ""), runtime.clock(), current_user.person
        pin = pins.drawn_pin() if do == "pin" else None
        try:
            with db.writing() as session:
                person = session.get(Volunteer, person_id, with_for_update=True) or abort(404)
                match do:
                    case "pin" if pin:
                        pins.give_pin(person, pin)
                        auth.note(session, person, "new_pin", now, by=by)
                        return render_template("pins.html", given=[(person.name, pin.digits)])
                    case "feed" | "renew":
                        ask = feed.renew if do == "renew" else feed.secret_of
                        address = settings.public_url + url_for("feed.shifts", secret=ask(session, person, by, now))  # fmt: skip
                    case "end" | "back":
                        volunteers.change(session, person, by, now, active=do == "back")
                        flash(
                            f"{person.name}{'又来了' if do == 'back' else '不再参加了，进不来了'}。"
                        )
                    case _:
                        _rewrite(session, person)
                        flash(f"改好了：{person.name}。")
        except NotAPhoneError:
            return show(person_id, "phone", 409)
        except NoPhoneError:
            return show(person_id, "no_phone", 409)
        except LastAdminError:
            return show(person_id, "last_admin", 409)
        except StillOnRosterError as error:
            return show(person_id, "on_roster", 409, shifts=error.shifts)
        if do in {"feed", "renew"}:
            return show(person_id, address=address, code=segno.make(address, error="m").svg_inline(omitsize=True, svgclass="qr", lineclass=None, title="日历的码"))  # fmt: skip
        return redirect(url_for("volunteers.one", person_id=person_id))

    def _rewrite(session: Session, person: Volunteer) -> None:
        now, by, role = runtime.clock(), current_user.person, request.form.get("role", "")
        volunteers.change(
            session,
            person,
            by,
            now,
            role=Role(role) if role in ROLE_NAMES else None,
            phone=_phone(),
        )
        if (rings := request.form.get("rings", "")) in RINGS:
            volunteers.ring(session, person, RINGS[rings], by, now)

    def _phone() -> str | None:
        typed = request.form.get("phone", "").strip()
        return Phone.parse(typed, country=settings.country, area=settings.area_code).e164 if typed else None  # fmt: skip

    return room


def _ringing(person: Volunteer) -> str:
    return next(word for word, choice in RINGS.items() if choice is person.ring_me)
