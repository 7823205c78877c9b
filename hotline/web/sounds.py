"""What was said: to listen to, and to write down as a person heard it."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session

from hotline.runtime import Runtime
from hotline.web import listen, sheet, words
from hotline.web.guard import needs
from hotline.web.sheet import Refused
from tickets import ledger
from tickets.models import Recording, Role

LONGEST_TEXT = 5000


def make_blueprint(runtime: Runtime) -> Blueprint:
    sounds = Blueprint("sounds", __name__, url_prefix="/recording")
    db = runtime.db

    @sounds.get("/<int:recording_id>")
    @needs(Role.VOLUNTEER)
    def sound(recording_id: int) -> Response:
        """A recording, once it is written down who listens."""
        with db.writing() as session:
            recording = session.get(Recording, recording_id)
            if recording is None or recording.key is None:
                abort(404)
            key, media_type = recording.key, recording.media_type
            sheet.note_look(
                session, "listen", "recording", recording_id, runtime.clock(), ticket=recording.ticket_id
            )  # fmt: skip
        try:
            return listen.respond(runtime.store, key, media_type)
        except FileNotFoundError:
            abort(404)

    @sounds.get("/<int:recording_id>/text")
    @needs(Role.VOLUNTEER)
    def again(recording_id: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("desk.one", ticket_id=_ticket_of(recording_id)))

    @sounds.post("/<int:recording_id>/text")
    @needs(Role.VOLUNTEER)
    def correct(recording_id: int) -> Any:
        """What a person heard, beside what the machine heard; both are kept."""
        now, text = runtime.clock(), words.clean(request.form.get("text", ""))
        ticket_id = _ticket_of(recording_id)
        try:
            with db.writing() as session:
                ticket = sheet.locked(session, ticket_id)
                sheet.must_be_theirs(sheet.me(session, now), ticket)
                _write_text(session, recording_id, text, now)
        except Refused as refused:
            return sheet.show(runtime, ticket_id, refused, 409)
        flash("改好了，记下来了。机器听写的原话也留着。")
        return redirect(
            url_for("desk.one", ticket_id=ticket_id, _anchor=f"recording-{recording_id}")
        )

    def _ticket_of(recording_id: int) -> int:
        with db.reading() as session:
            found = session.get(Recording, recording_id)
            return (found.ticket_id if found else None) or abort(404)

    return sounds


def _write_text(session: Session, recording_id: int, text: str, now: datetime) -> None:
    recording = session.get_one(Recording, recording_id)
    heard = recording.transcript
    if heard is None:
        raise Refused("not_heard_yet")
    if not text:
        raise Refused("no_text")
    if len(text) > LONGEST_TEXT:
        raise Refused("long_text", {"length": len(text), "longest": LONGEST_TEXT})
    seen = request.form.get("seen_text", "")
    if words.clean(seen) not in {heard.corrected_text or heard.text, text}:
        # Somebody else wrote in the meantime; what this person typed stays on the page.
        raise Refused("text_changed", {"text": heard.corrected_text or heard.text})
    heard.corrected_text, heard.corrected_by, heard.corrected_at = text, current_user.id, now
    ledger.write(
        session, at=now, person=current_user.person, act="correct", object_kind="ticket",
        object_id=recording.ticket_id, recording=recording_id,
    )  # fmt: skip
