"""Backups: the whole house at one moment, in a folder that stands alone, and how it comes back.

A backup is a folder named for its moment: the database, the prompts, the keys, and a list of all
sounds and sealed months. Those lie beside it once, by their hash, however many backups name them.
It is written aside and named when it is complete and has been opened; what was killed has no name.
"""

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import inspect

from hotline import clock
from hotline.config import Settings
from hotline.db import Database
from hotline.store import Store

MANIFEST = "backup.json"
DATABASE, SHARED = "database", "by-hash"
KEYS = ("secret.key", "exchange.key")
UNFINISHED = ".part"
HASHED = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.\w+")  # as `hotline.store` names what it keeps
BLOCK = 1 << 20
LONGEST_DUMP_SECONDS = 3600


class BackupError(Exception):
    """No backup could be made, or it cannot be used; the text says why, in plain Chinese."""


class DamagedError(Exception):
    """A file is not what its name says."""


class NotEmptyError(Exception):
    """A house that holds anything is not written over."""


@dataclass(frozen=True, slots=True)
class Made:
    """One finished backup."""

    path: Path
    at: datetime
    sounds: int
    damaged: int  # files that are not what their name says: not in the backup, whose rest is whole


def folder(settings: Settings) -> Path:
    return (settings.backup_folder or settings.data_folder / "backups").absolute()


def finished(where: Path) -> list[Made]:
    """The backups in a folder, the oldest first."""
    return sorted((_read(path.parent) for path in where.glob(f"*/{MANIFEST}") if path.parent.suffix != UNFINISHED), key=lambda made: made.at)  # fmt: skip


def make(db: Database, settings: Settings, now: datetime) -> Made:
    """Back the house up, prove it can be opened, and keep the newest few. Raises BackupError."""
    where = folder(settings)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in where.glob(f"*{UNFINISHED}"):  # by one that was killed
        shutil.rmtree(left)
    path = where / f"{clock.local(now):%Y-%m-%d-%H%M%S}"
    aside = path.with_name(path.name + UNFINISHED)
    try:
        aside.mkdir(mode=0o700)
        _dump(db, aside / DATABASE)
        _prove(db, aside / DATABASE)
        kept, damaged = dict[str, list[str]](), list[str]()
        for name, source in _stores(settings).items():
            kept[name] = list(_bring(source, where / SHARED / name, damaged))
        for key in KEYS:
            if (settings.data_folder / key).is_file():
                shutil.copy2(settings.data_folder / key, aside / key)
        manifest = {
            "at": clock.utc(now).isoformat(), "database": db.url.get_backend_name(),
            "sha256": _hash(aside / DATABASE), "kept": kept, "damaged": damaged,
        }  # fmt: skip
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1))
        aside.rename(path)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"备份写不下去（{type(error).__name__}），请看一看硬盘。") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _forget_old(where, settings.keep_backups)
    return _read(path)


def restore(path: Path, db: Database, settings: Settings) -> Made:
    """Put a backup into a house that holds nothing. Raises BackupError, NotEmptyError.

    The recordings come first: a house with a database has everything that it names.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise BackupError("这个文件夹不是备份，或者没有写完。") from error
    if _hash(path / DATABASE) != manifest["sha256"]:
        raise BackupError("备份里的数据库被改过，或者坏了。")
    if manifest["database"] != db.url.get_backend_name():
        raise BackupError(f"这份备份是 {manifest['database']} 的，这里用的是 {db.url.get_backend_name()}。")  # fmt: skip
    stores = _stores(settings)
    if inspect(db.engine).get_table_names() or any(
        next(each.keys(), "") for each in stores.values()
    ):
        raise NotEmptyError
    for name, keys in manifest["kept"].items():
        _give_back(Store(f"file://{path.parent.absolute() / SHARED / name}"), keys, stores[name])
    for key in KEYS:
        if (path / key).is_file():
            shutil.copy2(path / key, settings.data_folder / key)
    _load(path / DATABASE, db)
    return _read(path)


def _stores(settings: Settings) -> dict[str, Store]:
    """What is kept by its hash and never altered."""
    return {
        "recordings": Store(settings.recordings),
        "prompts": Store(settings.prompts),
        "seals": Store(settings.seals),
    }


def _bring(source: Store, shared: Path, damaged: list[str]) -> Iterator[str]:
    """Copy what is not there yet, and prove each copy by its name; yields every name that is in.

    What is no longer what its name says is noted: one bad file must not cost all the others.
    """
    target = Store(f"file://{shared}")
    there = set(target.keys())
    for key in filter(HASHED.fullmatch, source.keys()):
        if key not in there:
            try:
                _copy(source, key, target)
            except FileNotFoundError:  # deleted by rule meanwhile
                continue
            except DamagedError:
                damaged.append(key)
                continue
        yield key


def _give_back(shared: Store, keys: list[str], target: Store) -> None:
    for key in keys:
        try:
            _copy(shared, key, target)
        except FileNotFoundError as error:
            raise BackupError(f"备份里少了 {key}。") from error
        except DamagedError as error:
            raise BackupError(f"备份里的 {key} 和指纹对不上。") from error


def _copy(source: Store, key: str, target: Store) -> None:
    """Raises DamagedError if the bytes are not those of the name."""
    name = Path(key)
    with source.open(key) as file:
        blocks = iter(lambda: file.read(BLOCK), b"")
        stored = target.put(blocks, name.suffix, owner=name.stem.partition("-")[2])
    if stored.key != key:
        target.delete(stored.key)
        raise DamagedError(key)


def _forget_old(where: Path, keep: int) -> None:
    """Keep the newest, and of the shared files those that one of them names."""
    made = finished(where)
    for old in made[:-keep]:
        shutil.rmtree(old.path)
    named: dict[str, set[str]] = {}
    for each in made[-keep:]:
        for name, keys in json.loads((each.path / MANIFEST).read_text())["kept"].items():
            named.setdefault(name, set()).update(keys)
    for name, keys in named.items():
        shared = Store(f"file://{where / SHARED / name}")
        for key in set(shared.keys()) - keys:
            shared.delete(key)


def _dump(db: Database, path: Path) -> None:
    """One consistent state, while others write."""
    if db.is_sqlite:
        with closing(sqlite3.connect(str(db.url.database))) as source, closing(sqlite3.connect(path)) as copy:  # fmt: skip
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file
        return
    _postgres(db, "pg_dump", "--format=custom", f"--file={path}")


def _prove(db: Database, path: Path) -> None:
    """Open what was written; raises BackupError."""
    if not db.is_sqlite:
        _run("pg_restore", "--list", str(path))
        return
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as copy:
        if copy.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise BackupError("备份里的数据库打不开。")


def _load(path: Path, db: Database) -> None:
    if db.is_sqlite:
        db.close()
        target = Path(str(db.url.database))
        arriving = target.with_name(target.name + UNFINISHED)
        shutil.copy2(path, arriving)
        arriving.rename(target)
        return
    _postgres(db, "pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", str(path))


def _postgres(db: Database, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs on our database; the password stands in no command line."""
    from psycopg.conninfo import make_conninfo  # a large library: only where the house runs on it

    _, given = db.engine.dialect.create_connect_args(db.url)
    known: dict[str, Any] = {name: value for name, value in given.items() if isinstance(value, str | int)}  # fmt: skip
    with TemporaryDirectory() as aside:
        secret = Path(aside) / "pgpass"
        secret.touch(mode=0o600)
        password = str(known.pop("password", "")).replace("\\", "\\\\").replace(":", "\\:")
        secret.write_text(f"*:*:*:*:{password}\n")
        _run(program, f"--dbname={make_conninfo(**known, passfile=str(secret))}", *arguments)


def _run(program: str, *arguments: str) -> None:
    try:
        subprocess.run(  # noqa: S603  our own arguments
            [program, *arguments], check=True, capture_output=True, timeout=LONGEST_DUMP_SECONDS,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise BackupError(f"没有安装 {program}（postgresql-client）。") from error
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip().splitlines()
        raise BackupError(f"{program} 没有做成：{why[-1] if why else error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise BackupError(f"{program} 太久没有做完。") from error


def _read(path: Path) -> Made:
    manifest = json.loads((path / MANIFEST).read_text())
    at, sounds = datetime.fromisoformat(manifest["at"]), len(manifest["kept"]["recordings"])
    return Made(path, clock.local(at), sounds, len(manifest["damaged"]))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
