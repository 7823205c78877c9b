"""The carrier's door: signed forms in, TwiML out. It owns the transaction and reads the clock once.

Whatever goes wrong inside, the caller hears a sentence: an exception is logged with its call and
answered by an apology, never by a 500.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Protocol

from flask import Blueprint, Response, abort, g, request
from sqlalchemy.orm import Session
from twilio.request_validator import RequestValidator

from hotline import logs
from hotline.clock import Clock
from hotline.config import Settings
from hotline.db import Database
from hotline.phone import read_caller
from hotline.store import Store
from hotline.training import holding, training
from ivr import calls, forms, own_words, recordings, ringing, settling, sounds, turns
from ivr.calls import Porter
from ivr.carrier import read_status
from ivr.engine import FACT
from ivr.fetching import NotYetError, RefusedError, fetch
from ivr.models import CallStatus
from ivr.steps import Effect, Find, Record
from ivr.turns import Asked, Planned
from ivr.twiml import Scribe
from ivr.voices import Voices
from tickets import ledger
from tickets.models import Recording, ReturnTry

log = logs.logger(__name__)

FORM_MAX_BYTES = 64_000  # a carrier's form is about 1 kB
HASH = re.compile(r"[0-9a-f]{64}")
NEVER_ASKED = 1_000_000  # a question number that cannot be: the newest question is asked again


class Bell(Protocol):
    def ring(self, *promise_ids: int) -> None: ...


class House(Protocol):
    """What the telephone's door needs of the house."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def db(self) -> Database: ...
    @property
    def bell(self) -> Bell: ...
    @property
    def store(self) -> Store: ...
    @property
    def prompt_store(self) -> Store: ...


def make_blueprint(house: House, porter: Porter) -> Blueprint:
    """The routes a carrier calls, under /ivr; the porter judges the PINs of volunteers."""
    settings = house.settings
    voices = Voices()
    scribe = Scribe(settings, voices)
    validators = [RequestValidator(secret) for secret in settings.secrets]
    browsers = training(settings)  # what they sign is a test
    browsers_validators = [RequestValidator(secret) for secret in browsers.secrets]
    fallback = scribe.apology()
    door = Blueprint("ivr", __name__, url_prefix="/ivr")

    def signed(view: Callable[[], str]) -> Callable[[], Response]:
        @wraps(view)
        def checked() -> Response:
            request.max_content_length = FORM_MAX_BYTES
            by_carrier = forms.is_signed(settings, validators)
            g.test = settings.demo or not by_carrier
            if not by_carrier and not forms.is_signed(browsers, browsers_validators):
                log.warning("unsigned webhook refused", path=request.path)
                abort(403)
            logs.about(call=request.form.get("CallSid", "-"))
            try:
                return _xml(view())
            except Exception:
                log.exception("webhook failed", path=request.path)
                return _xml(scribe.apology(house.clock()))
            finally:
                logs.forget()

        checked.guard = "signed"  # type: ignore[attr-defined]  # read by the app's guard
        return checked

    def move_on(think: Callable[[Session], Asked | Planned | None]) -> str:
        """Read and think; then, if the call moves, write it in one short transaction and ring the
        bell after it. A question asked again is only read."""
        now, ring = house.clock(), None
        with house.db.reading() as session:
            voices.look(session, now)
            asked = think(session)
        if asked is None:
            return scribe.hang_up()
        owed: list[int] = []
        if isinstance(asked, Planned):
            with house.db.writing() as session:
                asked = turns.write(session, asked, now)
                owed = settling.carry_out(
                    session, settings, asked, recordings.reported(request.form), now
                )
            house.bell.ring(*owed)
        if isinstance(asked.step, Find):
            with house.db.reading() as session:
                ring = ringing.whom_to_ring(
                    session, settings, asked.step.whom, asked.memory, asked.call_id, now
                )
        slow = bool(asked.memory.get(FACT + "slow"))
        return scribe.ask(
            asked.step, asked.says, turn=asked.turn, at=asked.at, ring=ring, slow=slow
        )

    def come_in(session: Session) -> Asked | Planned:
        caller = read_caller(
            request.form.get("From", ""), country=settings.country, area=settings.area_code
        )
        return calls.ring(session, settings, forms.call_sid(), caller, house.clock(), test=g.test)

    @door.post("/ring")
    @signed
    def ring() -> str:
        return move_on(come_in)

    @door.post("/turn")
    @signed
    def turn() -> str:
        def think(session: Session) -> Asked | Planned:
            try:
                return calls.hear(
                    session,
                    settings,
                    forms.call_sid(),
                    forms.number("turn", NEVER_ASKED),
                    forms.heard(session, settings),
                    house.clock(),
                    porter,
                )
            except calls.UnknownCallError:
                log.warning("a turn of a call that never rang")
                return come_in(session)

        return move_on(think)

    @door.post("/answered")
    @signed
    def answered() -> str:
        token = request.args.get("token", "")
        machine = request.form.get("AnsweredBy", "").startswith(("machine", "fax"))
        return move_on(
            lambda session: calls.answered(
                session, settings, forms.call_sid(), token, house.clock(), machine=machine
            )
        )

    @door.post("/whisper")
    @signed
    def whisper() -> str:
        call_id, number, who = (forms.number(name, 0) for name in ("call", "turn", "who"))
        digits = request.form.get("Digits")
        if digits is None and "silent" not in request.args:
            return scribe.whisper(call_id, number, who, house.clock())
        if not (digits or "").startswith("1"):
            return scribe.hang_up()
        with house.db.writing() as session:
            settling.take(session, settings, call_id, who, house.clock())
        return scribe.nothing()

    @door.post("/recording")
    @signed
    def recording() -> str:
        said = recordings.reported(request.form)
        finished = request.form.get("RecordingStatus", "completed") == "completed"
        if said is None or not finished or forms.is_empty(settings, said):
            return scribe.nothing()
        with house.db.writing() as session:
            row = turns.find(session, forms.call_sid())
            call = calls.lock(
                session, row.id if row else _begun(session, come_in(session), house.clock())
            )
            number = forms.number("turn", NEVER_ASKED)
            step = turns.step_of(session, call, number)
            effect = step.effect if isinstance(step, Record) else Effect.KEEP
            owed = settling.keep(session, settings, call, number, effect, said, house.clock())
        house.bell.ring(*owed)
        return scribe.nothing()

    @door.post("/status")
    @signed
    def status() -> str:
        word = read_status(request.form.get("CallStatus"))
        if word is CallStatus.UNDER_WAY:
            return scribe.nothing()
        owed: list[int] = []
        with house.db.writing() as session:
            if (row := turns.find(session, forms.call_sid())) is not None:
                owed = calls.end(session, row.id, word, forms.seconds(), house.clock())
                owed += settling.hang_up(session, settings, row.id, house.clock())
            elif (token := request.args.get("token")) and (
                attempt := session.query(ReturnTry).filter_by(token=token).one_or_none()
            ):
                settling.finish(session, settings, attempt, word, house.clock())
        house.bell.ring(*owed)
        return scribe.nothing()

    @door.route("/fallback", methods=["GET", "POST"])
    def broken() -> Response:
        return _xml(fallback)

    @door.get("/sound/<name>.wav")
    def sound(name: str) -> Response:
        if name not in sounds.SOUNDS:
            abort(404)
        return _wav(sounds.wav(name))

    @door.get("/prompt/<sha256>.wav")
    def prompt(sha256: str) -> Response:
        """A take by the hash of its sound: nobody guesses it, and what is under it never changes."""
        if not HASH.fullmatch(sha256):
            abort(404)
        try:
            with house.prompt_store.open(f"{sha256[:2]}/{sha256}.wav") as file:
                return _wav(file.read(), age_seconds=31_536_000)
        except FileNotFoundError:
            abort(404)

    def played(recording: Recording) -> Response:
        """A recording's sound: from our store, or, in the first seconds, from the carrier."""
        try:
            if recording.key is not None:
                with house.store.open(recording.key) as file:
                    return _own(file.read(), recording.media_type)
            coming = fetch(holding(settings, recording.url), recording.url)
            return _own(b"".join(coming.blocks()), coming.media_type)
        except (NotYetError, RefusedError, FileNotFoundError) as error:
            log.warning("a recording cannot be played", why=str(error))
            abort(404)

    @door.get("/own/<seal>/<name>.wav")
    def own(seal: str, name: str) -> Response:
        """What was said, to the call that was told where; `name` is for the carrier's books alone.

        That a volunteer hears it was written with his call.
        """
        now = house.clock()
        with house.db.writing() as session:
            recording, listener = own_words.find(session, settings, seal, now)
            if recording is None:
                abort(404)
            if listener == own_words.CALLER:
                ledger.write(
                    session, at=now, person=ledger.CALLER, act="play_back",
                    object_kind="recording", object_id=recording.id, ticket=recording.ticket_id,
                )  # fmt: skip
            session.expunge(recording)
        return played(recording)

    own.guard = "open: the address is a secret of one call, and is forgotten"  # type: ignore[attr-defined]

    # These hold no word of any caller, and the carrier fetches them without signing.
    unsigned: tuple[Callable[..., Response], ...] = (broken, sound, prompt)
    for view in unsigned:
        view.guard = "open: holds no word of any caller"  # type: ignore[attr-defined]
    return door


def _begun(session: Session, coming: Asked | Planned, now: datetime) -> int:
    """The call of a recording that overtook its ring."""
    return (turns.write(session, coming, now) if isinstance(coming, Planned) else coming).call_id


def _xml(document: str) -> Response:
    return Response(document, content_type="text/xml; charset=utf-8")


def _own(sound: bytes, media_type: str) -> Response:
    return Response(
        sound, content_type=media_type or "audio/wav", headers={"Cache-Control": "no-store"}
    )


def _wav(sound: bytes, *, age_seconds: int = 86_400) -> Response:
    kept = {"Cache-Control": f"public, max-age={age_seconds}"}
    return Response(sound, content_type="audio/wav", headers=kept)
