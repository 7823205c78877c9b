"""The bell: tells the hands, through Redis, that a promise was made. It holds no truth.

A ring that is lost costs seconds, never a promise: the sweep finds what nobody rang for.
"""

from concurrent.futures import ThreadPoolExecutor

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from hotline import logs

log = logs.logger(__name__)

NAME = "promises"
JOB = "worker.jobs.keep"  # by name, so that the web never imports the jobs
BELL_SECONDS = 0.3  # longer than this no ring is worth
JOB_SECONDS = 600
RESULT_SECONDS = 60
FAILURE_SECONDS = 3600


class RedisBell:
    """Rings from a thread of its own: no webhook waits for Redis, not even for a slow one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ringer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bell")

    def ring(self, *promise_ids: int) -> None:
        """Announce promises that are committed. Never raises, never waits."""
        if promise_ids:
            self._ringer.submit(self._ring, promise_ids)

    def _ring(self, promise_ids: tuple[int, ...]) -> None:
        try:
            queue = open_queue(connect(self._url, BELL_SECONDS))
            for promise_id in promise_ids:
                queue.enqueue(
                    JOB,
                    promise_id,
                    job_timeout=JOB_SECONDS,
                    result_ttl=RESULT_SECONDS,
                    failure_ttl=FAILURE_SECONDS,
                )
        except (RedisError, OSError) as error:
            log.warning("nobody heard the bell; the sweep will find it", error=type(error).__name__)

    def close(self) -> None:
        self._ringer.shutdown(wait=True)


class SilentBell:
    """For a house without Redis: everything is found by the sweep."""

    def ring(self, *promise_ids: int) -> None:
        pass

    def close(self) -> None:
        pass


def connect(url: str, seconds: float | None = None) -> "Redis":
    """A connection that gives up after so many seconds; None waits, as the hands do."""
    connection: Redis = Redis.from_url(
        url, socket_timeout=seconds, socket_connect_timeout=seconds or 5
    )
    return connection


def open_queue(connection: "Redis") -> Queue:
    return Queue(NAME, connection=connection, serializer=JSONSerializer)
