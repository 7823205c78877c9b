"""The processes of one house: started, watched, restarted when one dies, and all ended together."""

import ctypes
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hotline import logs
from hotline.processes import Command

log = logs.logger(__name__)

LOOK_SECONDS = 0.2  # signals wake us at once; this only bounds waiting for restarts that are due
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
STEADY_SECONDS = 10.0  # who lived this long is restarted with the first pause again
GRACE_SECONDS = 8.0  # below systemd's and Docker's own patience, 10 s at the least
WATCHED = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


class AlreadyRunningError(Exception):
    """Another household works in this data folder."""


class Household:
    """Runs commands until it is told to stop, and leaves nothing behind.

    Each child leads a session of its own, so that the terminal's Ctrl-C reaches us alone, and
    gets SIGTERM from the kernel when we die. Grandchildren whose parent died become ours (we are
    their subreaper): those of a dead command are killed before it is started anew, or gunicorn's
    orphans would keep its port.
    """

    def __init__(self, house: Sequence[Command], *, grace_seconds: float = GRACE_SECONDS) -> None:
        self._members = [_Member(command) for command in house]
        self._grace_seconds = grace_seconds

    def run(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Until SIGTERM, SIGINT or SIGHUP. `meanwhile` runs in a thread once all are started."""
        _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        try:
            for member in self._members:
                member.start()
            if meanwhile is not None:
                threading.Thread(target=meanwhile, daemon=True).start()
            self._watch()
        finally:
            self._end()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            _libc().prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def _watch(self) -> None:
        while True:
            received = signal.sigtimedwait(WATCHED, LOOK_SECONDS)
            if received is not None and received.si_signo != signal.SIGCHLD:
                log.info("stopping", signal=signal.Signals(received.si_signo).name)
                return
            self._bury()
            for member in self._members:
                member.start_if_due()

    def _bury(self) -> None:
        """Reap all that ended; kill what a dead command left behind."""
        for pid, status in _ended_children():
            for member in self._members:
                if member.pid == pid:
                    member.died(os.waitstatus_to_exitcode(status))
        alive = {member.pid for member in self._members if member.pid}
        for pid in _children():
            # an orphan of a living command may finish its job: promises are fenced by leases
            if pid not in alive and _session(pid) not in alive:
                _kill(pid, signal.SIGKILL)

    def _end(self) -> None:
        """The last started first; after the grace, or at a second signal, without asking."""
        deadline = time.monotonic() + self._grace_seconds
        for member in reversed(self._members):
            if member.pid:
                _kill(member.pid, signal.SIGTERM)
            while member.pid and (left := deadline - time.monotonic()) > 0:
                received = signal.sigtimedwait(WATCHED, min(left, LOOK_SECONDS))
                if received is not None and received.si_signo != signal.SIGCHLD:
                    deadline = time.monotonic()
                self._note_ends()
        while children := _children():
            for pid in children:
                _kill(pid, signal.SIGKILL)
            signal.sigtimedwait({signal.SIGCHLD}, LOOK_SECONDS)
            self._note_ends()

    def _note_ends(self) -> None:
        for pid, _ in _ended_children():
            for member in self._members:
                if member.pid == pid:
                    member.ended()


class _Member:
    """One command and the process that runs it now."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._due = 0.0
        self._pause = FIRST_PAUSE_SECONDS

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        supervisor, libc = os.getpid(), _libc()

        def born() -> None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != supervisor:  # died before we asked to be told
                os._exit(1)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())

        self._started = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603  our own commands
            self._command.argv,
            env=dict(self._command.environment) or None,
            cwd=self._command.folder,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # runs between fork and exec; the one thread we may have does nothing meanwhile
            preexec_fn=born,
        )
        log.info("started", process=self._command.name, pid=self._process.pid)

    def start_if_due(self) -> None:
        if self._process is None and time.monotonic() >= self._due:
            self.start()

    def died(self, code: int) -> None:
        """Note an end that nobody asked for, and when to start it again."""
        now = time.monotonic()
        if now - self._started >= STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self._due = now + self._pause
        log.warning(
            "died; starting it again",
            process=self._command.name, code=code, pause_seconds=round(self._pause, 1),
        )  # fmt: skip
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        self.ended(code)

    def ended(self, code: int = 0) -> None:
        if self._process:
            self._process.returncode = code  # we reaped it ourselves
        self._process = None


@contextmanager
def alone_in(data_folder: Path) -> Iterator[None]:
    """Hold the data folder for one household; raises AlreadyRunningError."""
    data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_folder / "household.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(str(data_folder)) from None
        yield


def _ended_children() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _children() -> set[int]:
    """Processes whose parent we are, dead ones not yet reaped included."""
    mine = str(os.getpid())
    return {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _stat(entry)[1:2] == [mine]
    }


def _session(pid: int) -> int | None:
    fields = _stat(Path("/proc") / str(pid))
    return int(fields[3]) if len(fields) > 3 else None


def _stat(entry: Path) -> list[str]:
    """State, parent, group, session…: what follows the name, which may hold any character."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _kill(pid: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
