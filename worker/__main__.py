"""The worker's process: loads the ear once, forks the hands and the sweep, restarts what dies."""

import gc
import multiprocessing
import signal
import threading
from multiprocessing.process import BaseProcess

from sqlalchemy.exc import SQLAlchemyError

from asr.recognizer import Recognizer
from hotline import ear, logs, mishaps
from hotline.config import Settings
from hotline.db import Database
from hotline.runtime import build
from ivr.carrier import Carrier
from worker import listening, sweep
from worker.jobs import Hands
from worker.pair import Pair

log = logs.logger(__name__)

FORK = multiprocessing.get_context("fork")  # so that the hands share the model's memory
RESTART_SECONDS = 1.0


def main(settings: Settings) -> None:
    """Keep promises until SIGTERM or SIGINT."""
    mishaps.keep(settings.data_folder)
    recognizer = open_ear(settings)
    warm_up(settings)
    gc.collect()
    gc.freeze()  # what is loaded stays shared: the collector would touch, and so copy, its pages
    stop = threading.Event()
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, lambda *_: stop.set())
    rooms: dict[str, BaseProcess] = {}
    while not stop.is_set():
        for name in ("sweep", "hands"):
            if name not in rooms or not rooms[name].is_alive():
                if name in rooms:
                    log.warning("a process of the worker died; starting it again", process=name)
                rooms[name] = FORK.Process(
                    target=_room, args=(name, settings, recognizer), name=name, daemon=False
                )
                rooms[name].start()
        stop.wait(RESTART_SECONDS)
    for room in rooms.values():
        room.terminate()
    for room in rooms.values():
        room.join(10)
        if room.is_alive():
            room.kill()


def open_ear(settings: Settings) -> Recognizer | None:
    """The recogniser, or None: then a person listens to every recording, and nothing is lost."""
    heard = ear.listen(settings)
    if heard.broken:
        log.error("the model cannot be used", why=heard.sentence)
    elif not heard.official:
        log.warning("no official model", why=heard.sentence)
    return heard.recognizer


def warm_up(settings: Settings) -> None:
    """Make the ear ready before the forks, which share it; without a database each does it itself."""
    database = Database(settings.database, synchronous=settings.sqlite_synchronous)
    try:
        with database.reading() as session:
            listening.warm_up(session)
    except SQLAlchemyError:
        log.warning("the database does not answer yet")
    finally:
        database.close()  # no connection may go through a fork
    Carrier(settings).warm_up()


def _room(name: str, settings: Settings, recognizer: Recognizer | None) -> None:
    """A child's whole life."""
    stop = threading.Event()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the terminal's Ctrl-C reaches us through the parent
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    runtime = build(settings)
    if name == "sweep":
        sweep.watch(Hands(runtime, recognizer), lambda: _orphaned())
        return
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    pairs = [Pair(Hands(runtime, recognizer)) for _ in range(settings.hands)]
    for pair in pairs:
        pair.start()
    while not stop.wait(RESTART_SECONDS) and all(pair.is_alive() for pair in pairs):
        if _orphaned():
            return
    for pair in pairs:
        pair.finish()


def _orphaned() -> bool:
    """Whether the parent is gone: then nobody would restart us or tell us to stop."""
    parent = multiprocessing.parent_process()
    return parent is None or not parent.is_alive()


if __name__ == "__main__":
    logs.start()
    main(Settings.read())
