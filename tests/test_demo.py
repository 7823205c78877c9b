"""`hotline demo` as a new user starts it: a page within seconds, nothing left after Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from exchange_house import prompt
from processes import alive, end, family, until
from samples import sample_of
from softphone import RATE, Phone
from sqlalchemy import select
from test_household import free_port

from hotline import clock, demo, seeds
from hotline.config import Settings
from hotline.db import Database
from hotline.doctor import Health, examine
from hotline.exchange import DEMONSTRATION_CALLER
from hotline.processes import child_environment
from tickets import audit, ledger, service
from tickets.lifecycle import Act
from tickets.models import Promise, Recording, ReturnTry, Ticket, Transcript
from tickets.returns import Outcome

HOTLINE = (sys.executable, "-m", "hotline.cli")
OF_OURS = ("redis-server", "worker", "gunicorn", "exchange")


class Demo:
    """A demonstration under way."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.out = folder / "out"
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                [*HOTLINE, "demo", "--listen", self.url.removeprefix("http://"), *options],
                cwd=folder, stdout=out, stderr=out, text=True,
            )  # fmt: skip

    def serves(self) -> bool:
        try:
            return requests.get(f"{self.url}/phone", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def members(self, program: str) -> list[int]:
        return [
            pid
            for pid, argv in family(self.process.pid).items()
            # Redis writes its socket behind its own name, into one argument
            if program in {argument.split(" ")[0].rpartition("/")[2] for argument in argv}
        ]

    def said(self) -> str:
        return self.out.read_text()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Demo]:
    begun = Demo(tmp_path)
    yield begun
    if begun.process.poll() is None:
        end(begun.process)


def test_from_the_first_page_to_the_end(running: Demo, tmp_path: Path) -> None:
    until(running.serves, why="the first page")
    until(lambda: "Ctrl-C" in running.said(), why="the addresses are printed")
    assert running.url in running.said()
    assert re.search(r"王秀兰.*密码 \d{6}", running.said())
    assert list((tmp_path / "data" / "demo").glob("hotline.db"))
    members = list(family(running.process.pid))

    assert end(running.process, signal.SIGINT) == 0

    assert "什么也没有留下" in running.said()
    assert not [pid for pid in members if alive(pid)]
    assert not (tmp_path / "data").exists()


def test_whoever_of_it_is_killed_it_serves_again(running: Demo) -> None:
    until(running.serves, why="the first page")
    for word in OF_OURS:
        until(lambda word=word: running.members(word), why=f"{word} is there")
        (victim, *_) = sorted(running.members(word))  # gunicorn's master before its workers
        os.kill(victim, signal.SIGKILL)
        until(lambda victim=victim: not alive(victim), why=f"{word} is dead")
        until(
            lambda word=word, victim=victim: set(running.members(word)) - {victim},
            why=f"{word} is back",
        )
    until(running.serves, why="it serves again")
    assert end(running.process) == 0


def test_the_doctor_finds_the_running_house_well(
    running: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: "Ctrl-C" in running.said(), why="it serves")
    settings = settings_of(tmp_path / "data" / "demo", running)

    found = {finding.key: finding.health for finding in examine(settings)}

    assert found.pop("model") is Health.MIND  # none, or the demonstration model
    found.pop("disk")  # says how full the machine is that runs the tests
    assert set(found.values()) == {Health.WELL}, found


def test_a_softphone_rings_it_and_is_rung_back(running: Demo, tmp_path: Path) -> None:
    until(lambda: "Ctrl-C" in running.said(), why="it serves")
    (port,) = re.findall(r"sip:hotline@127\.0\.0\.1:(\d+)", running.said())
    folder = tmp_path / "data" / "demo"
    until(lambda: "the exchange is open" in running.said(), why="somebody answers")
    db = Database(f"sqlite:///{folder / 'hotline.db'}")

    def message() -> Ticket | None:
        with db.reading() as session:
            rung = select(Recording).join(Ticket, Ticket.id == Recording.ticket_id)
            # what was rung in past months counts as real; what is rung now is a test
            made = session.scalars(rung.where(Recording.call_id.is_not(None), Ticket.test)).first()
            return made.ticket if made and made.sha256 and made.transcript else None

    with Phone(tmp_path / "softphone", number="grandma") as grandma:  # no number of her own
        grandma.dials(int(port))
        grandma.wait_for("CALL_ESTABLISHED")
        until(lambda: len(grandma.heard()) > RATE, why="she hears the greeting")
        grandma.presses("1")
        until(lambda: any((folder / "exchange" / "recordings").glob("*.?law")), why="the beep")
        grandma.says(prompt(3, 2.0))
        grandma.hangs_up()
        until(message, 40, why="her words are on the board")
        ticket = message()
        assert ticket is not None
        assert ticket.phone == DEMONSTRATION_CALLER
        for act in (Act.ACCEPT, Act.FINISH):
            with db.writing() as session:
                known = session.get_one(Ticket, ticket.id)
                service.act(session, known, act, ledger.volunteer(1), clock.now())
        grandma.wait_for("CALL_INCOMING", 30)
        grandma.picks_up()
        until(lambda: len(grandma.heard(2)) > 4 * RATE, why="the news is spoken")
        grandma.presses("1")

        def heard() -> bool:
            with db.reading() as session:
                tries = session.scalars(
                    select(ReturnTry).join(Promise).where(Promise.ticket_id == ticket.id)
                )
                return [each.outcome for each in tries] == [Outcome.HEARD]

        until(heard, why="the news was heard")
    db.close()
    assert DEMONSTRATION_CALLER in {number for row in seeds.RESIDENTS for number in row[4]}
    assert end(running.process) == 0


def test_its_recordings_are_written_down_by_its_own_ear_and_its_ledger_is_whole(
    running: Demo, tmp_path: Path
) -> None:
    until(lambda: "Ctrl-C" in running.said(), why="it serves")
    db = Database(f"sqlite:///{tmp_path / 'data' / 'demo' / 'hotline.db'}")

    def written_down() -> list[str]:
        with db.reading() as session:
            asked = select(Transcript.text).join(Recording).where(Recording.call_id.is_(None))
            return [text for text in session.scalars(asked) if sample_of(text)]

    spoken = sum(bool(past.sample) for past in seeds.PAST)
    until(lambda: len(written_down()) == spoken, why="every recording has its text")
    with db.reading() as session:
        assert audit.verify(session).fault is None
    db.close()


def test_it_keeps_away_from_what_is_not_its_own(tmp_path: Path) -> None:
    house = tmp_path / "real"
    house.mkdir()
    (house / "hotline.db").write_text("a real house")

    refused = subprocess.run(
        [*HOTLINE, "demo", "--folder", str(house)], cwd=tmp_path, capture_output=True, text=True
    )

    assert refused.returncode == 1
    assert "不动它" in refused.stderr
    assert [file.name for file in house.iterdir()] == ["hotline.db"]


def test_it_never_reads_the_machines_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLINE_DATABASE_URL", "postgresql://real")
    monkeypatch.setenv("HOTLINE_REDIS_URL", "redis://real")
    monkeypatch.setenv("VOSK_MODEL_PATH", "/real")

    settings = demo.make_settings("127.0.0.1:1234", tmp_path, "AC1", "token", "127.0.0.1:5", "")

    assert settings.database == f"sqlite:///{tmp_path / 'hotline.db'}"
    assert settings.redis == f"unix://{tmp_path / 'redis.sock'}"
    assert settings.model_path != Path("/real")
    assert not any("real" in value for name, value in child_environment(settings).items() if name.startswith("HOTLINE_") and "FOLDER" not in name)  # fmt: skip


def test_a_kept_demonstration_is_taken_up_again(tmp_path: Path) -> None:
    pins = []
    for _ in range(2):
        begun = Demo(tmp_path, "--keep")
        try:
            until(lambda begun=begun: "Ctrl-C" in begun.said(), why="it serves")
        finally:
            assert end(begun.process) == 0
        pins.append(re.findall(r"密码 (\d+)", begun.said()))
    assert pins[0] == pins[1]
    assert (tmp_path / "data" / "demo" / "hotline.db").exists()


def settings_of(folder: Path, running: Demo) -> Settings:
    """The settings its children were given."""
    web = running.members("gunicorn")[0]
    lines = Path(f"/proc/{web}/environ").read_text().split("\0")
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    made: dict[str, Any] = {
        name: environment[f"HOTLINE_{name.upper()}"]
        for name in ("carrier_account", "carrier_token", "exchange_listen", "exchange_rest")
    }
    return demo.make_settings(running.url.removeprefix("http://"), folder, *made.values())
