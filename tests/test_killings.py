"""Residents ring while web, worker and Redis are killed at random: no word that was said is lost."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path

import pytest
from carriers.company import Company
from carriers.door import Answer, HttpDoor
from conftest import COMMITTEE, PUBLIC_URL
from lines import open_line
from processes import alive, end, family, until
from softphone import free_port
from sqlalchemy import select

from hotline.db import Database
from ivr.models import Call
from tickets.models import Fetch, Recording, Ticket

HOTLINE = (sys.executable, "-m", "hotline.cli")
KILLINGS = 6
PROGRAMS = ("gunicorn", "worker", "redis-server")


class PatientDoor(HttpDoor):
    """As carriers do where nobody answers: once more, for as long as a caller would wait."""

    def send(self, method: str, url: str, form: dict[str, str], headers: dict[str, str]) -> Answer:
        answers: list[Answer] = []

        def answered() -> bool:
            try:
                answers.append(super(PatientDoor, self).send(method, url, form, headers))
            except (OSError, HTTPException):  # nobody listens, or whoever listened is dead
                return False
            return True

        until(answered, why=url)
        return answers[-1]


@pytest.mark.parametrize("name", ["twilio-twice", "somleng-shuffled"])
def test_no_word_is_lost(name: str, tmp_path: Path) -> None:
    with open_line(name) as company, served(company, tmp_path) as (process, url):
        company.connect(PatientDoor(url), PUBLIC_URL)
        with killing(process, random.Random(name)) as killed:
            while killed.total() < KILLINGS or len(killed) < len(PROGRAMS):
                number = len(company.calls)
                resident = company.caller(f"+86138000{number:05d}").dials()
                resident.keeps_silent()
                resident.says(f"第{number}件事", 2 + number / 100).hangs_up()
        spoken = [each for each in company.recordings.values() if each.words]
        assert len(spoken) == len(company.calls)
        said = Counter(sha256(each.sound).hexdigest() for each in spoken)
        db = Database(f"sqlite:///{tmp_path / 'data' / 'hotline.db'}")
        until(lambda: kept(db) == said, 60, why="all are kept")
        sids = {each.sid for each in spoken}
        until(lambda: sids <= company.deleted_recordings, 60, why="the carrier has forgotten all")
        with db.reading() as session:
            assert len(session.scalars(select(Call.id)).all()) == len(spoken)
            assert len(session.scalars(select(Ticket.id)).all()) == len(spoken)
        db.close()


def kept(db: Database) -> Counter[str]:
    """The sounds that are ours, that somebody finds in a request, and that the ear was given."""
    asked = select(Recording).where(
        Recording.fetch == Fetch.STORED, Recording.ticket_id.is_not(None)
    )
    with db.reading() as session:
        return Counter(each.sha256 or "" for each in session.scalars(asked) if each.transcript)


@contextmanager
def served(company: Company, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    url = f"http://127.0.0.1:{free_port()}"
    lines = {
        "PUBLIC_URL": PUBLIC_URL, "LISTEN": url.removeprefix("http://"), "LINE_NUMBER": company.number,
        "COMMITTEE_PHONE": COMMITTEE, "CARRIER": company.kind, "CARRIER_API_URL": company.api_url,
        "CARRIER_ACCOUNT": company.account, "CARRIER_TOKEN": company.token,
        "SIGNING_SECRETS": company.secret, "SWEEP_SECONDS": "0.3",
    }  # fmt: skip
    (folder / "hotline.env").write_text("".join(f"HOTLINE_{k}={v}\n" for k, v in lines.items()))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*HOTLINE, "serve"], cwd=folder, stdout=log, stderr=log, text=True
        )
    try:
        until(lambda: answers(url), why="it serves")
        yield process, url
        assert end(process) == 0, (folder / "log").read_text()
    finally:
        for pid in [*family(process.pid), process.pid]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def answers(url: str) -> bool:
    try:
        return HttpDoor(url).send("GET", f"{PUBLIC_URL}/ivr/fallback", {}, {}).status == 200
    except OSError:
        return False


@contextmanager
def killing(process: "subprocess.Popen[str]", lot: random.Random) -> Iterator[Counter[str]]:
    """Meanwhile one after another of the house's processes is killed; counts them by name."""
    over, killed = threading.Event(), Counter[str]()

    def kill() -> None:
        while not over.wait(lot.uniform(0.5, 2.0)):
            program = lot.choice(PROGRAMS)
            theirs = [
                pid
                for pid, argv in sorted(family(process.pid).items())
                if program in " ".join(argv)
            ]
            if theirs:
                os.kill(lot.choice(theirs), signal.SIGKILL)
                killed[program] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()
