"""Who has a promise in hand: a process that can be seen to be dead, or one of another machine.

A token names the process that took the lease. One that was killed gives nothing back: its leases
are ended by whoever looks next, not minutes later when they run out.
"""

import os
import secrets
from functools import cache
from hashlib import sha256
from pathlib import Path


def draw_token() -> str:
    """A new token of this process."""
    pid = os.getpid()
    return "-".join((*_place(), str(pid), _began(pid), secrets.token_hex(8)))


def is_dead(token: str, *, on_one_machine: bool) -> bool:
    """Whether the process of a token is no more. Where the house is known to be `on_one_machine`,
    whatever was there before its last start is dead; of another machine's processes nothing is known.
    """
    match token.split("-"):
        case [boot, sight, pid, began, _]:
            if boot != _place()[0]:
                return on_one_machine
            return sight == _place()[1] and _began(int(pid)) != began
        case _:  # of an earlier version, which named nobody
            return False


@cache
def _place() -> tuple[str, str]:
    """This start of this machine, and who sees whom on it: a container sees its own processes only."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return _short(boot), _short(str(Path("/proc/self/ns/pid").readlink()))


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks (field 22 of its stat); empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""
