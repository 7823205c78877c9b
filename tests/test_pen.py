"""The pen of the house: one writer at a time, and nobody waits for themselves."""

from pathlib import Path

import pytest

from hotline.db import Database


def test_a_writer_inside_a_writer_is_told_so_and_stops_nobody(tmp_path: Path) -> None:
    """It would wait for itself, and every other writer of the house for it."""
    db = Database(f"sqlite:///{tmp_path}/house.db")
    with pytest.raises(RuntimeError, match="inside another"), db.writing(), db.writing():
        pass
    with db.writing():
        pass
    db.close()
