"""What a carrier's request says: whose it is, and what the caller did. Read from Flask's `request`."""

from collections.abc import Mapping
from typing import Any

from flask import request
from sqlalchemy.orm import Session
from twilio.request_validator import RequestValidator

from hotline.config import Capability, Settings
from ivr import recordings, turns
from ivr.engine import Heard, Way
from ivr.steps import Find

MOST_DIGITS = 64  # a PIN is no longer; elsewhere the first key counts


def is_signed(settings: Settings, validators: list[RequestValidator]) -> bool:
    signature = request.headers.get(settings.signature_header)
    if not signature:
        return False
    # The address as it was sent: Flask's own un-escapes it, and behind a proxy has another host.
    target = (
        request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.full_path
    )
    if not target.startswith("/"):
        target = "/" + target.split("//", 1)[-1].partition("/")[2]
    url = settings.public_url + target
    # The scheme is our setting's, never what a header of the request asks for.
    scheme = settings.signature_scheme
    form = request.form
    return any(validator.validate(url, form, signature, scheme) for validator in validators)


def heard(session: Session, settings: Settings) -> Heard:
    """What the caller did, from any of the forms in which the carriers report it."""
    form = request.form
    digits = form.get("Digits", "")
    key, hung_up = ("", True) if digits == "hangup" else (digits[:MOST_DIGITS], False)
    if "DialCallStatus" in form:
        if _was_taken(session, settings, form):
            return Heard(Way.TAKEN)
        return Heard(Way.ENGAGED if form["DialCallStatus"] == "busy" else Way.UNTAKEN)
    if (said := recordings.reported(form)) is not None:
        return Heard(Way.EMPTY if is_empty(settings, said) else Way.SPEECH, key, hung_up)
    if "empty" in request.args:
        return Heard(Way.EMPTY)
    return Heard(Way.KEY, key) if key else Heard(Way.SILENCE, hung_up=hung_up)


def _was_taken(session: Session, settings: Settings, form: Mapping[str, str]) -> bool:
    """Whether a volunteer spoke with the caller. "completed" after a refused whisper is no answer."""
    row = turns.find(session, call_sid())
    if row is None or row.taken_by is not None:
        return row is not None
    step = turns.step(row.flow, turns.newest(session, row.id).step)
    whispers = Capability.WHISPER in settings.capabilities
    return (not whispers or (isinstance(step, Find) and step.whom != "volunteers")) and form[
        "DialCallStatus"
    ] in {
        "completed",
        "answered",
    }


def is_empty(settings: Settings, said: recordings.Reported) -> bool:
    return said.seconds is not None and said.seconds < settings.message_min_seconds


def call_sid() -> str:
    sid = request.form.get("CallSid", "")
    if not sid or len(sid) > 200:
        raise MissingCallError("the webhook names no call")
    return sid


class MissingCallError(ValueError):
    """A webhook without a usable CallSid: nobody can say whose it is."""


def number(name: str, otherwise: int, *, digits: int = 9) -> int:
    value = request.args.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= digits else otherwise


def seconds() -> int | None:
    value: Any = request.form.get("CallDuration", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 8 else None
