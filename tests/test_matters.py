"""The catalogue in the house: seeded, edited by the committee, never overwritten, looked at again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from click.testing import CliRunner
from conftest import ON_BOTH, HandClock
from errand_house import WU, ErrandHouse, open_errands
from sqlalchemy import delete, func, select

from hotline.cli import main
from hotline.db import Database
from tickets import matters
from tickets.catalogue import CATALOGUE, Entry
from tickets.lifecycle import IncompleteError
from tickets.matters import CodeTakenError, Matter, MatterChangedError, TooLongError

# What the line does, in the words of its rules; 紧急求助 is no errand but has to be recognised.
WANTED = [
    "医保报销",
    "养老待遇资格认证",
    "老年优待证",
    "公交老年卡",
    "居住证",
    "身份证、户口本代办",
    "高龄津贴",
    "残疾补贴",
    "犬类登记",
    "水电燃气缴费",
    "取药",
    "取快递",
    "报修",
    "挪车",
    "调解",
    "接送",
    "其他",
    "紧急求助",
]


@pytest.fixture
def house(tmp_path: Path, clock: HandClock, database_url: str) -> Iterator[ErrandHouse]:
    opened = open_errands(tmp_path, clock, database_url)
    yield opened
    opened.db.close()


def entry_of(matter: Matter) -> Entry:
    return Entry(
        code=matter.code, name=matter.name, words=tuple(matter.words), urgent=matter.urgent,
        materials=tuple(matter.materials), where=matter.where, hours=matter.hours,
        by_proxy=matter.by_proxy, checked_on=matter.checked_on,
    )  # fmt: skip


def parcel(house: ErrandHouse) -> Matter:
    with house.db.reading() as session:
        found = matters.named(session, "parcel")
        assert found
        return found


def test_a_house_begins_with_all_that_the_line_does(house: ErrandHouse) -> None:
    with house.db.reading() as session:
        kept = matters.active(session)
        assert sorted(matter.name for matter in kept) == sorted(WANTED)
        assert [matter.code for matter in kept] == [entry.code for entry in CATALOGUE]
        assert [entry_of(matter) for matter in kept] == list(CATALOGUE)
        repairs = next(matter for matter in kept if matter.code == "repair")
        assert {"水管漏水", "化粪池满", "楼道灯"} <= set(repairs.words)


def test_an_edit_outlives_every_seeding(house: ErrandHouse) -> None:
    before = parcel(house)
    with house.writing() as session:
        matter = session.get_one(Matter, before.id)
        told = replace(entry_of(matter), where="东门驿站", materials=("取件码", "身份证"), checked_on=date(2026, 11, 23))  # fmt: skip
        wu, now = house.people[WU], house.clock.now()
        assert matters.edit(session, matter, told, wu, now, seen=1)
        assert not matters.edit(session, matter, told, wu, now, seen=2), "it says so already"
    with house.writing() as session:
        assert matters.seed(session, house.clock.now()) == 0
    after = parcel(house)
    assert (after.where, after.version, after.checked_by) == ("东门驿站", 2, house.id_of(WU))


def test_what_nobody_edited_follows_a_newer_catalogue(house: ErrandHouse) -> None:
    with house.writing() as session:
        session.get_one(Matter, parcel(house).id).words = ["旧话"]
        session.execute(delete(Matter).where(Matter.code == "other"))
        assert matters.seed(session, house.clock.now()) == 2
    assert "快递" in parcel(house).words
    assert parcel(house).version == matters.SEEDED


def test_the_second_of_two_editors_is_told(house: ErrandHouse) -> None:
    matter_id = parcel(house).id
    with house.writing() as session:
        matter, wu = session.get_one(Matter, matter_id), house.people[WU]
        matters.check(session, matter, wu, house.clock.now(), seen=1)
    with house.writing() as session:
        matter = session.get_one(Matter, matter_id)
        with pytest.raises(MatterChangedError) as told:
            matters.edit(
                session, matter, replace(entry_of(matter), where="西门"), wu, house.clock.now(), seen=1
            )  # fmt: skip
        assert (told.value.version, told.value.person) == (2, wu.label)
    assert parcel(house).where == ""
    assert parcel(house).checked_on == date(2026, 11, 23)


WRONG = {
    "name": (replace(CATALOGUE[-1], name=" "), IncompleteError),
    "where": (replace(CATALOGUE[-1], where="远" * 201), TooLongError),
    "materials": (replace(CATALOGUE[-1], materials=("证" * 81,)), TooLongError),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_named_and_changes_nothing(house: ErrandHouse, wrong: str) -> None:
    entry, error = WRONG[wrong]
    lines = house.ledger_lines()
    with house.writing() as session:
        matter = session.get_one(Matter, parcel(house).id)
        with pytest.raises(error) as told:
            matters.edit(session, matter, entry, house.people[WU], house.clock.now(), seen=1)
    assert wrong in (getattr(told.value, "field", ""), getattr(told.value, "lacks", ""))
    assert house.ledger_lines() == lines


def test_a_matter_of_ones_own_and_one_that_is_given_up(house: ErrandHouse) -> None:
    wu, now = house.people[WU], house.clock.now()
    with house.writing() as session:
        haircut = matters.add(session, Entry(code="haircut", name="上门理发"), wu, now)
        with pytest.raises(CodeTakenError):
            matters.add(session, Entry(code="haircut", name="理发"), wu, now)
        matters.use(session, haircut, wu, now, active=False, seen=2)
        assert haircut not in matters.active(session)
        matters.use(session, haircut, wu, now, active=True, seen=3)
        assert matters.active(session)[-1] is haircut


def test_what_was_not_looked_up_for_long_is_flagged(house: ErrandHouse) -> None:
    matter, today = parcel(house), date(2026, 11, 23)
    assert matters.is_stale(matter, today, 90), "nobody ever looked"
    for days, stale in ((0, False), (90, False), (91, True)):
        matter.checked_on = today - timedelta(days=days)
        assert matters.is_stale(matter, today, 90) is stale


@ON_BOTH
def test_two_houses_starting_at_once_seed_one_catalogue(house: ErrandHouse) -> None:
    with house.writing() as session:
        session.execute(delete(Matter))
    start = Barrier(2)

    def begin(_: int) -> None:
        start.wait()
        with house.writing() as session:
            matters.seed(session, house.clock.now())

    with ThreadPoolExecutor(2) as starts:
        list(starts.map(begin, range(2)))
    with house.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Matter)) == len(CATALOGUE)


def test_the_installers_first_command_seeds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLINE_DATA_FOLDER", str(tmp_path))
    assert CliRunner().invoke(main, ["db", "upgrade"]).exit_code == 0
    db = Database(f"sqlite:///{tmp_path / 'hotline.db'}")
    with db.reading() as session:
        assert len(matters.active(session)) == len(CATALOGUE)
    db.close()
