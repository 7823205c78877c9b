"""`hotline serve --exchange` as a committee with one box runs it: real processes, a real telephone.

The box is a softphone. Whatever is killed in the middle of a call, what was said is kept.
"""

import asyncio
import io
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from exchange_house import MOST, came_through
from processes import end, family, until
from softphone import RATE, Phone, free_port
from sounds import pcm16, saved, voice, wav
from sqlalchemy import select

from asr.model.make import MODEL
from hotline import clock
from hotline.config import Settings
from hotline.db import Database
from hotline.doctor import Health, examine
from ivr.exchange import g711
from ivr.exchange.speech import Speaker
from ivr.levelling import level
from ivr.models import Call, CallStatus
from tickets import ledger, service
from tickets.lifecycle import Act
from tickets.models import Recording, ReturnTry, Ticket
from tickets.returns import Outcome

GRANDMA = "13812345678"
HOTLINE = (sys.executable, "-m", "hotline.cli")
OUR_WORDS = "我要交水费"
# Prompts that a neighbour recorded, who speaks fast; the others are spoken by the machine.
NEIGHBOUR = {
    name: voice(0.8, seed=seed)
    for seed, name in enumerate(("I02", "I03", "I10", "I12", "O13", "O20"))
}


class Line:
    """The folder of a committee, its processes, and what its tables hold."""

    def __init__(self, folder: Path, box: int) -> None:
        self.folder, self.sip_port = folder, free_port()
        rtp = free_port(pair=True)
        web = free_port()
        self.url = f"http://127.0.0.1:{web}"
        lines = {
            "LINE_NUMBER": "0579-82345678", "COMMITTEE_PHONE": "0579-82345679",
            "CARRIER": "exchange", "EXCHANGE_TRUNK": f"127.0.0.1:{box}",
            # what the tests need beyond a committee: other ports, the night, a model
            "LISTEN": f"127.0.0.1:{web}", "EXCHANGE_LISTEN": f"127.0.0.1:{self.sip_port}",
            "EXCHANGE_REST": f"127.0.0.1:{free_port()}", "EXCHANGE_RTP_PORTS": f"{rtp}-{rtp + 100}",
            "SHIFT_HOURS": "00:00-12:00,12:00-24:00", "MODEL_PATH": str(MODEL),
            "RETURN_HOURS": "00:00-24:00", "RETURN_HOURS_REST": "00:00-24:00", "SWEEP_SECONDS": "0.3",
            "OPENING_WAIT_SECONDS": "2",
        }  # fmt: skip
        (folder / "hotline.env").write_text("".join(f"HOTLINE_{k}={v}\n" for k, v in lines.items()))
        (folder / "spoken").mkdir()
        for name, spoken in NEIGHBOUR.items():
            saved(folder / "spoken", f"{name}.wav", wav(pcm16(spoken)))
        self.types("prompts", "import", "spoken")
        self.types("people", "add", "王秀兰", "--pin", "250817")
        self.types("roster", "fill", "--days", "3")

    def neighbour(self, name: str) -> np.ndarray:
        """What a prompt has become on its way to the line."""
        with wave.open(io.BytesIO(level(self.folder / "spoken" / f"{name}.wav").wav)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2")

    def types(self, *words: str) -> None:
        subprocess.run([*HOTLINE, *words], cwd=self.folder, check=True, capture_output=True)

    def __enter__(self) -> "Line":
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [*HOTLINE, "serve", "--exchange"], cwd=self.folder, stdout=log, stderr=log, text=True
            )  # fmt: skip
        self.until(lambda: self.serves() and "the exchange is open" in self.log(), "it serves")
        self.db = Database(f"sqlite:///{self.folder / 'data' / 'hotline.db'}")
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()
        assert end(self.process) == 0, self.log()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def until(self, what: Callable[[], object], why: str) -> None:
        def so() -> object:
            assert self.process.poll() is None, self.log()
            return what()

        until(so, 40, why=why)

    def serves(self) -> bool:
        try:
            return requests.get(f"{self.url}/ivr/fallback", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def members(self, word: str) -> list[int]:
        """Its processes of one kind, the parent first."""
        return sorted(
            pid for pid, argv in family(self.process.pid).items() if word in " ".join(argv)
        )

    def kills(self, word: str, how: signal.Signals = signal.SIGKILL) -> None:
        victims = self.members(word)
        for victim in victims:
            os.kill(victim, how)
        self.until(lambda: not set(victims) & set(self.members(word)), f"{word} is dead")

    def records(self) -> None:
        """Until the beep is over and the caller may speak."""
        recordings = self.folder / "data" / "exchange" / "recordings"
        self.until(lambda: any(recordings.glob("*.?law")), "it records")

    def texts(self) -> list[str]:
        """What was heard in each recording that is home and written down."""
        with self.db.reading() as session:
            rows = session.scalars(select(Recording).order_by(Recording.id))
            return [row.transcript.text for row in rows if row.sha256 and row.transcript]

    def is_cut_short(self) -> bool:
        """Whether the newest recording is known to lack its end."""
        with self.db.reading() as session:
            newest = select(Recording.cut_short).order_by(Recording.id.desc()).limit(1)
            return session.scalars(newest).one()

    def newest_call(self) -> CallStatus:
        with self.db.reading() as session:
            newest = select(Call.status).order_by(Call.id.desc()).limit(1)
            return CallStatus(session.scalars(newest).one())

    def is_done(self) -> None:
        """The volunteer takes the newest request in hand and finishes it."""
        for act in (Act.ACCEPT, Act.FINISH):
            with self.db.writing() as session:
                ticket = session.scalars(select(Ticket).order_by(Ticket.id.desc()).limit(1)).one()
                by = ledger.volunteer(ticket.assignee_id or 1)
                service.act(session, ticket, act, by, clock.now())

    def news(self) -> list[Outcome | None]:
        """What came of each return call."""
        with self.db.reading() as session:
            return list(session.scalars(select(ReturnTry.outcome).order_by(ReturnTry.id)))


@pytest.fixture(scope="module")
def grandma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    with Phone(tmp_path_factory.mktemp("grandma") / "phone", number=GRANDMA) as phone:
        yield phone


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, grandma: Phone) -> Iterator[Line]:
    with Line(tmp_path_factory.mktemp("line"), grandma.port) as running:
        yield running


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    speaker = Speaker(tmp_path_factory.mktemp("says"), None, "cmn-latn-pinyin", 150)
    return np.asarray(g711.decode(asyncio.run(speaker.say(OUR_WORDS)).alaw))


def rings(line: Line, grandma: Phone) -> None:
    """Until she hears us."""
    calls = len(list(grandma.sounds.glob("dump-*-dec.wav")))
    grandma.dials(line.sip_port)
    grandma.wait_for("CALL_ESTABLISHED")
    line.until(lambda: len(grandma.heard(calls + 1)) > RATE, "she hears the greeting")


def rings_until_the_beep(line: Line, grandma: Phone) -> None:
    rings(line, grandma)
    grandma.presses("1")  # she knows the greeting
    line.records()


def test_a_message_becomes_a_request_and_its_news_is_heard(
    line: Line, grandma: Phone, words: np.ndarray
) -> None:
    rings(line, grandma)
    line.records()  # she presses nothing
    grandma.says(words)
    grandma.presses("#")
    grandma.presses("3")  # her own words again
    line.until(lambda: came_through(words, grandma.heard()) >= MOST, "she hears herself")
    grandma.hangs_up()
    line.until(line.texts, "the words are written down")
    assert "水费" in line.texts()[0]
    assert came_through(line.neighbour("I10"), grandma.heard(1)) >= MOST
    line.until(lambda: line.newest_call() is CallStatus.COMPLETED, "the call is over")

    line.is_done()
    grandma.wait_for("CALL_INCOMING")
    grandma.picks_up()
    line.until(lambda: len(grandma.heard(2)) > 4 * RATE, "the news is spoken")
    grandma.presses("1")
    line.until(lambda: line.news() == [Outcome.HEARD], "she has heard it")
    grandma.hangs_up()
    grandma.wait_for("CALL_CLOSED")
    line.until(lambda: line.newest_call() is CallStatus.COMPLETED, "the call is over")


def test_the_web_is_killed_while_she_listens_and_again_while_she_speaks(
    line: Line, grandma: Phone, words: np.ndarray
) -> None:
    before = len(line.texts())
    rings(line, grandma)
    line.kills("gunicorn")
    grandma.presses("1")  # nobody is there to be told
    line.records()  # the call went on when the web was back
    line.kills("gunicorn")
    grandma.says(words)
    grandma.hangs_up()
    line.until(lambda: len(line.texts()) > before, "what she said is written down")
    assert "水费" in line.texts()[-1]
    line.until(lambda: line.newest_call() is CallStatus.COMPLETED, "the call is over")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "restarted"])
def test_the_exchange_goes_in_mid_message(
    line: Line, grandma: Phone, words: np.ndarray, how: signal.Signals
) -> None:
    before = len(line.texts())
    rings_until_the_beep(line, grandma)
    grandma.says(np.concatenate([words, np.zeros(2 * RATE, np.int16)]))  # a crash costs two seconds
    line.kills("hotline.cli exchange", how)
    line.until(lambda: len(line.texts()) > before, "what she said is written down")
    assert "水费" in line.texts()[-1]
    line.until(line.is_cut_short, "whoever listens to it is told that its end is missing")
    line.until(lambda: line.newest_call() is CallStatus.COMPLETED, "its end was reported")
    grandma.hangs_up()  # where nobody could tell her phone
    grandma.wait_for("CALL_CLOSED")


def test_the_doctor_rings_and_finds_it_well(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(line.folder)
    found = {each.key: each for each in examine(Settings.read())}
    for key in ("settings", "public_url", "signature", "exchange", "speech", "own_call"):
        assert found[key].health is Health.WELL, found[key]


def test_its_secrets_were_made_here_and_are_read_by_nobody_else(line: Line) -> None:
    key = line.folder / "data" / "exchange.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text().strip() not in line.log()
    rest = Settings(_env_file=line.folder / "hotline.env").exchange_rest  # type: ignore[call-arg]
    assert requests.get(f"http://{rest}/health", timeout=5).status_code == 401
