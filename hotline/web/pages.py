"""All pages of the house, put into an application: sessions, the guard, the rooms, the errors."""

from typing import Any

from flask import Flask, render_template, request
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException

from hotline import logs
from hotline.phone import Phone
from hotline.runtime import Runtime
from hotline.training import training
from hotline.web import (
    about,
    audit,
    auth,
    calling,
    cases,
    catalogue,
    desk,
    devices,
    door,
    feed,
    figures,
    finding,
    guard,
    handover,
    handset,
    health,
    imports,
    kept,
    letters,
    office,
    outings,
    papers,
    people,
    prompts,
    rights,
    rota,
    rules,
    sounds,
    twin,
    volunteers,
    walkin,
    words,
)

log = logs.logger(__name__)


def install(app: Flask, runtime: Runtime) -> None:
    """Everything a browser sees. Blueprints of the carrier's door are registered by the app."""
    settings = runtime.settings
    # A form holds 5,000 typed characters at most; a recording is sent to the telephone page only.
    app.config["MAX_CONTENT_LENGTH"] = 500_000
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        line_name=settings.line_name, demo=settings.demo, committee_phone=settings.committee_phone,
        words=words, spoken=_spoken(runtime),
    )  # fmt: skip
    csrf = CSRFProtect(app)
    auth.install(app, runtime)
    letters.install(app)
    kept.install(app)
    # Kept in memory, by each process: it stops a guesser's hammering, the ledger of tries is the database's.
    app.register_blueprint(door.make_blueprint(runtime))
    for room in (
        desk,
        office,
        calling,
        about,
        outings,
        sounds,
        papers,
        devices,
        feed,
        figures,
        finding,
        cases,
        audit,
        catalogue,
        health,
        walkin,
        handover,
        rota,
        people,
        prompts,
        rules,
        imports,
        volunteers,
        rights,
    ):
        app.register_blueprint(room.make_blueprint(runtime))
    telephones = twin.Exchange(settings, runtime.clock)
    app.register_blueprint(handset.make_blueprint(runtime, app, telephones))
    app.register_blueprint(twin.make_blueprint(training(settings), telephones))
    guard.install(app, csrf, second_factor=not settings.demo)

    @app.errorhandler(HTTPException)
    def said_no(error: HTTPException) -> Any:
        if request.path.startswith(guard.MACHINES):
            return error
        return render_template("error.html", code=str(error.code), typed=_typed()), error.code

    @app.errorhandler(500)
    def broken(error: Exception) -> Any:
        return render_template("error.html", code="500", typed=_typed()), 500


def _typed() -> str:
    """What a person had written, so that an error loses nothing; never a PIN."""
    if request.content_length and request.content_length > 100_000:
        return ""
    names = ("text", "why", "missing")
    return "\n".join(words.clean(request.form[name]) for name in names if request.form.get(name))


def _spoken(runtime: Runtime) -> Any:
    """The committee's telephone as digits in groups, or its place."""
    settings = runtime.settings
    if not settings.committee_phone:
        return settings.committee_place
    return words.grouped(Phone(settings.committee_phone).dialled)
