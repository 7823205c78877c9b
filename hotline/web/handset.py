"""The telephone in the browser: its page, and the carrier's part of a call, with true signatures.

The page plays TwiML as a carrier would; what it sends passes here, because a browser must not know
the secret that signs. Only our own webhooks can be reached.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, jsonify, render_template, request
from sqlalchemy import select
from twilio.request_validator import RequestValidator
from werkzeug.test import Client

import asr
from hotline.phone import mask
from hotline.runtime import Runtime
from hotline.web import twin
from hotline.web.guard import open_to_all, open_to_scripts
from hotline.web.twin import Exchange, Leg
from tickets.models import Resident, ResidentPhone

STRANGER = "+8613900007788"
WITHHELD = "anonymous"
SAMPLES = Path(next(iter(asr.__path__))) / "model" / "samples"
TOLD = re.compile(r"[A-Z][A-Za-z]{1,30}")  # names of a carrier's parameters
# What the house believes of a call comes from the exchange's books, not from the page.
OURS = frozenset({"CallSid", "AccountSid", "From", "To", "Direction", "ApiVersion"})
REASON = "the demonstration's telephone; it is not there in a house that serves"


def make_blueprint(runtime: Runtime, app: Flask, exchange: Exchange) -> Blueprint:
    settings = runtime.settings
    phone = Blueprint("handset", __name__, url_prefix="/phone")
    carrier = Client(app)  # in this process: no second connection that could wait for a free thread
    validator = RequestValidator(settings.secrets[0] if settings.secrets else "")

    def post(url: str, form: dict[str, str]) -> tuple[int, str]:
        """Post a form to one of our webhooks as the carrier would."""
        if not url.startswith(f"{settings.public_url}/ivr/"):
            abort(400)
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        answer = carrier.post(
            target, data=form, base_url=f"{parts.scheme}://{parts.netloc}",
            headers={settings.signature_header: validator.compute_signature(url, form)},
        )  # fmt: skip
        return answer.status_code, answer.get_data(as_text=True)

    def parameters(leg: Leg, **more: str) -> dict[str, str]:
        return {
            "CallSid": leg.sid, "AccountSid": settings.carrier_account, "From": leg.caller,
            "To": leg.to, "Direction": leg.direction, "ApiVersion": "2010-04-01",
            "CallStatus": leg.status, **more,
        }  # fmt: skip

    def known_leg(sid: Any) -> Leg:
        return (exchange.find(sid) if isinstance(sid, str) else None) or abort(404)

    @phone.get("")
    @open_to_all(REASON)
    def telephone() -> Any:
        with runtime.db.reading() as session:
            rows = session.execute(
                select(Resident.name, Resident.building, ResidentPhone.phone)
                .join(ResidentPhone)
                .where(Resident.test)
                .order_by(Resident.id, ResidentPhone.id)
                .limit(30)
            ).all()
        page = render_template(
            "handset.html", residents=rows, mask=mask, stranger=STRANGER, withheld=WITHHELD,
            samples=_samples(), public_url=settings.public_url,
        )  # fmt: skip
        return Response(page, headers={"Permissions-Policy": "camera=(), geolocation=(), microphone=(self)"})  # fmt: skip

    @phone.post("/ring")
    @open_to_scripts(REASON)
    def ring() -> Any:
        """Dial our line."""
        caller = str(_asked().get("from", ""))[:40]
        leg = exchange.begin(
            to=settings.line_number, caller=caller, direction="inbound", status="ringing"
        )
        status, document = post(f"{settings.public_url}/ivr/ring", parameters(leg))
        exchange.change(leg, status="in-progress")
        return jsonify(sid=leg.sid, status=status, document=document)

    @phone.post("/send")
    @open_to_scripts(REASON)
    def send() -> Any:
        """One webhook of a call under way; `form` holds what the person on the phone did."""
        asked = _asked()
        leg = known_leg(asked.get("sid"))
        form = asked.get("form")
        did = {
            name: str(value)[:500]
            for name, value in (form.items() if isinstance(form, dict) else ())
            if TOLD.fullmatch(name) and name not in OURS
        }
        told = parameters(leg) | did
        if asked.get("child"):  # the volunteer's leg of the call
            told |= {"CallSid": f"{leg.sid}child", "ParentCallSid": leg.sid}
        status, document = post(str(asked.get("url", "")), told)
        return jsonify(status=status, document=document)

    @phone.post("/message")
    @open_to_scripts(REASON)
    def message() -> Any:
        """What was spoken, a file or a sample; answers how the carrier calls it."""
        request.max_content_length = settings.recording_max_bytes
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        sound = request.get_data()
        if media_type not in twin.SOUND_TYPES or not sound:
            abort(415)
        sid = exchange.keep_sound(sound, media_type)
        return jsonify(sid=sid, url=twin.recording_url(settings, sid))

    @phone.get("/waiting")
    @open_to_scripts(REASON)
    def waiting() -> Any:
        """The call that rings at a number now, if any."""
        for leg in twin.waiting(exchange, request.args.get("number", "")):
            ringing = exchange.change(leg, status="ringing") if leg.status == "queued" else leg
            return jsonify(sid=ringing.sid)
        return jsonify(sid=None)

    @phone.post("/answer")
    @open_to_scripts(REASON)
    def answer() -> Any:
        leg = exchange.pick_up(str(_asked().get("sid", ""))) or abort(409)
        status, document = post(leg.url, parameters(leg))
        return jsonify(sid=leg.sid, status=status, document=document)

    @phone.post("/ended")
    @open_to_scripts(REASON)
    def ended() -> Any:
        """A call is over: the status callback, once."""
        asked = _asked()
        leg = known_leg(asked.get("sid"))
        if leg.over:
            return jsonify(status=204)
        seconds, word = asked.get("seconds"), asked.get("status")
        leg = exchange.change(
            leg, status=word if word in twin.FINAL else "completed",
            seconds=min(seconds, 36_000) if isinstance(seconds, int) and seconds >= 0 else 0,
        )  # fmt: skip
        url = leg.status_callback or f"{settings.public_url}/ivr/status"
        status, _ = post(url, parameters(leg, CallDuration=str(leg.seconds)))
        return jsonify(status=status)

    @phone.get("/sample/<name>")
    @open_to_scripts(REASON)
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


def _asked() -> dict[str, Any]:
    asked = request.get_json(silent=True)
    return asked if isinstance(asked, dict) else abort(400)
