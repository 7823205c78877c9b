"""A private PostgreSQL for the tests: Debian's programs, a socket, no TCP, nothing that stays."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import psycopg

NOT_ROOT = ("postgres", "nobody")  # PostgreSQL refuses to run as root
# A test's data is gone with the test: nothing has to reach the disk.
CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
SOCKET_ONLY = ("listen_addresses=", "shared_buffers=16MB", "max_connections=100")


class PostgresMissingError(Exception):
    """PostgreSQL's programs are not installed; `make test` installs them."""


@contextmanager
def server() -> Iterator[str]:
    """A running server; yields the SQLAlchemy address of its empty database."""
    initdb, postgres = program("initdb"), program("postgres")
    user = _user()
    folder = Path(mkdtemp(prefix="pg-", dir="/tmp"))  # sockets need short paths (108 bytes)
    try:
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        subprocess.run(
            [initdb, "-D", data, "-U", "house", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True, user=user, cwd=folder, capture_output=True,
        )  # fmt: skip
        settings = [part for each in (*CARELESS, *SOCKET_ONLY) for part in ("-c", each)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [postgres, "-D", data, "-k", folder, *settings],
                user=user, cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            _wait_until_it_answers(process, folder)
            yield f"postgresql+psycopg://house@/postgres?host={folder}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> str:
    """Where Debian keeps it: the newest version, or the PATH; raises PostgresMissingError."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / name).exists():
            return str(folder / name)
    if found := shutil.which(name):
        return found
    raise PostgresMissingError(f"{name} is missing: install the package postgresql")


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in NOT_ROOT if name in known)


def _wait_until_it_answers(process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            psycopg.connect(f"host={folder} user=house dbname=postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            try:
                process.wait(0.05)  # a pause that its death would end
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
