"""Work done in a child process that may die, hang or grow without harm to its parent.

A fork and not a fresh process: the model that the parent loaded is shared. The child stays for the next piece of work,
because a fork and the pages that are copied after it cost as much as listening to three seconds of speech.
"""

import gc
import os
import resource
import select
import signal
import socket
import sys
import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Send = Callable[[str], None]
Work = Callable[[str, Send], None]

FINISHED = "."  # the last line of a piece of work that came to its end
FAILED = "! "  # before the last words of one that met an exception
KEPT_FROM_PARENT = (
    3  # stdin, stdout, stderr: replaced by nothing; every other descriptor is the parent's business
)
LARGEST_REPORT_BYTES = 8_000_000  # ten hours of words; more is a child gone wrong
ORPHAN_SECONDS = 2  # past its limit a child whose parent has died ends itself
MOST_REQUESTS = 1000  # then a new child, should a library lose memory; in a thousand it was 1 MB


@dataclass(frozen=True)
class Report:
    """What a child sent, line by line, and why it ended early (None: it finished)."""

    lines: tuple[str, ...]
    death: str | None


def apart(
    work: Callable[[Send], None], *, max_wall_seconds: float, max_memory_bytes: int
) -> Report:
    """Do one piece of work in a child of its own, which is gone when this returns or raises."""
    room = Room(
        lambda _, send: work(send),
        max_wall_seconds=max_wall_seconds,
        max_memory_bytes=max_memory_bytes,
    )
    try:
        return room.ask()
    finally:
        room.close()


class Room:
    """A place for work that may kill whoever does it: the child is forked when it is first needed, and anew after a death.

    `max_wall_seconds` is for one request, `max_memory_bytes` what a child may map beyond what it was born with. For one
    thread at a time. A child ends with its room, or with the process of its parent.
    """

    def __init__(self, work: Work, *, max_wall_seconds: float, max_memory_bytes: int) -> None:
        self._work = work
        self._max_wall_seconds = max_wall_seconds
        self._max_memory_bytes = max_memory_bytes
        self._child: _Child | None = None

    def ask(self, request: str = "") -> Report:
        """Have the work done on a request, one line, and collect the lines that it sends.

        Only a child that has finished stays; any other is gone, and waited for, when this returns or raises.
        """
        try:
            child, self._child = self.open(), None
        except OSError as error:
            return Report((), f"cannot fork: {error.strerror}")
        try:
            with suppress(BrokenPipeError):  # it died while it waited: the report says so
                _write(child.pipe, request)
            sent, late = _listen(child.pipe, time.monotonic() + self._max_wall_seconds)
            *lines, _ = sent.decode(errors="replace").split("\n")
            finished = bool(lines) and lines[-1] == FINISHED
            child.requests += 1
            if finished and child.requests < MOST_REQUESTS:
                self._child = child
        finally:
            status = None if self._child else child.end()
        if finished:
            return Report(tuple(lines[:-1]), None)
        if lines and lines[-1].startswith(FAILED):
            return Report(tuple(lines[:-1]), lines[-1].removeprefix(FAILED))
        return Report(tuple(lines), "too slow" if late else _cause(status))

    def open(self) -> "_Child":
        """Fork the child, if there is none yet; raises OSError."""
        self._child = self._child or self._bear()
        return self._child

    def close(self) -> None:
        if self._child:
            self._child.end()
            self._child = None

    def _bear(self) -> "_Child":
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _fork()
            except OSError:
                ours.close()
                raise
            if process == 0:
                _live(self._work, theirs.fileno(), self._max_wall_seconds, self._max_memory_bytes)
        ours.setblocking(False)
        return _Child(process, ours.detach())


class _Child:
    """A child and this end of what we talk through; it ends at the latest when nobody holds it any more."""

    def __init__(self, process: int, pipe: int) -> None:
        self.pipe = pipe
        self.requests = 0
        self.end = weakref.finalize(self, _end, process, pipe, os.getpid())


def _end(child: int, pipe: int, parent: int) -> int | None:
    """See to it that a child is gone, and read how it ended; None where the kernel has buried it already."""
    if os.getpid() != parent:
        return None  # a copy, in a fork
    os.close(pipe)
    # Harmless to one that is on its way out: how it ends is settled, and its number is its own till it is waited for.
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    # A parent that ignores SIGCHLD has its children waited for by the kernel.
    with suppress(ChildProcessError):
        return os.waitpid(child, 0)[1]
    return None


def _fork() -> int:
    # Python 3.12 warns of a fork beside threads: a lock that another thread held stays locked in the child.
    # This child takes no lock of ours: it decodes, listens, writes to its pipe and leaves by os._exit.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _live(work: Work, pipe: int, max_wall_seconds: float, max_memory_bytes: int) -> None:
    """Be the child: never returns."""
    try:
        gc.freeze()  # a collection would touch, and so copy, every page shared with the parent
        _shut_in(pipe, max_memory_bytes)
        for request in os.fdopen(pipe, "rb"):
            _bound(max_wall_seconds)
            work(request.decode().removesuffix("\n"), lambda line: _write(pipe, line))
            signal.setitimer(signal.ITIMER_REAL, 0)
            _write(pipe, FINISHED)
    except BaseException as error:  # noqa: BLE001 - the door of the process: the parent is told
        with suppress(OSError):
            _write(pipe, f"{FAILED}{type(error).__name__} {error}")
    finally:
        # The pipe is closed by the kernel alone: who reads its end finds a child that dies its own death.
        os._exit(0)


def _shut_in(pipe: int, max_memory_bytes: int) -> None:
    """Give up the parent's files, signals and room to grow."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(KEPT_FROM_PARENT):
        os.dup2(
            nothing, standard
        )  # Kaldi prints its last words; the log has the parent's one line instead
    os.closerange(KEPT_FROM_PARENT, pipe)
    os.closerange(pipe + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if (mapped := _mapped_bytes()) is not None:
        _limit(resource.RLIMIT_AS, mapped + max_memory_bytes)


def _bound(max_wall_seconds: float) -> None:
    """Set the end of one piece of work, should the parent not see to it."""
    signal.setitimer(signal.ITIMER_REAL, max_wall_seconds + ORPHAN_SECONDS)
    _limit(resource.RLIMIT_CPU, int(time.process_time() + max_wall_seconds) + ORPHAN_SECONDS)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _mapped_bytes() -> int | None:
    """Read the size of this process's address space; None where the system does not tell (then no limit is set)."""
    if not sys.platform.startswith("linux"):
        return None
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _write(pipe: int, line: str) -> None:
    left = memoryview(line.replace("\n", " ").encode() + b"\n")
    while left:
        left = left[os.write(pipe, left) :]


def _listen(pipe: int, deadline: float) -> tuple[bytes, bool]:
    """Read until the child has finished, closed its end or run out of time; say whether it was late."""
    sent = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while not sent.endswith(f"\n{FINISHED}\n".encode()) and sent != f"{FINISHED}\n".encode():
        left = deadline - time.monotonic()
        if left <= 0 or len(sent) > LARGEST_REPORT_BYTES:
            return bytes(sent), left <= 0
        if poll.poll(left * 1000):
            try:
                piece = os.read(pipe, 65_536)
            except ConnectionResetError:  # it died with the request unread
                break
            if not piece:
                break
            sent += piece
    return bytes(sent), False


def _cause(status: int | None) -> str:
    if status is not None and os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return "ended early"
