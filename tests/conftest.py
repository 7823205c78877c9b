"""The house under test: real storage, true signatures, a scripted carrier and a clock of its own."""

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import postgres
import pytest
from carriers.company import Company
from carriers.door import FlaskDoor
from flask import Flask
from ledger_books import DatabaseBooks
from lines import open_line
from sqlalchemy import create_engine, make_url, text

from hotline import logs
from hotline.app import create_app
from hotline.clock import SHANGHAI
from hotline.config import Capability, Settings
from hotline.runtime import Runtime, build
from hotline.schema import metadata
from tickets import matters
from worker.jobs import Hands

PUBLIC_URL = "https://line.test"
COMMITTEE = "+8657982000001"


@dataclass
class HandClock:
    """A clock that moves only when told."""

    instant: datetime = field(
        default_factory=lambda: datetime(2026, 11, 23, 9, 10, tzinfo=SHANGHAI)
    )

    def now(self) -> datetime:
        return self.instant

    def set(self, instant: datetime) -> None:
        self.instant = instant

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@dataclass
class TestHouse:
    """One house: its app, clock and hands, and its books for a transcript to read."""

    __test__ = False
    runtime: Runtime
    app: Flask
    clock: HandClock
    books: DatabaseBooks
    hands: Hands
    public_url: str = PUBLIC_URL


def settings_for(folder: Path, **given: Any) -> Settings:
    """Settings of a house in a test; the environment and files of the machine are not read."""
    usual: dict[str, Any] = {
        "data_folder": folder, "public_url": PUBLIC_URL, "line_number": "+8657982000000",
        "committee_phone": COMMITTEE, "carrier_account": "AC" + "0" * 32, "carrier_token": "a token",
        "sqlite_synchronous": "NORMAL",
    }  # fmt: skip
    return Settings(_env_file=None, **{**usual, **given})


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs, as its log file would hold it."""
    stream, before = io.StringIO(), logging.getLogger().handlers[:]
    logs.start(stream=stream)
    yield stream
    logging.getLogger().handlers[:] = before


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """One server for the whole session."""
    with postgres.server() as url:
        yield url


@pytest.fixture
def empty_postgres(postgres_url: str) -> Iterator[str]:
    """A database of its own on the session's server."""
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE house"))
    yield make_url(postgres_url).set(database="house").render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE house WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite in the data folder, unless a test asks for both with `ON_BOTH`."""
    return (
        str(request.getfixturevalue("empty_postgres"))
        if getattr(request, "param", "") == "postgresql"
        else ""
    )


ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def house(
    company: Company,
    clock: HandClock,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TestHouse]:
    """The house with `company` as its carrier, on a machine without models."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = settings_for(
        tmp_path, database_url=database_url, carrier=company.kind, carrier_api_url=company.api_url, carrier_account=company.account,
        carrier_token=company.token, signing_secrets=(company.secret,), line_number=company.number,
        media_hosts=("127.0.0.1", "localhost"), capabilities_add=tuple(
            name.lower() for name in company.capabilities if name.lower() in set(Capability)
        ),
    )  # fmt: skip
    opened = open_house(settings, clock)
    yield opened
    opened.books.hands.close()
    opened.runtime.close()


@pytest.fixture
def company() -> Iterator[Company]:
    """The carrier, where a test does not care which."""
    with open_line("twilio") as company:
        yield company


@pytest.fixture
def line(house: TestHouse, company: Company) -> Company:
    """The carrier, connected with the house."""
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    return company


class DeafBell:
    """Nobody hears it: what is owed is found by the sweep that the test runs."""

    def ring(self, *promise_ids: int) -> None:
        pass

    def close(self) -> None:
        pass


def open_house(settings: Settings, clock: HandClock) -> TestHouse:
    """A house with its tables, people and roster."""
    runtime = build(settings, clock.now, DeafBell())
    metadata.create_all(runtime.db.engine)
    with runtime.db.writing() as session:
        matters.seed(session, clock.now())
    hands = Hands(runtime)
    books = DatabaseBooks(runtime, clock, hands)
    books.open_for_business()
    return TestHouse(runtime, create_app(runtime), clock, books, hands)
