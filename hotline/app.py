"""The web application: the carrier's door and the pages, made from one runtime."""

from datetime import datetime

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from hotline import clock, logs, mishaps
from hotline.config import Settings
from hotline.db import Database
from hotline.exchange import furnish
from hotline.runtime import Runtime, build
from hotline.web import pages, phone_door
from ivr import studio, webhooks

log = logs.logger(__name__)


def create_app(runtime: Runtime) -> Flask:
    """An application for this house; the same one in production, demonstration and tests."""
    app = Flask("hotline")
    app.before_request(runtime.rules.look)  # a glance at a clock, and a query every few seconds
    app.register_blueprint(webhooks.make_blueprint(runtime, phone_door.porter(runtime)))
    pages.install(app, runtime)
    return app


def from_environment() -> Flask:
    """What the web server starts: the application by the settings of the environment."""
    logs.start()
    settings = furnish(Settings.read())
    mishaps.keep(settings.data_folder)
    retire_old_words(settings, clock.now())
    return create_app(build(settings))


def retire_old_words(settings: Settings, now: datetime) -> None:
    """Recordings of words that have changed since are put aside before the first call is answered."""
    database = Database(settings.database, synchronous=settings.sqlite_synchronous)
    try:
        with database.writing() as session:
            studio.retire(session, settings, now)
    except SQLAlchemyError:
        log.warning("the database does not answer yet")
    finally:
        database.close()  # no connection may go through a fork
