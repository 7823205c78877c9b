"""What the doctor says of houses that are not well."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import settings_for
from redis_house import running
from test_household import free_port

from hotline import doctor, migration
from hotline.clock import now
from hotline.config import Settings
from hotline.db import Database
from hotline.doctor import Health
from hotline.store import Store
from tickets.models import Fetch, Recording


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, public_url=f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database)
    yield database
    database.close()


def test_a_house_that_does_not_run_is_told_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # this machine may have a model
    found = {finding.key: finding for finding in doctor.examine(settings)}

    assert found["settings"].health is Health.WELL
    assert found["database"].health is Health.ILL
    assert "hotline db upgrade" in found["database"].sentence
    assert found["redis"].health is Health.MIND
    assert found["model"].health is Health.MIND
    assert found["public_url"].health is Health.ILL
    assert found["signature"].health is Health.ILL


def test_missing_settings_are_named(tmp_path: Path) -> None:
    finding = doctor.check_settings(settings_for(tmp_path, line_number=""))

    assert finding.health is Health.ILL
    assert "HOTLINE_LINE_NUMBER" in finding.sentence


def test_redis_is_heard(tmp_path: Path) -> None:
    with running() as redis:
        assert doctor.check_redis(settings_for(tmp_path, redis_url=redis.url)).health is Health.WELL
        redis.kill()
        assert doctor.check_redis(settings_for(tmp_path, redis_url=redis.url)).health is Health.MIND


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    given: dict[str, Any] = {"HOTLINE_MODEL_PATH": tmp_path / "no-model"}

    assert doctor.check_model(settings_for(tmp_path, **given)).health is Health.ILL


def test_recordings_and_rows_are_matched_both_ways(settings: Settings, db: Database) -> None:
    migration.upgrade(db)
    store = Store(settings.recordings)
    kept = store.put([b"sound"], ".wav")
    with db.writing() as session:
        session.add(
            Recording(carrier_id="RE1", url="", made_at=now(), fetch=Fetch.STORED, key=kept.key)
        )
    assert doctor.check_recordings(db, store).health is Health.WELL

    stray = store.put([b"nobody's"], ".wav")
    finding = doctor.check_recordings(db, store)
    assert finding.health is Health.MIND
    assert stray.sha256[:16] in finding.sentence

    store.delete(kept.key)
    finding = doctor.check_recordings(db, store)
    assert finding.health is Health.ILL
    assert kept.sha256[:16] in finding.sentence


def test_an_empty_roster_is_mentioned(db: Database) -> None:
    migration.upgrade(db)

    assert doctor.check_roster(db).health is Health.MIND


def test_a_full_disk_is_an_illness(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", shutil.disk_usage("/").total * 1000)

    assert doctor.check_disk(settings).health is Health.ILL
