"""居民: found by a few keys, numbers masked; a whole number is shown to whoever says what for."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user

from hotline.phone import NotAPhoneError, Phone, mask
from hotline.runtime import Runtime
from hotline.web import words
from hotline.web.guard import needs
from hotline.web.sheet import note_look
from tickets import directory, ledger, residents
from tickets.models import Dialect, Resident, Role
from tickets.residents import Change, NameMissingError, Particulars, SameResidentError

LONGEST = {"name": 40, "building": 10, "unit": 10, "room": 10}


class TooLongError(Exception):
    """A name or address that is none."""


def make_blueprint(runtime: Runtime) -> Blueprint:
    people = Blueprint("people", __name__, url_prefix="/residents")
    db, settings = runtime.db, runtime.settings

    def show_list(refused: str = "", status: int = 200) -> Any:
        who = words.clean(request.args.get("who", ""))[:40]
        with db.writing() as session:
            found = directory.find(session, who) if who else ()
            if who:
                ledger.write(
                    session, at=runtime.clock(), person=current_user.person, act="find_resident",
                    object_kind="resident", object_id=None, why=mask(who), found=len(found),
                )  # fmt: skip
            page = render_template(
                "residents.html", who=who, found=found, address=directory.address, mask=mask,
                refused=refused, typed=request.form, dialects=list(Dialect),
            )  # fmt: skip
        return page, status

    @people.get("")
    @needs(Role.COMMITTEE)
    def every() -> Any:
        return show_list()

    @people.post("")
    @needs(Role.COMMITTEE)
    def add() -> Any:
        try:
            fields, typed = _fields(), request.form.get("phone", "").strip()
            phones = (_phone(typed),) if typed else ()
            with db.writing() as session:
                who = Particulars(
                    **fields, dialect=_dialect(), slow="slow" in request.form, phones=phones
                )
                resident_id = residents.add(session, who, current_user.person, runtime.clock()).id
        except TooLongError:
            return show_list("long", 409)
        except NameMissingError:
            return show_list("no_name", 409)
        except NotAPhoneError:
            return show_list("phone", 409)
        flash(f"登记好了：{fields['name']}。")
        return redirect(url_for("people.one", resident_id=resident_id))

    def show(resident_id: int, refused: str = "", status: int = 200, **whole: Any) -> Any:
        with db.writing() as session:
            resident = session.get(Resident, resident_id) or abort(404)
            note_look(session, "look_at_resident", "resident", resident_id, runtime.clock())
            page = render_template(
                "resident.html", resident=resident, address=directory.address, mask=mask, refused=refused,
                typed=request.form, dialects=list(Dialect), grouped=words.grouped,
                twins=directory.likely_duplicates(session, resident), **{"whole": "", "whose": 0, **whole},
            )  # fmt: skip
        return page, status

    @people.get("/<int:resident_id>")
    @needs(Role.COMMITTEE)
    def one(resident_id: int) -> Any:
        return show(resident_id)

    @people.post("/<int:resident_id>")
    @needs(Role.COMMITTEE)
    def change(resident_id: int) -> Any:
        """Change what is known; the button says which part of the page was sent."""
        now, by, do = runtime.clock(), current_user.person, request.form.get("do", "")
        try:
            with db.writing() as session:
                resident = session.get(Resident, resident_id, with_for_update=True) or abort(404)
                match do:
                    case "attach":
                        new = residents.attach(session, resident, _parsed(), by, now)
                        said = "号码加上了。" if new else "这个号码本来就有。"
                    case "detach":
                        residents.detach(session, resident, _number("phone_id"), by, now)
                        said = "号码去掉了。"
                    case "merge":
                        twin = session.get(
                            Resident, _number("twin"), with_for_update=True
                        ) or abort(404)
                        residents.merge(session, resident, twin, by, now)
                        said = "并成一个人了。"
                    case _:
                        what = Change(**_fields(), dialect=_dialect(), slow="slow" in request.form)
                        residents.change(session, resident, what, by, now)
                        said = "改好了，记下来了。"
        except NameMissingError:
            return show(resident_id, "no_name", 409)
        except TooLongError:
            return show(resident_id, "long", 409)
        except NotAPhoneError:
            return show(resident_id, "phone", 409)
        except SameResidentError:
            return show(resident_id, "same", 409)
        flash(said)
        return redirect(url_for("people.one", resident_id=resident_id))

    @people.post("/<int:resident_id>/number")
    @needs(Role.COMMITTEE)
    def number(resident_id: int) -> Any:
        """The whole number, once the reason stands in the ledger."""
        phone_id, why = _number("phone_id"), words.clean(request.form.get("why", ""))[:200]
        if not why:
            return show(resident_id, "no_why", 409)
        try:
            with db.writing() as session:
                resident = session.get(Resident, resident_id) or abort(404)
                whole = residents.reveal(session, resident, phone_id, current_user.person, runtime.clock(), why=why)  # fmt: skip
        except LookupError:
            abort(404)
        return show(resident_id, whole=whole, whose=phone_id)

    @people.get("/<int:resident_id>/number")
    @needs(Role.COMMITTEE)
    def from_history(resident_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("people.one", resident_id=resident_id))

    def _parsed() -> Phone:
        typed = request.form.get("phone", "").strip()
        return Phone.parse(typed, country=settings.country, area=settings.area_code)

    def _phone(typed: str) -> str:
        return Phone.parse(typed, country=settings.country, area=settings.area_code).e164

    return people


def _fields() -> dict[str, Any]:
    fields = {name: words.clean(request.form.get(name, "")) for name in LONGEST}
    if any(len(fields[name]) > longest for name, longest in LONGEST.items()):
        raise TooLongError
    return fields


def _dialect() -> Dialect:
    asked = request.form.get("dialect", "")
    return Dialect(asked) if asked in list(Dialect) else Dialect.MANDARIN


def _number(field: str) -> int:
    return words.whole_number(request.form.get(field, ""))
