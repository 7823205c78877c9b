"""Forgetting one resident who asked for it: the sounds first, outside any transaction, then the rows."""

from datetime import datetime

from hotline.db import Database
from hotline.store import Store
from tickets import erasure, retention
from tickets.ledger import Person
from tickets.models import Resident


def forget(
    db: Database, store: Store, resident_id: int, by: Person, now: datetime, why: str
) -> None:
    """Raises LookupError, erasure.HeldError. Killed in the middle, it is asked for again."""
    with db.reading() as session:
        resident = session.get(Resident, resident_id)
        if resident is None:
            raise LookupError(resident_id)
        _, recordings = erasure.of_resident(session, resident)
        keys = retention.sounds_of(session, recordings)
    for key in keys:  # a store may be far away
        store.delete(key)
    with db.writing() as session:
        resident = session.get(Resident, resident_id)
        if resident is None:
            raise LookupError(resident_id)
        erasure.erase(session, resident, by, now, why)
