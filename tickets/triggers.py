"""What the database itself keeps an eye on; made after its tables, and anew after every migration."""

from typing import Any

from sqlalchemy import Connection, MetaData, event, inspect, text

from hotline.db import Base
from tickets import changes, guard

_THERE = {
    "sqlite": "SELECT name, '' FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname, ' ON ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal",
}
_FUNCTIONS = (
    "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
    " WHERE nspname = current_schema() AND prorettype = 'trigger'::regtype"
)


def post(connection: Connection) -> None:
    """Make all triggers; SQLite loses them whenever a migration copies a table."""
    dialect = connection.dialect.name
    lift(connection)
    if not {"ledger", "stale_days", *changes.WATCHED} <= set(inspect(connection).get_table_names()):
        return  # of tables that are not there yet nothing can be watched
    ledger = guard.SQLITE if dialect == "sqlite" else guard.POSTGRESQL
    for statement in (*ledger, *changes.statements(dialect)):
        connection.exec_driver_sql(statement)


def lift(connection: Connection) -> None:
    """Take all triggers away, as a migration needs it: they name tables that it replaces."""
    for name, where in connection.execute(text(_THERE[connection.dialect.name])).all():
        connection.exec_driver_sql(f"DROP TRIGGER {name}{where}")
    if connection.dialect.name == "postgresql":
        for (function,) in connection.execute(text(_FUNCTIONS)).all():
            connection.exec_driver_sql(f"DROP FUNCTION {function}()")


@event.listens_for(Base.metadata, "after_create")
def _after_create(_: MetaData, connection: Connection, **__: Any) -> None:
    post(connection)
