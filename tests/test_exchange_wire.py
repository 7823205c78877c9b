"""A wire that loses packets: every call is still made once, and ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sipp_lines as sipp
from exchange_house import OUR_NUMBER, House, house
from lossy_wire import LossyWire, Rule, answer, request
from softphone import Phone

from ivr.exchange.settings import Trunk

THEY_END = sipp.INVITE + sipp.ANSWERED + sipp.BYE
WE_END = sipp.INVITE + sipp.ANSWERED + sipp.INFO + sipp.THEIR_BYE


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as whole:
        whole.app.pages["/voice"] = lambda form: (
            '<Gather action="/turn" numDigits="1" timeout="20" finishOnKey=""/>'
        )
        whole.app.pages["/turn"] = lambda form: "<Hangup/>"
        yield whole


@pytest.mark.parametrize(
    ("steps", "lost"),
    [
        (THEY_END, request("INVITE")),
        (THEY_END, answer(200, "INVITE")),
        (THEY_END, request("ACK")),
        (THEY_END, request("BYE")),
        (THEY_END, answer(200, "BYE")),
        (WE_END, request("INFO")),
        (WE_END, request("BYE")),
        (WE_END, answer(200, "BYE")),
    ],
    ids=["INVITE", "200", "ACK", "BYE", "200-BYE", "INFO", "our-BYE", "200-our-BYE"],
)
def test_one_packet_is_lost(home: House, tmp_path: Path, steps: str, lost: Rule) -> None:
    exchange = home.exchange()
    with LossyWire(exchange.sip_port, lose=(lost,)) as wire:
        sipp.run(tmp_path, wire.front, steps)
        home.app.wait_for("/status", CallStatus="completed")
        exchange.until(lambda: exchange.exchange.engine.live == 0)
        assert len(wire.lost) == 1
    assert home.app.count("/voice") == home.app.count("/status") == 1
    assert home.app.count("/turn") == (1 if steps is WE_END else 0)


def test_everything_comes_twice(home: House, tmp_path: Path) -> None:
    exchange = home.exchange()
    with LossyWire(exchange.sip_port, repeat=(lambda data: True,)) as wire:
        sipp.run(tmp_path, wire.front, WE_END)
        home.app.wait_for("/status", CallStatus="completed")
    assert home.app.count("/voice") == home.app.count("/turn") == home.app.count("/status") == 1


def test_a_quarter_of_all_packets_is_lost(home: House, tmp_path: Path) -> None:
    exchange = home.exchange()
    with LossyWire(exchange.sip_port, chance=0.25) as wire:
        sipp.run(tmp_path, wire.front, THEY_END, calls=8, seconds=60)
        home.app.wait_for("/status", count=8, seconds=60)
        exchange.until(lambda: exchange.exchange.engine.live == 0, seconds=60)
        assert wire.lost
    assert home.app.count("/voice") == home.app.count("/status") == 8


@pytest.mark.parametrize(
    "lost",
    [request("INVITE"), answer(200, "INVITE"), request("ACK"), request("BYE")],
    ids=["INVITE", "200", "ACK", "BYE"],
)
def test_a_call_that_we_place_loses_a_packet(home: House, tmp_path: Path, lost: Rule) -> None:
    home.app.pages["/news"] = lambda form: "<Hangup/>"
    with (
        Phone(tmp_path / "grandma", number="13812345678", answers=True) as grandma,
        LossyWire(grandma.port, lose=(lost,)) as wire,
    ):
        exchange = home.exchange(trunk=Trunk("127.0.0.1", wire.front))
        exchange.client.calls.create(
            to="+8613812345678",
            from_=OUR_NUMBER,
            url=f"{home.app.base}/news",
            status_callback=f"{home.app.base}/status",
        )
        home.app.wait_for("/status", CallStatus="completed")
        grandma.wait_for("CALL_CLOSED")
        assert len(wire.lost) == 1
    assert home.app.count("/news") == 1
