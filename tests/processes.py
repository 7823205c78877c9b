"""Looking at real processes: who runs under whom, and waiting until something is so."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def until(what: Callable[[], object], seconds: float = 20, *, why: str = "") -> None:
    """Wait until it is so, looking often; fails with its name after so many seconds."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s: {why or what}"
        select.select([], [], [], 0.02)


def family(pid: int) -> dict[int, list[str]]:
    """The living descendants of a process, with their arguments."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found: dict[int, list[str]] = {}
    for candidate in parents:
        ancestor = candidate
        while ancestor in parents:
            ancestor = parents[ancestor]
            if ancestor == pid:
                found[candidate] = arguments(candidate)
                break
    return found


def arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def end(process: "subprocess.Popen[str]", how: signal.Signals = signal.SIGTERM) -> int:
    """Ask one process that a test started to stop; its exit code."""
    if process.poll() is None:
        os.kill(process.pid, how)
    return process.wait(20)
