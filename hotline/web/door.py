"""The door's pages: who one is and the PIN, the second step, the device's enrolment, and leaving."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

import limits.storage
import limits.strategies
from flask import (
    Blueprint,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import current_user, login_user, logout_user
from sqlalchemy import ColumnElement, select, true
from werkzeug import Response
from werkzeug.exceptions import RequestEntityTooLarge, Unauthorized

from hotline.runtime import Runtime
from hotline.web import auth, pins, totp, words
from hotline.web import kept as kept_form
from hotline.web.auth import Answer, Knock, Visitor
from hotline.web.guard import MACHINES, needs, open_to_all
from hotline.web.letters import inside
from tickets import devices
from tickets.models import Role, Volunteer

# Of one address: sixteen people come in one morning, a guesser does not.
TRIES = limits.parse("30 per minute")
HALF_WAY = timedelta(minutes=5)  # between the PIN and the code
A_YEAR = 31_536_000
FOR_EVER = 10 * A_YEAR
REASON = "one has to come in somewhere"


def often(view: Callable[..., Any]) -> Callable[..., Any]:
    """So many tries a minute, whoever tries. Counted here and not by an extension of the application:
    that would cost a tenth of each webhook too."""
    counter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())

    @wraps(view)
    def counted(*args: Any, **kwargs: Any) -> Any:
        if not counter.hit(TRIES, request.remote_addr or ""):
            abort(429)
        return view(*args, **kwargs)

    return counted


def make_blueprint(runtime: Runtime) -> Blueprint:
    door = Blueprint("door", __name__)
    db, clock = runtime.db, runtime.clock

    def show(
        said: Knock | None,
        chosen: int | None,
        status: int = 200,
        carried: kept_form.Kept | None = None,
    ) -> tuple[str, int]:
        with db.reading() as kept:
            own = auth.on_own_device(runtime, kept)
            who: ColumnElement[bool] = true() if own else Volunteer.totp_secret.is_not(None)
            people = kept.execute(
                select(Volunteer.id, Volunteer.name)
                .where(Volunteer.active, Volunteer.pin_hash.is_not(None), who)
                .order_by(Volunteer.name)
            ).all()
            anybody = kept.scalar(select(Volunteer.id).where(Volunteer.active).limit(1)) is not None
        page = render_template(
            "door.html", people=people, said=said, chosen=chosen, next=inside(request.values.get("next", "")),
            own=own, anybody=anybody, kept=kept_form.read(request.form.get("kept", "")) or carried,
        )  # fmt: skip
        return page, status

    def welcome(visitor: Visitor, where: str) -> Response:
        session.clear()
        login_user(visitor)
        session.permanent = True
        carried = kept_form.read(request.form.get("kept", ""))
        response = (
            make_response(kept_form.show(carried))
            if carried
            else redirect(inside(where) or url_for("desk.today"))
        )
        # whose device it is, so that the name need not be looked for every morning
        keep(response, "hotline_name", str(visitor.id), A_YEAR)
        return response

    def keep(response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name, value, max_age=seconds, httponly=True, samesite="Lax",
            secure=auth.is_secure(runtime.settings),
        )  # fmt: skip

    @door.get("/door")
    @open_to_all(REASON)
    def open_door() -> Any:
        if current_user.is_authenticated:
            return redirect(url_for("desk.today"))
        return show(None, auth.number(request.cookies.get("hotline_name", "")))

    @door.app_errorhandler(401)
    def come_in_again(error: Unauthorized) -> Any:
        """The session was over in the midst of it: what was sent goes with its sender."""
        if request.path.startswith(MACHINES):
            return error
        try:
            request.form  # noqa: B018 - read here, where it may still be refused
        except RequestEntityTooLarge as too_large:
            return too_large
        chosen = auth.number(request.cookies.get("hotline_name", ""))
        return show(None, chosen, 401, kept_form.from_request())

    @door.post("/door")
    @open_to_all(REASON)
    @often
    def try_door() -> Any:
        chosen = auth.number(request.form.get("who", ""))
        pin = request.form.get("pin", "").strip()[: pins.LONGEST_PIN]
        with db.reading() as kept:
            person = auth.active(kept, chosen) if chosen is not None else None
            welcome_here = person is None or auth.may_be_here(
                runtime, kept, auth.visitor_of(person)
            )
        if not welcome_here:  # not counted: strangers must not lock anybody out
            return show(Knock(Answer.STRANGE_DEVICE), None, 401)
        said = auth.knock(db, clock, chosen, pin)
        if said.half is not None:
            where = request.form.get("next", "")
            session.clear()
            session["half"] = [said.half.get_id(), clock().isoformat(), where]
            if "kept" in request.form:
                return render_template("code.html", said=None, kept=request.form["kept"])
            return redirect(url_for("door.second"))
        if said.visitor is None:
            return show(said, chosen, 401)
        return welcome(said.visitor, request.form.get("next", ""))

    def half_way() -> tuple[Visitor, str] | None:
        """Whose PIN was right a moment ago in this browser, and where they want to go."""
        kept, at, where = session.get("half") or ("", "", "")
        if not at or clock() - datetime.fromisoformat(at) > HALF_WAY:
            return None
        number, _, seal = kept.partition(":")
        with db.reading() as rows:
            person = auth.active(rows, int(number))
            visitor = auth.visitor_of(person) if person else None
        return (visitor, where) if visitor and visitor.seal == seal else None

    @door.get("/door/code")
    @open_to_all(REASON)
    def second() -> Any:
        if half_way() is None:
            return redirect(url_for("door.open_door"))
        return render_template("code.html", said=None)

    @door.post("/door/code")
    @open_to_all(REASON)
    @often
    def try_second() -> Any:
        half = half_way()
        if half is None:
            return redirect(url_for("door.open_door"))
        said = auth.knock_again(db, clock, half[0], request.form.get("code", "")[:20])
        if said.visitor is None:
            return render_template("code.html", said=said, kept=request.form.get("kept")), 401
        return welcome(said.visitor, half[1])

    @door.get("/door/device")
    @open_to_all("a new device has nobody signed in yet")
    def device() -> Any:
        return render_template("device.html", refused="", typed=request.form)

    @door.post("/door/device")
    @open_to_all("a new device has nobody signed in yet")
    @often
    def enrol_device() -> Any:
        code = "".join(request.form.get("code", "").split())[:20]
        name = words.clean(request.form.get("name", ""))[:40]
        if not name:
            return render_template("device.html", refused="no_name", typed=request.form), 400
        with db.writing() as kept:
            token = devices.enrol(kept, code, name, clock())
        if token is None:
            return render_template("device.html", refused="bad_code", typed=request.form), 400
        flash(f"登记好了：{name}。以后志愿者可以在这里进来。")
        response = redirect(url_for("door.open_door"))
        keep(response, auth.DEVICE_COOKIE, token, FOR_EVER)
        return response

    @door.get("/second")
    @needs(Role.VOLUNTEER)
    def own_second() -> Any:
        """Set up the second factor: administrators before anything else, others when they want."""
        if current_user.second:
            return render_template("second.html", refused=False, picture="", secret="")
        secret = session.setdefault("offered", totp.new_secret())
        return show_second(secret, refused=False)

    @door.post("/second")
    @needs(Role.VOLUNTEER)
    def keep_second() -> Any:
        secret, now = session.get("offered", ""), clock()
        step = totp.step(secret, request.form.get("code", "")[:20], now) if secret else None
        if current_user.second or step is None:
            return show_second(secret, refused=True) if secret else redirect(url_for("door.own_second"))  # fmt: skip
        with db.writing() as kept:
            person = kept.get_one(Volunteer, current_user.id, with_for_update=True)
            person.totp_secret, person.totp_step = secret, step
            auth.note(kept, person, "second_factor", now)
            visitor = auth.visitor_of(person)
        session.pop("offered")
        login_user(visitor)
        flash("设好了。以后进门，密码对了还要看一眼手机上的六个数字。")
        return redirect(url_for("desk.today"))

    def show_second(secret: str, *, refused: bool) -> Any:
        picture = totp.picture(secret, current_user.name, runtime.settings.line_name)
        grouped = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
        page = render_template("second.html", refused=refused, picture=picture, secret=grouped)
        return page, 400 if refused else 200

    @door.post("/leave")
    @open_to_all("leaving is always allowed")
    def leave() -> Any:
        if current_user.is_authenticated:
            with db.writing() as kept:
                person = auth.active(kept, current_user.id)
                if person:
                    auth.note(kept, person, "sign_out", clock())
            logout_user()
        session.clear()
        flash("您已经退出了。")
        return redirect(url_for("door.open_door"))

    return door
