"""The watch over days that were counted already: whatever changes one of them, the database itself
writes the day down, and it is counted again."""

from collections.abc import Iterator

_OUTINGS = (
    "SELECT j.at FROM journeys j JOIN journey_tickets l ON l.journey_id = j.id WHERE l.ticket_id"
)
_DONE = "SELECT done_at FROM ticket_rounds WHERE ticket_id"
# By table: which columns matter when they change, and the instants of all that is counted
# differently then; {row} is the row as it was, and as it is.
WATCHED = {
    "calls": ("started_at, answered_at, ended_at, flow, taken_by, test", (
        "SELECT {row}.started_at",
        "SELECT contacted_at FROM tickets WHERE call_id = {row}.id",
    )),
    "recordings": ("call_id, fetch, superseded", ("SELECT started_at FROM calls WHERE id = {row}.call_id",)),
    "tickets": ("kind, state, opened_at, contact_by, contacted_at, done_by, done_at, call_id, resident_trips, test", (
        "SELECT {row}.opened_at", "SELECT {row}.contact_by", "SELECT {row}.contacted_at", "SELECT {row}.done_by",
        _DONE + " = {row}.id",
        _OUTINGS + " = {row}.id",
        "SELECT t.ended_at FROM return_tries t JOIN promises p ON p.id = t.promise_id WHERE p.ticket_id = {row}.id",
    )),
    "ticket_rounds": ("ticket_id, number, began_at, done_at", ("SELECT {row}.done_at", _DONE + " = {row}.ticket_id")),
    "deeds": ("ticket_id, act, undone_at", ("SELECT opened_at FROM tickets WHERE id = {row}.ticket_id",)),
    "journeys": ("at, went, reason, withdrawn_at", (
        "SELECT {row}.at",
        _OUTINGS + " IN (SELECT ticket_id FROM journey_tickets WHERE journey_id = {row}.id)",
        _DONE + " IN (SELECT ticket_id FROM journey_tickets WHERE journey_id = {row}.id)",
    )),
    "journey_tickets": ("journey_id, ticket_id", (
        "SELECT at FROM journeys WHERE id = {row}.journey_id",
        _OUTINGS + " = {row}.ticket_id",
        _DONE + " = {row}.ticket_id",
    )),
    "return_tries": ("outcome, ended_at, satisfaction", ("SELECT {row}.ended_at",)),
    "shifts": ("starts_at, ends_at", (
        "SELECT contacted_at FROM tickets WHERE contacted_at > {row}.starts_at AND {plain}opened_at < {row}.ends_at",
    )),
}  # fmt: skip
_ROWS = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
_DAY = {"sqlite": "date(at, '+8 hours')", "postgresql": "(at AT TIME ZONE 'Asia/Shanghai')::date"}


def statements(dialect: str) -> Iterator[str]:
    """What makes the watch in this database."""
    for table, (columns, instants) in WATCHED.items():
        columns = ", ".join(f'"{column}"' for column in columns.split(", "))  # fetch is a keyword
        if dialect == "sqlite":
            for event, rows in _ROWS.items():
                of = f" OF {columns}" if event == "UPDATE" else ""
                yield (
                    f"CREATE TRIGGER watch_{table}_{event.lower()} AFTER {event}{of} ON {table}"
                    f" BEGIN {_note(dialect, instants, rows)}; END"
                )
            continue
        old, new = (_note(dialect, instants, (row,)) for row in ("OLD", "NEW"))
        yield (
            f"CREATE FUNCTION watch_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF TG_OP <> 'INSERT' THEN {old}; END IF;"
            f" IF TG_OP <> 'DELETE' THEN {new}; END IF; RETURN NULL; END $$"
        )
        yield (
            f"CREATE TRIGGER watch_{table} AFTER INSERT OR DELETE OR UPDATE OF {columns} ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION watch_{table}()"
        )


def _note(dialect: str, instants: tuple[str, ...], rows: tuple[str, ...]) -> str:
    # + keeps SQLite from the index on opened_at: for a shift to come that is every request there is
    plain = "+" if dialect == "sqlite" else ""
    union = " UNION ".join(
        instant.format(row=row, plain=plain) for row in rows for instant in instants
    )
    nothing = "SELECT NULL AS at" if dialect == "sqlite" else "SELECT NULL::timestamptz AS at"
    return (
        f"INSERT INTO stale_days (day) SELECT DISTINCT {_DAY[dialect]}"
        f" FROM ({nothing} UNION {union}) AS changed WHERE at IS NOT NULL"
    )
