"""The database brought to the tables the code expects, and compared with them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations.ops import (
    CreateForeignKeyOp,
    CreateTableOp,
    DropConstraintOp,
    MigrationScript,
    ModifyTableOps,
)
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, ForeignKeyConstraint

from hotline.db import Database
from tickets import triggers

HISTORY = Path(__file__).parent / "migrations"
FIRST = "0001"


def upgrade(db: Database) -> None:
    """Bring the tables to the newest revision; nothing happens when they are there already."""
    with _prepared(db) as config:
        _triggers(config, triggers.lift)
        command.upgrade(config, "head")
        _triggers(config, triggers.post)


def downgrade(db: Database, revision: str = "base") -> None:
    """Take the tables back to a revision; `base` leaves none. Data of lost columns is lost."""
    with _prepared(db) as config:
        _triggers(config, triggers.lift)
        command.downgrade(config, revision)
        if revision != "base":
            _triggers(config, triggers.post)


def at_head(db: Database) -> bool:
    """Whether the tables are those of this version of the code."""
    with db.engine.connect() as connection:
        at = MigrationContext.configure(connection).get_current_heads()
    return set(at) == set(ScriptDirectory.from_config(_config()).get_heads())


def differences(db: Database) -> list[Any]:
    """What the tables lack or have too much against the models; alembic's own notation."""
    from hotline.schema import metadata

    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=dict(options()))
        return list(compare_metadata(context, metadata))


def write_first() -> Path:
    """Write the one first revision anew from the models, for as long as no house runs on it."""
    for old in (HISTORY / "versions").glob("*.py"):
        old.unlink()
    return _write("All tables of the house", FIRST)


def write_next(message: str) -> Path:
    """Write a revision with what the models have become since the last one."""
    return _write(message, f"{len(list((HISTORY / 'versions').glob('*.py'))) + 1:04d}")


def options() -> dict[str, Any]:
    """How alembic reads and compares: types are compared, SQLite's tables are altered by copy."""
    return {
        "compare_type": True,
        "render_as_batch": True,
        "transaction_per_migration": True,
        "process_revision_directives": _tie_circles_last,
    }


def _write(message: str, number: str) -> Path:
    with TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{folder}/empty.db")
        try:
            upgrade(db)
            with _prepared(db) as config:
                command.revision(config, message, autogenerate=True, rev_id=number)
        finally:
            db.close()
    (written,) = (HISTORY / "versions").glob(f"{number}_*.py")
    for tidy in (("check", "--quiet", "--fix"), ("format", "--quiet")):
        subprocess.run([sys.executable, "-m", "ruff", *tidy, str(written)], check=True)  # noqa: S603
    return written


def _tie_circles_last(_: object, __: object, scripts: list[MigrationScript]) -> None:
    """Take the foreign keys of circles out of CREATE TABLE: alembic loses them on PostgreSQL.

    They are added when all tables are there, and dropped before any of them goes.
    """
    for script in scripts:
        created, dropped = script.upgrade_ops, script.downgrade_ops
        if created is None or dropped is None:
            continue
        for table in [step for step in created.ops if isinstance(step, CreateTableOp)]:
            keys = [
                part
                for part in table.columns
                if isinstance(part, ForeignKeyConstraint) and part.use_alter
            ]
            table.columns = [part for part in table.columns if all(part is not key for key in keys)]
            for key in keys:
                add = CreateForeignKeyOp.from_constraint(key)
                add.kw.pop("use_alter", None)  # it is one ALTER already
                created.ops.append(ModifyTableOps(table.table_name, [add]))
                drop = DropConstraintOp(add.constraint_name, table.table_name, type_="foreignkey")
                dropped.ops.insert(0, ModifyTableOps(table.table_name, [drop]))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(HISTORY).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _prepared(db: Database) -> Iterator[Config]:
    config = _config()
    with db.engine.connect() as connection:
        _foreign_keys(connection, db, on=False)
        try:
            config.attributes["connection"] = connection
            yield config
        finally:
            connection.rollback()
            _foreign_keys(connection, db, on=True)


def _triggers(config: Config, change: Callable[[Connection], None]) -> None:
    connection: Connection = config.attributes["connection"]
    change(connection)
    connection.commit()


def _foreign_keys(connection: Connection, db: Database, *, on: bool) -> None:
    """SQLite alters a table by copying and dropping it; meanwhile nothing may hang on its rows."""
    if db.is_sqlite:
        # outside a transaction: inside one SQLite ignores the pragma without a word
        connection.connection.cursor().execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
