"""A house of small real processes: whoever is killed comes back, and nothing is left at the end."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import settings_for
from processes import alive, end, family, until

from hotline.config import Settings, WrongSettingsError
from hotline.household import AlreadyRunningError, alone_in
from hotline.processes import child_environment, commands

# A parent that shares its port with a child, as gunicorn's master does with its workers.
LISTENER = """
import os, signal, socket, sys
door = socket.socket()
door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
door.bind(("127.0.0.1", int(sys.argv[1])))
door.listen()
if os.fork() == 0:
    while True:
        door.accept()[0].close()
signal.pause()
"""
SLEEPER = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
BROKEN = "raise SystemExit(3)"

HOUSE = """
import sys
from hotline import logs
from hotline.household import Household
from hotline.processes import Command
logs.start()
house = [Command(str(n), (sys.executable, "-c", *part.split("|"))) for n, part in enumerate(sys.argv[1:])]
Household(house, grace_seconds=2).run()
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a household of the given programs; what a failing test leaves is killed."""
    started: list[subprocess.Popen[str]] = []

    def starting(*programs: str) -> "subprocess.Popen[str]":
        log_path = tmp_path / "log"
        log = log_path.open("w")
        process = subprocess.Popen(
            [sys.executable, "-c", HOUSE, *programs], stdout=log, stderr=log, text=True
        )
        log.close()
        started.append(process)
        until(lambda: log_path.read_text().count("started") >= len(programs), why="started")
        return process

    yield starting
    for process in started:
        for pid in [*family(process.pid), process.pid]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_whoever_is_killed_comes_back(start: Start) -> None:
    house = start(SLEEPER, SLEEPER)
    for victim in list(family(house.pid)):
        os.kill(victim, signal.SIGKILL)
        until(lambda victim=victim: victim not in family(house.pid), why="the victim is gone")
        until(lambda: len(family(house.pid)) == 2, why="another takes its place")

    assert end(house) == 0


def test_an_orphan_frees_the_port_of_its_killed_parent(start: Start) -> None:
    port = free_port()
    house = start(f"{LISTENER}|{port}")
    until(lambda: len(family(house.pid)) == 2 and answers(port), why="parent and child")
    parent, child = sorted(family(house.pid))

    os.kill(parent, signal.SIGKILL)

    until(lambda: not alive(child), why="the orphan is killed")
    until(lambda: len(family(house.pid)) == 2 and answers(port), why="both are back")
    assert not {parent, child} & set(family(house.pid))
    assert end(house) == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_end_leaves_nothing(start: Start, how: signal.Signals) -> None:
    port = free_port()
    house = start(SLEEPER, f"{LISTENER}|{port}")
    until(lambda: len(family(house.pid)) == 3, why="three processes")
    members = set(family(house.pid))

    assert end(house, how) == 0
    assert not [pid for pid in members if alive(pid)]
    assert not answers(port)


def test_the_deaf_are_killed_after_the_grace(start: Start, tmp_path: Path) -> None:
    house = start(STUBBORN)
    until(lambda: "deaf" in (tmp_path / "log").read_text(), why="it no longer listens")
    (deaf,) = family(house.pid)

    assert end(house) == 0
    assert not alive(deaf)


def test_no_child_outlives_a_killed_household(start: Start) -> None:
    house = start(SLEEPER, SLEEPER)
    members = list(family(house.pid))

    end(house, signal.SIGKILL)

    until(lambda: not any(map(alive, members)), why="the kernel tells them")


def test_one_that_cannot_live_is_tried_ever_more_slowly(start: Start, tmp_path: Path) -> None:
    house = start(SLEEPER, BROKEN)

    until(lambda: "pause_seconds=0.4" in (tmp_path / "log").read_text(), why="its third pause")
    assert end(house) == 0


def test_two_households_never_share_a_data_folder(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(AlreadyRunningError), alone_in(tmp_path):
        pass


def test_a_child_reads_the_settings_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings_for(
        tmp_path,
        shift_hours=("08:00-12:00", "13:00-17:00"),
        signing_secrets=("new", "old"),
        demo=True,
    )
    monkeypatch.setenv("HOTLINE_LINE_NAME", "别的热线")
    environment = child_environment(given)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    assert Settings.read() == given


def test_a_house_with_an_outside_redis_starts_none(tmp_path: Path) -> None:
    own = [each.name for each in commands(settings_for(tmp_path))]
    outside = [each.name for each in commands(settings_for(tmp_path, redis_url="redis://there"))]

    assert own == ["redis", "web", "worker"]
    assert outside == ["web", "worker"]


def test_a_data_folder_too_deep_for_a_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongSettingsError, match="HOTLINE_DATA_FOLDER"):
        commands(settings_for(tmp_path / ("deep/" * 30)))
