"""A private redis-server on a unix socket, which a test may kill, wipe and start again."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from redis import Redis
from redis.exceptions import RedisError


class RedisHouse:
    """One redis-server child; `url` stays the same however often it dies and comes back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "install the package redis-server"
        self._process = subprocess.Popen(
            [
                program, "--port", "0", "--unixsocket", str(self.socket),
                "--dir", str(self.folder), "--save", "", "--appendonly", "no",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            try:
                with Redis.from_url(self.url) as connection:
                    connection.ping()
                return
            except RedisError:
                try:
                    self._process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
                break
        raise RuntimeError("redis-server did not start")

    def wipe(self) -> None:
        with Redis.from_url(self.url) as connection:
            connection.flushall()

    def kill(self) -> None:
        """kill -9; everything in it is lost."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running() -> Iterator[RedisHouse]:
    """A started house of its own, gone afterwards."""
    folder = Path(mkdtemp(prefix="rd-", dir="/tmp"))  # sockets need short paths (108 bytes)
    house = RedisHouse(folder)
    try:
        house.start()
        yield house
    finally:
        house.kill()
        shutil.rmtree(folder, ignore_errors=True)
