"""The house comes back from last night's backup as it was, and a house in use is never written over."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ON_BOTH, HandClock, settings_for
from sqlalchemy import create_engine, make_url, select, text

from hotline import backup, doctor, migration
from hotline.backup import BackupError, NotEmptyError
from hotline.cli import main
from hotline.config import Settings
from hotline.db import Database
from hotline.doctor import Health
from hotline.store import Store
from tickets import audit, ledger, residents
from tickets.models import Resident
from tickets.residents import Particulars
from worker import night


def lived_in(settings: Settings, clock: HandClock) -> Database:
    """A house with a resident, a recording, a sealed bundle, a prompt and a ledger."""
    db = Database(settings.database)
    migration.upgrade(db)
    with db.writing() as session:
        residents.add(session, Particulars("李桂芳", "3", "2", "501"), ledger.SYSTEM, clock.now())
    Store(settings.recordings).put([b"her voice"], ".wav", owner="7")
    Store(settings.seals).put([b"a month"], ".zip")
    Store(settings.prompts).put([b"a greeting"], ".wav")
    (settings.data_folder / "secret.key").write_text("key")
    return db


@ON_BOTH
def test_a_house_comes_back_as_it_was(tmp_path: Path, clock: HandClock, database_url: str) -> None:
    old = settings_for(tmp_path / "old", database_url=database_url)
    old.data_folder.mkdir()
    db = lived_in(old, clock)
    made = backup.make(db, old, clock.now())
    assert made.sounds == 1
    with db.writing() as session:
        residents.add(session, Particulars("后来的人"), ledger.SYSTEM, clock.now())
    db.close()
    new = settings_for(tmp_path / "new", database_url=database_url and empty_one(database_url))
    new.data_folder.mkdir()
    db = Database(new.database)
    backup.restore(made.path, db, new)
    with db.reading() as session:
        assert list(session.scalars(select(Resident.name))) == ["李桂芳"]
        assert audit.verify(session).fault is None
    (key,) = Store(new.recordings).keys()
    with Store(new.recordings).open(key) as sound:
        assert sound.read() == b"her voice"
    assert len(list(Store(new.seals).keys())) == 1
    assert len(list(Store(new.prompts).keys())) == 1
    assert (new.data_folder / "secret.key").read_text() == "key"
    with pytest.raises(NotEmptyError):
        backup.restore(made.path, db, new)
    db.close()


def empty_one(database_url: str) -> str:
    """Another empty database on the same server."""
    url = make_url(database_url)
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS other"))
        connection.execute(text("CREATE DATABASE other"))
    server.dispose()
    return url.set(database="other").render_as_string(hide_password=False)


def test_the_newest_are_kept_and_what_none_of_them_names_goes(
    tmp_path: Path, clock: HandClock
) -> None:
    settings = settings_for(tmp_path, keep_backups=2)
    db = lived_in(settings, clock)
    backup.make(db, settings, clock.now())
    (old,) = Store(settings.recordings).keys()
    Store(settings.recordings).delete(old)
    Store(settings.recordings).put([b"another"], ".wav")
    (backup.folder(settings) / "2026-11-01-023000.part").mkdir()  # one that was killed
    for _ in range(2):
        clock.advance(86_400)
        backup.make(db, settings, clock.now())
    names = sorted(path.name for path in backup.folder(settings).iterdir())
    assert names == ["2026-11-24-091000", "2026-11-25-091000", "by-hash"]
    shared = Store(f"file://{backup.folder(settings) / 'by-hash' / 'recordings'}")
    assert old not in list(shared.keys())
    db.close()


def test_what_was_damaged_is_found(tmp_path: Path, clock: HandClock) -> None:
    settings = settings_for(tmp_path / "a")
    settings.data_folder.mkdir()
    db = lived_in(settings, clock)
    (sound,) = (settings.data_folder / "recordings").rglob("*.wav")
    sound.write_bytes(b"not her voice")
    made = backup.make(db, settings, clock.now())
    assert (made.sounds, made.damaged) == (0, 1)  # the rest of the house is backed up all the same
    assert "指纹对不上" in doctor.check_backup(db, settings, clock.now).sentence
    sound.write_bytes(b"her voice")
    clock.advance(60)
    made = backup.make(db, settings, clock.now())
    assert (made.sounds, made.damaged) == (1, 0)
    empty = settings_for(tmp_path / "b")
    for damage, said in (("database", "被改过，或者坏了"), (backup.MANIFEST, "不是备份")):
        whole = (made.path / damage).read_bytes()
        (made.path / damage).write_bytes(b"x" + whole)
        with pytest.raises(BackupError, match=said):
            backup.restore(made.path, Database(empty.database), empty)
        (made.path / damage).write_bytes(whole)
    db.close()


def test_the_night_makes_one_and_the_doctor_says_how_old_it_is(
    tmp_path: Path, clock: HandClock
) -> None:
    settings = settings_for(tmp_path)
    db = lived_in(settings, clock)
    first = clock.now()
    for days, health in ((0, Health.WELL), (3, Health.MIND)):
        clock.set(first + timedelta(days=days))
        finding = doctor.check_backup(db, settings, clock.now)
        assert (finding.health, "还没有备份过" in finding.sentence) == (health, True)
    night.go_round(db, Store(settings.recordings), settings, clock.now())
    assert doctor.check_backup(db, settings, clock.now).health is Health.WELL
    clock.set(clock.now() + timedelta(days=2, seconds=1))
    finding = doctor.check_backup(db, settings, clock.now)
    assert (finding.health, "两天多没有备份" in finding.sentence) == (Health.MIND, True)
    db.close()


def test_by_command(tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOTLINE_DATA_FOLDER", str(tmp_path / "old"))
    settings = settings_for(tmp_path / "old")
    settings.data_folder.mkdir()
    lived_in(settings, clock).close()
    said = CliRunner().invoke(main, ["backup"])
    assert said.exit_code == 0, said.output
    (made,) = backup.finished(backup.folder(settings))
    assert json.loads((made.path / backup.MANIFEST).read_text())["database"] == "sqlite"
    refused = CliRunner().invoke(main, ["restore", str(made.path)])
    assert (refused.exit_code, "不覆盖" in refused.output) == (1, True)
    monkeypatch.setenv("HOTLINE_DATA_FOLDER", str(tmp_path / "new"))
    done = CliRunner().invoke(main, ["restore", str(made.path)])
    assert done.exit_code == 0, done.output
    assert "1 段录音，台账 1 行，完好" in done.output
