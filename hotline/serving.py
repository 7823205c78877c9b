"""gunicorn's configuration: it is read in the master, so the web processes forked from it find the
application's modules loaded. Each still makes its own application and its own connections."""

from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

import hotline.app  # noqa: F401
from hotline import clock, logs
from hotline.config import Settings
from hotline.db import Database
from hotline.exchange import furnish
from ivr import studio

log = logs.logger(__name__)


def on_starting(_: object) -> None:
    """Once in the master, before there is any process that answers."""
    logs.start()
    retire_old_words(furnish(Settings.read()), clock.now())


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
