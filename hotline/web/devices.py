"""The devices of the room: a code for a new one, and an end for one that was lost."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask_login import current_user

from hotline.runtime import Runtime
from hotline.web.guard import needs
from tickets import devices
from tickets.devices import Device
from tickets.models import Role


def make_blueprint(runtime: Runtime) -> Blueprint:
    room = Blueprint("devices", __name__, url_prefix="/devices")
    db = runtime.db

    def show(code: str = "") -> Any:
        with db.reading() as session:
            grouped = f"{code[:4]} {code[4:]}" if code else ""
            return render_template("devices.html", kept=devices.enrolled(session), code=grouped, now=runtime.clock())  # fmt: skip

    @room.get("")
    @needs(Role.LEAD, Role.ADMIN)
    def every() -> Any:
        return show()

    @room.post("")
    @needs(Role.LEAD, Role.ADMIN)
    def offer() -> Any:
        with db.writing() as session:
            code = devices.offer(session, current_user.person, runtime.clock())
        return show(code)

    @room.post("/<int:device_id>/end")
    @needs(Role.LEAD, Role.ADMIN)
    def end(device_id: int) -> Any:
        with db.writing() as session:
            device = session.get(Device, device_id, with_for_update=True) or abort(404)
            devices.end(session, device, current_user.person, runtime.clock())
            name = device.name
        flash(f"停用了：{name}。")
        return redirect(url_for("devices.every"))

    return room
