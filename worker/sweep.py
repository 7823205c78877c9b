"""The sweep: finds the promises nobody rang for, and keeps them itself where there is no Redis."""

import time
from collections.abc import Callable

from redis.exceptions import RedisError
from rq import Queue

from hotline import logs
from tickets import dialling, handover, limits, promises, volunteer_calls
from tickets import watch as roster_watch
from worker import holders, night
from worker.jobs import Hands
from worker.queue import JOB, JOB_SECONDS, RESULT_SECONDS, connect, open_queue

log = logs.logger(__name__)

BELL_SECONDS = 1.0


def sweep(hands: Hands, queue: Queue | None) -> int:
    """One look: hand what is due to the queue, or, without one, keep it here. Returns how many."""
    runtime = hands.runtime
    release_the_dead(hands)
    look_at_the_roster(hands)
    _begin_duty(hands)
    with runtime.db.reading() as session:
        due = promises.due(session, runtime.clock())
    if queue is not None:
        try:
            if queue.count == 0:  # what already waits there has been rung for
                for promise_id in due:
                    queue.enqueue(
                        JOB, promise_id, job_timeout=JOB_SECONDS, result_ttl=RESULT_SECONDS
                    )
            return len(due)
        except (RedisError, OSError):
            log.info("no Redis; the sweep keeps what is due itself")
    return sum(hands.keep(promise_id) for promise_id in due)


def release_the_dead(hands: Hands) -> None:
    """Take back what a killed process had in hand."""
    db = hands.runtime.db
    with db.reading() as session:
        held = promises.held(session, hands.runtime.clock())
    dead = [token for token in held if holders.is_dead(token, on_one_machine=db.is_sqlite)]
    if dead:
        log.warning("a hand died; what it held is free again", promises=len(dead))
        with db.writing() as session:
            promises.release(session, dead)


def _begin_duty(hands: Hands) -> None:
    """Owe whoever has begun duty a ring. Looked at first, so that a quiet sweep writes nothing."""
    runtime = hands.runtime
    with runtime.db.reading() as session:
        if not volunteer_calls.owes_start_of_duty(session, runtime.clock()):
            return
    with runtime.db.writing() as session:
        dialling.take_the_dial(session)
        volunteer_calls.owe_start_of_duty(session, runtime.clock())


def look_at_the_roster(hands: Hands) -> None:
    """Owe the hand-over of the shifts that have ended, and announce what is wrong with the next.

    Whatever goes wrong with a roster keeps no promise waiting.
    """
    runtime, now = hands.runtime, hands.runtime.clock()
    try:
        with runtime.db.reading() as session:
            ended = handover.ended(session, now)
            if not ended and not roster_watch.due(session, runtime.settings, now):
                return
        with runtime.db.writing() as session:
            dialling.take_the_dial(session)  # of two sweeps one waits, and finds it owed
            handover.owe(session, now)
            roster_watch.announce(session, runtime.settings, now)
    except Exception:
        log.exception("the roster could not be looked at; the next look will")


def remind(hands: Hands) -> list[int]:
    """Write down who has to be reminded of what is late; the pen is taken only if there is any."""
    runtime = hands.runtime
    now = runtime.clock()
    with runtime.db.reading() as session:
        if not limits.due(session, runtime.settings, now):
            return []
    with runtime.db.writing() as session:
        return limits.remind(session, runtime.settings, now)


def owe_night_round(hands: Hands) -> None:
    """See to it that there is a next night's round."""
    with hands.runtime.db.reading() as session:
        owed = night.is_owed(session)
    if not owed:
        with hands.runtime.db.writing() as session:
            night.owe(session, hands.runtime.clock())


def watch(hands: Hands, stopped: Callable[[], bool]) -> None:
    """Look again and again until stopped. Nothing that goes wrong ends it."""
    settings = hands.runtime.settings
    queue = open_queue(connect(settings.redis, BELL_SECONDS))
    while not stopped():
        try:
            hands.runtime.rules.look()
            sweep(hands, queue)
            remind(hands)
            owe_night_round(hands)
        except Exception:
            log.exception("the sweep stumbled; it will look again")
        time.sleep(settings.sweep_seconds)
