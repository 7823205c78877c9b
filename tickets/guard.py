"""The ledger's guard: the database itself refuses to change a line, or to lose a young one."""

ACCESS_LOG_DAYS = 180  # 网络安全法 art. 23(3): six months at least

_REFUSED = "the ledger is append-only"
# What a person wrote may be erased; whether by rule is seen by `tickets.audit`.
_HASHED = ("sequence", "at", "person", "act", "object_kind", "object_id", "origin", "facts", "words", "previous", "hash")  # fmt: skip


def _words_erased(same: str, text: str = "") -> str:
    kept = (f"NEW.{name}{text} {same} OLD.{name}{text}" for name in _HASHED)
    return " AND ".join(("NEW.why = ''", "NEW.salt = ''", *kept))


SQLITE = (
    f"CREATE TRIGGER ledger_keeps BEFORE UPDATE ON ledger WHEN NOT ({_words_erased('IS')})"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    f"CREATE TRIGGER ledger_keeps_young BEFORE DELETE ON ledger"
    f" WHEN OLD.at > datetime('now', '-{ACCESS_LOG_DAYS} days')"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    # INSERT OR REPLACE deletes without asking the trigger above
    "CREATE TRIGGER ledger_grows BEFORE INSERT ON ledger"  # noqa: S608
    " WHEN NEW.sequence <= (SELECT max(sequence) FROM ledger)"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
)
POSTGRESQL = (
    "CREATE FUNCTION ledger_keeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    f" IF TG_OP = 'DELETE' AND OLD.at <= now() - interval '{ACCESS_LOG_DAYS} days'"
    f" THEN RETURN OLD; END IF;"
    f" IF TG_OP = 'UPDATE' THEN IF {_words_erased('IS NOT DISTINCT FROM', '::text')}"
    f" THEN RETURN NEW; END IF; END IF; RAISE EXCEPTION '{_REFUSED}'; END $$",
    "CREATE TRIGGER ledger_keeps BEFORE UPDATE OR DELETE ON ledger"
    " FOR EACH ROW EXECUTE FUNCTION ledger_keeps()",
    "CREATE TRIGGER ledger_keeps_all BEFORE TRUNCATE ON ledger EXECUTE FUNCTION ledger_keeps()",
)
