"""`hotline db`: the database and its tables; and how every command opens them."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import inspect

from hotline import clock, migration
from hotline.config import Settings
from hotline.db import Database
from tickets.house_rules import Rules


class OldTablesError(Exception):
    """The database holds tables, but not those of this version."""


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database; the settings become what the committee has made of them."""
    database = Database(settings.database, synchronous=settings.sqlite_synchronous)
    try:
        if migration.at_head(database):
            Rules(database, settings).look()
        yield database
    finally:
        database.close()


def ready_tables(database: Database) -> None:
    """Make the tables of a new house; raises OldTablesError where there are others already."""
    if migration.at_head(database):
        return
    if inspect(database.engine).get_table_names():
        raise OldTablesError
    bring_up(database)


def bring_up(database: Database) -> None:
    """The tables of this version, with the catalogue's matters in them."""
    from tickets import matters

    migration.upgrade(database)
    with database.writing() as session:
        matters.seed(session, clock.now())


@click.group()
def db() -> None:
    """The database and its tables."""


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to this version. Make a backup first."""
    with opened(Settings.read()) as database:
        bring_up(database)
    click.echo("数据库的表是最新的了。")


@db.command("revision")
@click.argument("message", required=False)
@click.option("--first", is_flag=True, help="Write the one first revision anew.")
def db_revision(message: str | None, first: bool) -> None:
    """For developers: write a revision from what the models have become."""
    if not first and not message:
        raise click.UsageError("say what changed, or --first")
    click.echo(migration.write_first() if first else migration.write_next(message or ""))
