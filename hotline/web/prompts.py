"""提示语: what callers hear, who speaks it, and recording it: hear, record, upload, use, go back."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user

from hotline.config import CarrierKind
from hotline.exchange import prompts_folder
from hotline.runtime import Runtime
from hotline.web import board, listen, words
from hotline.web.guard import needs
from hotline.web.prompt_places import FAULTS, GROUPS, SETS, WHEN, whole
from ivr import parts, studio
from ivr.parts import NUMBER_OF, NUMBERS, Piece, Spot
from ivr.studio import NotUsableError
from ivr.takes import Fault, Origin, Take
from tickets.models import Role

MICROPHONE = {"Permissions-Policy": "camera=(), geolocation=(), microphone=(self)"}


def make_blueprint(runtime: Runtime) -> Blueprint:
    prompts = Blueprint("prompts", __name__, url_prefix="/prompts")
    db, settings, store = runtime.db, runtime.settings, runtime.prompt_store

    @prompts.url_value_preprocessor
    def takes_sounds(_: str | None, __: dict[str, Any] | None) -> None:
        request.max_content_length = settings.recording_max_bytes  # before the form is read

    @prompts.get("")
    @needs(Role.ADMIN)
    def every() -> Any:
        """All prompts of one kind of call, part by part, with who speaks each in each set."""
        group = request.args.get("of", "I")
        shown = [_to_record(prompt) for prompt in parts.PIECES if prompt[0] == group] or abort(404)
        pieces = [piece for each in shown for piece in each]
        with db.reading() as session:
            standings = studio.standings(session, settings)
            spoken, outdated, of = studio.count(standings)
            return render_template(
                "prompts.html", pieces=pieces, standings=standings, spot=Spot, numbers=NUMBER_OF,
                sets=SETS, groups=GROUPS, group=group, when=WHEN, whole=whole, every=parts.PIECES, names=board.names(session),
                spoken=spoken, outdated=outdated, of=of, now=runtime.clock(),
            )  # fmt: skip

    def show(number: int, refused: str = "", status: int = 200) -> Any:
        spot = NUMBERS.get(number) or abort(404)
        beside = {name: Spot(spot.prompt, spot.part, name) for name in SETS}
        with db.reading() as session:
            standing = studio.standings(session, settings, [spot])[spot]
            page = render_template(
                "prompt.html", number=number, spot=spot, standing=standing, refused=refused, sets=SETS,
                beside={name: NUMBER_OF[each] for name, each in beside.items()}, when=WHEN, whole=whole(spot.prompt), pieces=parts.PIECES[spot.prompt],
                faults=FAULTS, machine=shutil.which("espeak-ng") is not None, names=board.names(session), now=runtime.clock(),
            )  # fmt: skip
        return page, status, MICROPHONE

    @prompts.get("/<int:number>")
    @needs(Role.ADMIN)
    def one(number: int) -> Any:
        return show(number)

    @prompts.post("/<int:number>")
    @needs(Role.ADMIN)
    def record(number: int) -> Any:
        """A file, or what the browser recorded: kept, and used only when somebody says so."""
        spot = NUMBERS.get(number) or abort(404)
        given = request.files.get("sound")
        if given is None or not given.filename:
            return show(number, "nothing", 409)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "sound"
            given.save(file)
            given.close()
            sound = studio.bring_home(store, file, given.mimetype)
        if sound.made.fault is Fault.NO_SOUND:
            return show(number, Fault.NO_SOUND, 409)
        origin = Origin.BROWSER if request.form.get("from") == "browser" else Origin.FILE
        with db.writing() as session:
            studio.keep(
                session, settings, spot, origin, current_user.person, runtime.clock(), sound=sound
            )
        if sound.made.fault:
            return show(number, sound.made.fault, 409)
        flash("录好了，留下来了。先听一听，好就点「用这一遍」。")
        return redirect(url_for("prompts.one", number=number))

    @prompts.post("/<int:number>/use")
    @needs(Role.ADMIN)
    def use(number: int) -> Any:
        """Put a take in use, an earlier one too; or have the machine speak again."""
        spot = NUMBERS.get(number) or abort(404)
        chosen = request.form.get("take", "")
        try:
            with db.writing() as session:
                now, by = runtime.clock(), current_user.person
                if chosen:
                    take = session.get(Take, words.whole_number(chosen))
                    if take is None or take.spot != spot:
                        abort(404)
                    studio.use(session, settings, take, by, now)
                    said = f"从下一个电话起，用第{take.version}遍。"
                else:
                    studio.put_aside(session, spot, by, now)
                    said = "从下一个电话起，由机器念。录音都留着。"
        except NotUsableError:
            return show(number, "not_usable", 409)
        if spot == studio.APOLOGY and settings.carrier is CarrierKind.EXCHANGE:
            with db.reading() as session:
                studio.lay_out_apology(session, settings, store, prompts_folder(settings))
        flash(said)
        return redirect(url_for("prompts.one", number=number))

    @prompts.get("/<int:number>/use")
    @needs(Role.ADMIN)
    def from_history(number: int) -> Any:
        """The address of a form, opened again from the browser's history."""
        return redirect(url_for("prompts.one", number=number))

    @prompts.get("/sound/<int:take_id>")
    @needs(Role.ADMIN)
    def sound(take_id: int) -> Response:
        """A take as callers hear it; one with a fault as it came."""
        with db.reading() as session:
            take = session.get(Take, take_id) or abort(404)
            key = take.sound_key or take.original_key or abort(404)
            media_type = "audio/wav" if take.sound_key else take.original_type
        try:
            return listen.respond(store, key, media_type)
        except FileNotFoundError:
            abort(404)

    @prompts.get("/<int:number>/machine")
    @needs(Role.ADMIN)
    def machine(number: int) -> Response:
        """As this machine says it; a carrier's own voice may be another."""
        from ivr import machine_voice

        spot = NUMBERS.get(number) or abort(404)
        said = machine_voice.say(
            studio.words_of(settings, spot), settings.data_folder / "exchange" / "speech"
        )
        return Response(said or abort(404), content_type="audio/wav")

    return prompts


def _to_record(prompt: str) -> list[Piece]:
    """The parts of a prompt; where there is none, the whole of it."""
    every = parts.PIECES[prompt]
    return [piece for piece in every if piece.part] or list(every[:1])
