"""One pair of hands: a thread that takes promises off the queue, and a seat of its own to listen in.

Threads, because a process more is 25 MB of pages that Python writes in; what they do is waiting, and what takes
time, listening, is a process anyway.
"""

import threading
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from hotline import logs
from worker.jobs import HANDS, Hands
from worker.queue import NAME, connect

log = logs.logger(__name__)

AGAIN_SECONDS = 1.0
FINISHES_SECONDS = 8.0  # the household waits as long


class Pair(threading.Thread):
    """Works until its process ends; a job that is under way may be finished first."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(daemon=True)
        self._hands = hands
        self._busy = threading.Lock()
        hands.open_booth()  # now, while little of what the seat shares has been written in

    def run(self) -> None:
        HANDS.set(self._hands)
        while True:
            try:
                connection: Any = connect(self._hands.runtime.settings.redis)
                connection.ping()
                # No fork a job: what may crash listens in a child of its own (asr.booth), and the
                # rest is fenced by leases.
                _Puller([NAME], self._busy, connection).work(logging_level="WARNING")
            except (RedisError, OSError):
                threading.Event().wait(AGAIN_SECONDS)

    def finish(self) -> None:
        """Let a job end, and begin no other."""
        if not self._busy.acquire(timeout=FINISHES_SECONDS):
            log.warning("a job is cut off; its lease will run out")


class _Puller(SimpleWorker):
    """RQ's worker in a thread: signals are the main thread's."""

    death_penalty_class = TimerDeathPenalty

    def __init__(self, queues: list[str], busy: threading.Lock, connection: Any) -> None:
        super().__init__(queues, connection=connection, serializer=JSONSerializer)
        self._busy = busy

    def execute_job(self, job: Job, queue: Queue) -> None:
        with self._busy:
            super().execute_job(job, queue)

    def _install_signal_handlers(self) -> None:
        pass
