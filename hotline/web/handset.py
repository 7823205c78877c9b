"""The telephone in the browser: its page, and the carrier's part of a call, with true signatures.

The page plays TwiML as a carrier would; what it sends passes here, because a browser must not know
the secret that signs. Only our own webhooks can be reached, and nobody outside is ever dialled. In a
demonstration it is everybody's; in a house that serves, an administrator's, for training.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import segno
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

import asr
from hotline.clock import local
from hotline.phone import mask
from hotline.runtime import Runtime
from hotline.training import training
from hotline.web import callers, reader, twin, visitors
from hotline.web.callers import Caller
from hotline.web.guard import View, needs, open_to_all, open_to_scripts
from hotline.web.switchboard import Switchboard
from hotline.web.twin import Exchange, Leg
from tickets import ahead, ledger
from tickets.models import Duty, Role, Volunteer

SAMPLES = Path(next(iter(asr.__path__))) / "model" / "samples"
LONGEST_MESSAGE_SECONDS = 600
REASON = "the demonstration's telephone; in a house that serves it is an administrator's"
MICROPHONE = {"Permissions-Policy": "camera=(), geolocation=(), microphone=(self)"}


def make_blueprint(runtime: Runtime, app: Flask, exchange: Exchange) -> Blueprint:
    settings, db = runtime.settings, runtime.db
    carrier = training(settings)
    phone = Blueprint("handset", __name__, url_prefix="/phone")
    line = Switchboard(runtime, app, exchange)

    def for_page(view: View) -> View:
        return open_to_all(REASON)(view) if settings.demo else needs(Role.ADMIN)(view)

    def for_scripts(view: View) -> View:
        scripted = open_to_scripts(REASON)(view)
        return scripted if settings.demo else needs(Role.ADMIN)(scripted)

    def known_leg(sid: Any) -> Leg:
        return (exchange.find(sid) if isinstance(sid, str) else None) or abort(404)

    def who(key: Any) -> Caller:
        with db.reading() as session:
            found = callers.find(session, settings, key) if isinstance(key, str) else None
        return found or abort(404)

    @phone.before_request
    def from_the_net() -> ResponseReturnValue | None:
        """A demonstration that listens to the net is for those who saw its code."""
        if not settings.demo or visitors.may_enter(request, str(app.secret_key)):
            return None
        return render_template("error.html", code="visitor"), 403

    @phone.get("")
    @for_page
    def telephone() -> Any:
        if request.args.get("visit"):  # the code was good: remembered, and out of the address
            answer = redirect(url_for("handset.telephone"))
            answer.set_cookie(
                visitors.COOKIE, request.args["visit"], max_age=visitors.ONE_DAY_SECONDS,
                httponly=True, samesite="Lax",
            )  # fmt: skip
            return answer
        with db.reading() as session:
            people = list(callers.callers(session, settings))
        page = render_template(
            "handset.html", people=people, groups=callers.GROUPS, chosen=request.args.get("who", ""), forms=callers.FORMS,
            samples=_samples(), public_url=settings.public_url, reads=reader.can_read(),
            volunteer=next((each.key for each in people if each.group == callers.VOLUNTEERS), None), code=_code(),
        )  # fmt: skip
        return Response(page, headers=MICROPHONE)

    def _code() -> tuple[str, str] | None:
        """The address for a visitor's telephone and its picture."""
        address = visitors.net_address(settings.listen) if settings.demo else None
        if address is None:
            return None
        whole = f"http://{address}{url_for('handset.telephone', visit=visitors.token(str(app.secret_key)))}"
        picture = segno.make(whole, error="m").svg_inline(omitsize=True, svgclass="qr", lineclass=None, title="用手机扫的码")  # fmt: skip
        return f"http://{address}/phone", picture

    @phone.post("/ring")
    @for_scripts
    def ring() -> Any:
        """Dial our line."""
        asked = _asked()
        caller = callers.written(who(asked.get("who")), str(asked.get("form", "")), settings)
        leg = exchange.begin(
            to=settings.line_number, caller=caller, direction="inbound", status="ringing"
        )
        heard = line.tell(leg, f"{settings.public_url}/ivr/ring")
        exchange.change(known_leg(leg.sid), status="in-progress")
        return jsonify(heard)

    @phone.post("/send")
    @for_scripts
    def send() -> Any:
        """One webhook of a call under way; `form` holds what the person on the phone did."""
        asked = _asked()
        did = asked.get("form")
        return jsonify(
            line.tell(
                known_leg(asked.get("sid")), str(asked.get("url", "")),
                did if isinstance(did, dict) else {},
            )
        )  # fmt: skip

    @phone.post("/dial")
    @for_scripts
    def dial() -> Any:
        """Ring whoever the last document of this call names."""
        leg = known_leg(_asked().get("sid"))
        if not leg.dials:
            abort(409)
        child = exchange.begin(
            to=leg.dials, caller=leg.caller, direction="outbound-dial", status="queued",
            url=leg.dial_url, ring_seconds=leg.dial_seconds, parent=leg.sid,
        )  # fmt: skip
        return jsonify(sid=child.sid)

    @phone.get("/leg")
    @for_scripts
    def look() -> Any:
        """How it stands with a telephone that was rung for a call, and what to report of it."""
        return jsonify(line.report(known_leg(request.args.get("sid"))))

    @phone.post("/message")
    @for_scripts
    def message() -> Any:
        """What was spoken, a file or a sample. Answers how the carrier calls it and how long it is:
        0 seconds for what no decoder reads."""
        request.max_content_length = settings.recording_max_bytes
        sound = request.get_data()
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        seconds = _seconds(sound) if media_type in twin.SOUND_TYPES else 0
        if not seconds:
            return jsonify(seconds=0)
        sid = exchange.keep_sound(sound, media_type)
        return jsonify(sid=sid, url=twin.recording_url(carrier, sid), seconds=seconds)

    @phone.get("/waiting")
    @for_scripts
    def waiting() -> Any:
        """The call that rings at a telephone now, if any, and what will be due next."""
        caller, sid, due = who(request.args.get("who")), None, None
        if caller.phone:
            for leg in twin.waiting(exchange, caller.phone):
                sid = leg.sid
                if leg.status == "queued":
                    exchange.change(leg, status="ringing")
                break
        if settings.demo:
            with db.reading() as session:
                if promise := ahead.next_one(session, runtime.clock()):
                    whom = mask(promise.ticket.phone or "") if promise.ticket else ""
                    due = f"{local(promise.due_at):%H:%M}，"
                    due += (
                        f"给{whom}回电话"
                        if promise.duty is Duty.RETURN_CALL
                        else "看看刚才那个电话有没有留话"
                    )
        return jsonify(sid=sid, due=due)

    @phone.post("/sooner")
    @for_scripts
    def sooner() -> Any:
        """The next thing that is due, now. In a demonstration only."""
        if not settings.demo:
            abort(403)
        now = runtime.clock()
        with db.writing() as session:
            promise = ahead.next_one(session, now, lock=True)
            if promise is not None:
                ahead.bring_forward(session, promise, now)
        if promise is not None:
            runtime.bell.ring(promise.id)
        return jsonify(done=promise is not None)

    @phone.post("/rings")
    @for_scripts
    def rings() -> Any:
        """The volunteer whose telephone this is wants to be rung with what is new."""
        key = who(_asked().get("who")).key
        if not settings.demo or not key.startswith("v"):
            abort(403)
        with db.writing() as session:
            person = session.get_one(Volunteer, int(key[1:]), with_for_update=True)
            person.ring_me = True
            ledger.write(
                session, at=runtime.clock(), person=ledger.SYSTEM, act="ring_me",
                object_kind="volunteer", object_id=person.id, ring=True,
            )  # fmt: skip
        return jsonify(done=True)

    @phone.post("/answer")
    @for_scripts
    def answer() -> Any:
        leg = exchange.pick_up(str(_asked().get("sid", ""))) or abort(409)
        return jsonify(line.tell(leg, leg.url))

    @phone.post("/ended")
    @for_scripts
    def ended() -> Any:
        """A call is over, or was not picked up: the status callback, once."""
        asked = _asked()
        seconds = asked.get("seconds")
        return jsonify(
            line.end(
                known_leg(asked.get("sid")), str(asked.get("status") or "completed"),
                min(seconds, 36_000) if isinstance(seconds, int) and seconds >= 0 else 0,
            )
        )  # fmt: skip

    @phone.get("/say")
    @for_scripts
    def say() -> Response:
        """A prompt read aloud; 404 where there is no voice."""
        words = request.args.get("text", "")
        sound = reader.read_aloud(words, settings.data_folder / "handset" / "voice") or abort(404)
        return Response(sound, content_type="audio/wav")

    @phone.get("/sample/<name>")
    @for_scripts
    def sample(name: str) -> Response:
        file = SAMPLES / name
        if file.name != name or file.suffix != ".wav" or not file.is_file():
            abort(404)
        return Response(file.read_bytes(), content_type="audio/wav")

    return phone


def _samples() -> list[tuple[str, str]]:
    """The recordings there are, and what is said in each."""
    told = SAMPLES / "samples.json"
    if not told.is_file():
        return []
    return [(each["file"], each["words"].replace(" ", "")) for each in json.loads(told.read_text())]


def _seconds(sound: bytes) -> int:
    """How long a recording is, as a carrier measures it; 0 for one that holds no sound."""
    from asr import audio  # half a second and 30 MB, for whoever speaks

    with tempfile.NamedTemporaryFile() as file:
        file.write(sound)
        file.flush()
        try:
            heard = audio.read(Path(file.name), rate_hz=8000, max_seconds=LONGEST_MESSAGE_SECONDS)
        except audio.Unreadable:
            return 0
    return round(heard.seconds)


def _asked() -> dict[str, Any]:
    asked = request.get_json(silent=True)
    return asked if isinstance(asked, dict) else abort(400)
