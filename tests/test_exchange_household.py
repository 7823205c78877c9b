"""The whole house on a real call: softphone, exchange, application, hands, and back again."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import HandClock, TestHouse, open_house, settings_for
from exchange_house import ACCOUNT, OUR_NUMBER, TOKEN, Running, default_settings
from softphone import RATE, Phone, free_port
from sqlalchemy import select
from werkzeug.serving import make_server

from asr.model.make import MODEL
from asr.recognizer import load
from hotline.config import Settings
from ivr.exchange import g711
from ivr.exchange.settings import ExchangeSettings, Trunk
from ivr.exchange.speech import Speaker
from tickets import ledger, service
from tickets.lifecycle import Act
from tickets.models import Recording, Ticket
from worker.jobs import Hands

GRANDMA = "13812345678"


class Line:
    """The house, its web server and the exchange."""

    def __init__(self, folder: Path, trunk_port: int) -> None:
        port, rest_port = free_port(), free_port()
        self.base = f"http://127.0.0.1:{port}"
        self._port = port
        self.settings: Settings = settings_for(
            folder / "house",
            public_url=self.base,
            line_number=OUR_NUMBER,
            carrier_api_url=f"http://127.0.0.1:{rest_port}",
            carrier_account=ACCOUNT,
            carrier_token=TOKEN,
            media_hosts=("127.0.0.1",),
        )
        (folder / "house").mkdir()
        self.clock = HandClock()
        self.house: TestHouse = open_house(self.settings, self.clock)
        self.house.books.hands = Hands(self.house.runtime, load(MODEL))
        given = default_settings(folder, self) | {
            "rest_port": rest_port,
            "voice_url": f"{self.base}/ivr/ring",
            "status_url": f"{self.base}/ivr/status",
            "fallback_url": f"{self.base}/ivr/fallback",
            "trunk": Trunk("127.0.0.1", trunk_port),
        }
        self.exchange = Running(ExchangeSettings(**given))

    def __enter__(self) -> "Line":
        self._server = make_server("127.0.0.1", self._port, self.house.app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.exchange.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.exchange.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.house.runtime.close()

    def accept(self) -> None:
        """The volunteer takes the newest request in hand."""
        with self.house.runtime.db.writing() as session:
            ticket = session.scalars(select(Ticket).order_by(Ticket.id.desc()).limit(1)).one()
            by = ledger.volunteer(ticket.assignee_id or 1)
            service.act(session, ticket, Act.ACCEPT, by, self.clock.now())

    def heard(self) -> list[tuple[str | None, str]]:
        """Hash and text of every recording."""
        with self.house.runtime.db.reading() as session:
            return [
                (r.sha256, r.transcript.text if r.transcript else "")
                for r in session.query(Recording).order_by(Recording.id)
            ]


@pytest.fixture
def grandma(tmp_path: Path) -> Iterator[Phone]:
    with Phone(tmp_path / "grandma", number=GRANDMA) as phone:
        yield phone


def test_a_message_becomes_a_request_and_the_news_is_heard(tmp_path: Path, grandma: Phone) -> None:
    speaker = Speaker(tmp_path / "grandma-speaks", None, "cmn-latn-pinyin", 150)
    words = g711.decode(asyncio.run(speaker.say("我是李桂芳，我要交水费")).alaw)
    with Line(tmp_path, grandma.port) as line:
        grandma.dials(line.exchange.sip_port)
        grandma.wait_for("CALL_ESTABLISHED")
        line.exchange.until(lambda: len(grandma.heard()) > RATE)
        grandma.presses("1")  # she has heard the greeting before
        line.exchange.wait_for_recording()
        grandma.says(words)
        grandma.hangs_up()
        line.exchange.until(lambda: bool(line.house.books.errands()))
        (errand,) = line.house.books.errands()
        assert errand.phone == f"+86{GRANDMA}"
        assert errand.assignee == line.house.books.on_duty()
        line.exchange.until(lambda: not line.exchange.exchange.board.calls)
        line.house.books.works()  # fetch what was said
        ((sha256, text),) = line.heard()
        assert sha256, "the recording was not fetched"
        assert "水费" in text

        line.accept()
        line.house.books.act("办好了")
        for _ in range(20):
            if line.exchange.exchange.board.calls:
                break
            line.clock.advance(300)
            line.house.books.works()
        grandma.wait_for("CALL_INCOMING")
        grandma.picks_up()
        line.exchange.until(lambda: len(grandma.heard(2)) > 4 * RATE)
        grandma.presses("1")
        line.exchange.until(
            lambda: [c.outcome for c in line.house.books.return_calls()][-1] == "已听到"
        )
    assert np.abs(grandma.heard(2)).max() > 1000  # the news was spoken
