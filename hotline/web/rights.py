"""居民自己的资料: what the house holds of somebody, given to them; and forgotten, if they ask (PIPL 44-47)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, send_file, url_for
from flask_login import current_user

from hotline.forgetting import forget
from hotline.runtime import Runtime
from hotline.web import words
from hotline.web.guard import needs
from hotline.web.sheet import note_look
from tickets import directory, erasure, own_data, residents
from tickets.erasure import HeldError
from tickets.models import Resident, Role


def make_blueprint(runtime: Runtime) -> Blueprint:
    rights = Blueprint("rights", __name__, url_prefix="/residents")
    db = runtime.db

    def show(resident_id: int, refused: str = "", status: int = 200, **more: Any) -> Any:
        with db.writing() as session:
            resident = session.get(Resident, resident_id) or abort(404)
            note_look(session, "look_at_resident", "resident", resident_id, runtime.clock())
            page = render_template(
                "rights.html", resident=resident, address=directory.address, refused=refused,
                typed=request.form, **{"sure": False, "requests": 0, "sounds": 0, "held": "", **more},
            )  # fmt: skip
        return page, status

    @rights.get("/<int:resident_id>/own")
    @needs(Role.ADMIN)
    def before(resident_id: int) -> Any:
        return show(resident_id)

    @rights.post("/<int:resident_id>/own")
    @needs(Role.ADMIN)
    def ask(resident_id: int) -> Any:
        """Everything in one file; or everything gone, after a second look at what that is."""
        why, do = words.clean(request.form.get("why", ""))[:200], request.form.get("do")
        if not why:
            return show(resident_id, "no_why", 409)
        try:
            if do == "give":
                return give(resident_id, why)
            with db.reading() as session:
                resident = session.get(Resident, resident_id) or abort(404)
                found = [len(each) for each in erasure.of_resident(session, resident)]
                name = resident.name
            if do != "erase" or words.clean(request.form.get("name", "")) != name:
                refused = "no_name" if do == "erase" else ""
                return show(
                    resident_id, refused, 409 if refused else 200,
                    sure=True, requests=found[0], sounds=found[1],
                )  # fmt: skip
            forget(db, runtime.store, resident_id, current_user.person, runtime.clock(), why)
        except HeldError as error:
            return show(resident_id, "held", 409, held=str(error))
        except LookupError:
            abort(404)
        flash("删好了。办过几件事的数字还在，是谁的已经查不到了。")
        return redirect(url_for("people.every"))

    def give(resident_id: int, why: str) -> Any:
        """The access is written down before anything is read."""
        with db.writing() as session:
            resident = session.get(Resident, resident_id) or abort(404)
            residents.note(session, resident, "own_data", current_user.person, runtime.clock(), why=why)  # fmt: skip
        with TemporaryDirectory() as folder, db.reading() as session:
            path = Path(folder) / "own-data.zip"
            own_data.write(session, runtime.store, session.get_one(Resident, resident_id), path)
            file = path.open("rb")  # its name goes with the folder, and the bytes when it is closed
        return send_file(file, mimetype="application/zip", as_attachment=True, download_name=f"resident-{resident_id}.zip")  # fmt: skip

    return rights
