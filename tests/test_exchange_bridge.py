"""A bridged call on the exchange: by REST the volunteer's telephone, by a key the resident's."""

import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from exchange_house import MOST, OUR_NUMBER, came_through, house, prompt, wav_bytes
from softphone import Phone, free_port

from ivr.exchange.settings import Trunk

VOLUNTEER, GRANDMA = "13900000001", "13812345678"
CALL_ID = re.compile(rb"(?im)^Call-ID: *(\S+)")
WORDS, TALK, REQUEST = prompt(3, 1.5), prompt(9, 2.0), prompt(7, 2.0)


@contextmanager
def trunk(phones: dict[str, int]) -> Iterator[int]:
    """A trunk behind which several telephones ring: what opens a call goes by the number it names."""
    front, stop, stopped = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM), *socket.socketpair())
    front.bind(("127.0.0.1", port := free_port()))
    wires = {number: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for number in phones}
    for wire in wires.values():
        wire.bind(("127.0.0.1", 0))
    exchange: list[tuple[str, int]] = []
    whose: dict[bytes, str] = {}  # by Call-ID

    def carry() -> None:
        while stopped not in (ready := select.select([front, *wires.values(), stopped], [], [])[0]):
            for end in ready:
                data, source = end.recvfrom(65536)
                if end is front:
                    exchange[:] = [source]
                    call = CALL_ID.search(data)
                    opens = next((n for n in phones if n.encode() in data.partition(b"\r\n")[0]), None)  # fmt: skip
                    number = whose.setdefault(call[1] if call else b"", opens or VOLUNTEER)
                    wires[number].sendto(data, ("127.0.0.1", phones[number]))
                else:
                    front.sendto(data, exchange[0])

    thread = threading.Thread(target=carry)
    thread.start()
    yield port
    stop.send(b"x")
    thread.join(5)
    for end in (front, stop, stopped, *wires.values()):
        end.close()


@pytest.mark.parametrize("there", [True, False])
def test_the_volunteer_first_and_then_the_resident(tmp_path: Path, there: bool) -> None:
    with (
        house(tmp_path) as home,
        Phone(tmp_path / "volunteer", number=VOLUNTEER) as volunteer,
        Phone(tmp_path / "grandma", number=GRANDMA) as grandma,
        trunk({VOLUNTEER: volunteer.port, GRANDMA: grandma.port}) as port,
    ):
        home.app.sounds["/words.wav"] = wav_bytes(WORDS)
        home.app.pages |= {
            "/answered": lambda form: (
                '<Gather action="/turn" numDigits="1" timeout="8" finishOnKey="">'
                "<Play>/words.wav</Play></Gather><Hangup/>"
            ),
            "/turn": lambda form: (
                f'<Dial action="/dialled" timeout="20" callerId="{OUR_NUMBER}" answerOnBridge="true">'
                f"<Number>+86{GRANDMA}</Number></Dial>"
            ),
            "/dialled": lambda form: "<Hangup/>",
        }
        exchange = home.exchange(trunk=Trunk("127.0.0.1", port))
        exchange.client.calls.create(to=f"+86{VOLUNTEER}", from_=OUR_NUMBER, url=f"{home.app.base}/answered", status_callback=f"{home.app.base}/status")  # fmt: skip
        volunteer.wait_for("CALL_INCOMING")
        volunteer.picks_up()
        home.app.wait_for("/answered")
        volunteer.presses("1")
        home.app.wait_for("/turn", Digits="1")
        grandma.wait_for("CALL_INCOMING")
        if there:
            grandma.picks_up()
            grandma.wait_for("CALL_ESTABLISHED")
            grandma.says(TALK)
            volunteer.says(REQUEST)
            volunteer.hangs_up()
        else:
            grandma.turns_away()
        told = home.app.wait_for("/dialled").form
        home.app.wait_for("/status", CallStatus="completed")
        assert told["DialCallStatus"] == ("completed" if there else "busy")
    if there:
        assert came_through(TALK, volunteer.heard()) >= MOST
        assert came_through(REQUEST, grandma.heard()) >= MOST
