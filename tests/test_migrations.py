"""The migrations lead to exactly the tables of the models, and back, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from hotline import clock, migration
from hotline.db import Database
from hotline.schema import metadata
from tickets import ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = (
        f"sqlite:///{tmp_path / 'empty.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("empty_postgres")
    )
    db = Database(url)
    yield db
    db.close()


def test_up_they_are_the_models_tables_and_down_nothing_is_left(empty_database: Database) -> None:
    assert not migration.at_head(empty_database)

    migration.upgrade(empty_database)

    assert migration.at_head(empty_database)
    assert migration.differences(empty_database) == []
    assert keys_of(empty_database) == keys_of_models()

    migration.downgrade(empty_database)

    assert set(inspect(empty_database.engine).get_table_names()) == {"alembic_version"}
    assert not migration.at_head(empty_database)


def test_up_a_second_time_changes_nothing(empty_database: Database) -> None:
    migration.upgrade(empty_database)
    migration.upgrade(empty_database)

    assert migration.at_head(empty_database)


def test_they_bring_the_ledgers_guard(empty_database: Database) -> None:
    migration.upgrade(empty_database)

    with empty_database.writing() as session:
        ledger.write(
            session, at=clock.now(), person=ledger.SYSTEM, act="x", object_kind="y", object_id=None
        )
    for change in ("UPDATE ledger SET why = 'x'", "DELETE FROM ledger"):
        with (
            pytest.raises(DBAPIError, match="append-only"),
            empty_database.engine.begin() as connection,
        ):
            connection.exec_driver_sql(change)


def test_foreign_keys_hold_after_a_migration(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'house.db'}")
    migration.upgrade(db)

    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    db.close()


Key = tuple[str, str, str]


def keys_of(db: Database) -> set[Key]:
    """Every foreign key; the comparison of alembic overlooks those of circles."""
    tables = inspect(db.engine)
    return {
        (table, key["constrained_columns"][0], key["referred_table"])
        for table in tables.get_table_names()
        for key in tables.get_foreign_keys(table)
    }


def keys_of_models() -> set[Key]:
    return {
        (table.name, key.parent.name, key.column.table.name)
        for table in metadata.tables.values()
        for key in table.foreign_keys
    }
