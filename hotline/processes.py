"""Which processes make up a house: what is started, in which order, with which environment."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hotline import logs
from hotline.config import PREFIX, Settings, WrongSettingsError, environment_name
from tickets.house_rules import RULES

log = logs.logger(__name__)

SOCKET_PATH_BYTES = 107  # sun_path holds 108 with its zero


@dataclass(frozen=True, slots=True)
class Command:
    """One process of the house, as data."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # it holds secrets
    folder: Path | None = None


def commands(settings: Settings, *, exchange: bool = False) -> list[Command]:
    """Redis (unless one is given), the web server, the worker and, if wanted, the exchange, in the
    order they start. They end in the other: the exchange first, while somebody hears its reports.

    Raises WrongSettingsError when Redis's socket would have a longer name than the kernel takes.
    """
    folder = settings.data_folder.absolute()
    environment = child_environment(settings)
    python = (sys.executable, "-P", "-m")  # -P: the data folder is no place for modules
    house = [
        Command("web", (*python, *_gunicorn(settings)), environment, folder),
        Command("worker", (*python, "worker"), environment, folder),
    ]
    if exchange:
        house.append(Command("exchange", (*python, "hotline.cli", "exchange"), environment, folder))
    if not settings.redis_url:
        program = shutil.which("redis-server")
        if program is None:
            log.warning("redis-server is not installed; promises are found by the sweep alone")
        else:
            house.insert(0, Command("redis", _redis(program, settings), dict(os.environ), folder))
    return house


def child_environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment a child reads them from: these, and no others.

    What nobody gave and the committee may change is left out: given, it would be fixed.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and name != "VOSK_MODEL_PATH"
    }
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None or (name in RULES and name not in settings.model_fields_set):
            continue
        if isinstance(value, Path):
            value = value.absolute()
        written = ",".join(value) if isinstance(value, tuple) else str(value)
        inherited[environment_name(name)] = written
    return inherited


def _gunicorn(settings: Settings) -> tuple[str, ...]:
    shared_memory = Path("/dev/shm")  # noqa: S108  a heartbeat on a slow disk kills idle workers
    return (
        "gunicorn", "hotline.app:from_environment()", "--config", "python:hotline.serving",
        "--bind", settings.listen,
        "--worker-class", "gthread",
        "--workers", str(settings.web_workers),
        "--threads", str(settings.web_threads),
        "--graceful-timeout", "4",
        "--no-control-socket",
        "--log-level", "warning",
        *(("--worker-tmp-dir", str(shared_memory)) if shared_memory.is_dir() else ()),
    )  # fmt: skip


def _redis(program: str, settings: Settings) -> tuple[str, ...]:
    socket = str(settings.redis_socket)
    if len(os.fsencode(socket)) > SOCKET_PATH_BYTES:
        raise WrongSettingsError(
            f"{environment_name('data_folder')}: its name is too long for Redis's socket; "
            f"choose a shorter one or set {environment_name('redis_url')}"
        )
    return (
        program,
        "--port", "0",
        "--unixsocket", socket, "--unixsocketperm", "700",
        "--dir", str(settings.data_folder.absolute()),
        "--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
        "--daemonize", "no", "--loglevel", "warning", "--logfile", "redis.log",
    )  # fmt: skip
