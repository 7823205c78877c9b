"""Work done in a child process that may die, hang or grow without harm to its parent.

A fork and not a fresh process: the model that the parent loaded is shared, and starting costs milliseconds.
"""

import gc
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Send = Callable[[str], None]

FINISHED = "."  # the last line of a child that came to its end
FAILED = "! "  # before the last words of one that met an exception
KEPT_FROM_PARENT = (
    3  # stdin, stdout, stderr: replaced by nothing; every other descriptor is the parent's business
)
LARGEST_REPORT_BYTES = 8_000_000  # ten hours of words; more is a child gone wrong
ORPHAN_SECONDS = 2  # past its limit a child whose parent has died ends itself


@dataclass(frozen=True)
class Report:
    """What a child sent, line by line, and why it ended early (None: it finished)."""

    lines: tuple[str, ...]
    death: str | None


def apart(
    work: Callable[[Send], None], *, max_wall_seconds: float, max_memory_bytes: int
) -> Report:
    """Run `work` in a forked child and collect the lines that it sends.

    `max_memory_bytes` is what the child may map beyond what it was born with. The child is gone, and waited for,
    when this returns or raises.
    """
    mouth, ear = _pipe()
    try:
        child = _fork()
    except OSError as error:
        os.close(mouth)
        os.close(ear)
        return Report((), f"cannot fork: {error.strerror}")
    if child == 0:
        _live(work, ear, max_wall_seconds, max_memory_bytes)
    os.close(ear)
    try:
        sent, late = _listen(mouth, time.monotonic() + max_wall_seconds)
    finally:
        os.close(mouth)
        status = _ended(child)
    *lines, _ = sent.decode(errors="replace").split("\n")
    if lines and lines[-1] == FINISHED:
        return Report(tuple(lines[:-1]), None)
    if lines and lines[-1].startswith(FAILED):
        return Report(tuple(lines[:-1]), lines[-1].removeprefix(FAILED))
    return Report(tuple(lines), "too slow" if late else _cause(status))


def _ended(child: int) -> int | None:
    """See to it that a child is gone, and read how it ended; None where the kernel has buried it already."""
    # Harmless to one that is on its way out: how it ends is settled, and its number is its own till it is waited for.
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    # A parent that ignores SIGCHLD has its children waited for by the kernel.
    with suppress(ChildProcessError):
        return os.waitpid(child, 0)[1]
    return None


def _pipe() -> tuple[int, int]:
    mouth, ear = os.pipe()
    os.set_blocking(mouth, False)
    return mouth, ear


def _fork() -> int:
    # Python 3.12 warns of a fork beside threads: a lock that another thread held stays locked in the child.
    # This child takes no lock of ours: it decodes, listens, writes to its pipe and leaves by os._exit.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _live(
    work: Callable[[Send], None], ear: int, max_wall_seconds: float, max_memory_bytes: int
) -> None:
    """Be the child: never returns."""
    try:
        gc.disable()  # a collection would touch, and so copy, every page shared with the parent
        _shut_in(ear, max_wall_seconds, max_memory_bytes)
        work(lambda line: _write(ear, line))
        _write(ear, FINISHED)
    except BaseException as error:  # noqa: BLE001 - the door of the process: the parent is told
        with suppress(OSError):
            _write(ear, f"{FAILED}{type(error).__name__} {error}")
    finally:
        # The pipe is closed by the kernel alone: who reads its end finds a child that dies its own death.
        os._exit(0)


def _shut_in(ear: int, max_wall_seconds: float, max_memory_bytes: int) -> None:
    """Give up the parent's files, signals and room to grow."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.setitimer(signal.ITIMER_REAL, max_wall_seconds + ORPHAN_SECONDS)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(KEPT_FROM_PARENT):
        os.dup2(
            nothing, standard
        )  # Kaldi prints its last words; the log has the parent's one line instead
    os.closerange(KEPT_FROM_PARENT, ear)
    os.closerange(ear + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_CPU, int(max_wall_seconds) + ORPHAN_SECONDS)
    if (mapped := _mapped_bytes()) is not None:
        _limit(resource.RLIMIT_AS, mapped + max_memory_bytes)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, hard))


def _mapped_bytes() -> int | None:
    """Read the size of this process's address space; None where the system does not tell (then no limit is set)."""
    if not sys.platform.startswith("linux"):
        return None
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _write(pipe: int, line: str) -> None:
    left = memoryview(line.replace("\n", " ").encode() + b"\n")
    while left:
        left = left[os.write(pipe, left) :]


def _listen(mouth: int, deadline: float) -> tuple[bytes, bool]:
    """Read until the child has finished, closed its end or run out of time; say whether it was late."""
    sent = bytearray()
    poll = select.poll()
    poll.register(mouth, select.POLLIN)
    while not sent.endswith(f"\n{FINISHED}\n".encode()) and sent != f"{FINISHED}\n".encode():
        left = deadline - time.monotonic()
        if left <= 0 or len(sent) > LARGEST_REPORT_BYTES:
            return bytes(sent), left <= 0
        if poll.poll(left * 1000):
            piece = os.read(mouth, 65_536)
            if not piece:
                break
            sent += piece
    return bytes(sent), False


def _cause(status: int | None) -> str:
    if status is not None and os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return "ended early"
