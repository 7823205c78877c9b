"""The last error is on the administrator's page until somebody has seen it, and holds nobody's number."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import DeskHouse, open_desk

from hotline import logs, mishaps
from hotline.phone import Phone


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock, log: io.StringIO) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    mishaps.keep(tmp_path)
    yield house
    house.runtime.close()


def stumbles(number: str, **about: object) -> None:
    logs.about(**about)
    try:
        Phone.parse(f"{number} 李桂芳")
    except ValueError:
        logs.logger(__name__).exception("a promise could not be kept")
    logs.forget()


def test_an_error_is_told_without_a_person_until_it_is_seen(desk: DeskHouse) -> None:
    admin = desk.visit("管理员").opens("/health")
    assert "没有没看过的毛病" in admin.text
    stumbles("12345678901234567890", ticket=12)
    admin.opens("/health")
    assert "NotAPhoneError（hotline/phone.py:" in admin.text
    assert "当时在办：ticket 12" in admin.text
    assert "1234567890" not in (desk.runtime.settings.data_folder / mishaps.FILE).read_text()
    assert "桂芳" not in (desk.runtime.settings.data_folder / mishaps.FILE).read_text()
    first = mishaps.last(desk.runtime.settings.data_folder)
    assert first
    admin.posts("/health", at="2020-01-01T00:00:00+08:00")
    assert "NotAPhoneError" in admin.text
    admin.posts("/health", at=first.at)
    assert "记下了，您看过了" in admin.text
    assert "没有没看过的毛病" in admin.text
    assert [line.facts["happened"] for line in desk.ledger("see_mishap")] == [first.at]


def test_what_is_no_error_is_not_written_down(desk: DeskHouse) -> None:
    logging.getLogger("x").error("just a line")
    logs.logger("x").warning("another")
    assert mishaps.last(desk.runtime.settings.data_folder) is None


def test_a_broken_note_is_none(desk: DeskHouse) -> None:
    (desk.runtime.settings.data_folder / mishaps.FILE).write_text("{")
    assert "没有没看过的毛病" in desk.visit("管理员").opens("/health").text
