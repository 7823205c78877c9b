"""The telephone in the browser in a house that serves: an administrator's, for training.

What is rung there meets no real request, is counted nowhere, and nobody outside is ever dialled.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from browsers import Served, serving
from conftest import HandClock
from desk_house import LI
from sounds import pcm16, voice, wav
from sqlalchemy import select
from test_handset import HEADER, WANG, keeps_promises
from twilio.request_validator import RequestValidator
from werkzeug.serving import make_server

from hotline.training import training
from hotline.web import callers
from ivr.models import Call
from tickets import counting, ledger, promises, service
from tickets.counting import Period
from tickets.lifecycle import Act
from tickets.models import Duty, Fetch, Promise, PromiseState, ReturnTry, Ticket, Volunteer


@contextmanager
def a_carrier_outside() -> Iterator[tuple[str, list[str]]]:
    """Somebody else's REST interface, which writes down all that is asked of it."""
    asked: list[str] = []

    def answers(environ: Any, start: Any) -> list[bytes]:
        asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        start("404 Not Found", [("Content-Type", "application/json")])
        return [b'{"code": 20404, "message": "no", "status": 404}']

    server = make_server("127.0.0.1", 0, answers, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def training_house(tmp_path: Path, clock: HandClock) -> Iterator[tuple[Served, list[str]]]:
    """A house that serves, with a carrier outside and volunteers who want to be rung."""
    with (
        a_carrier_outside() as (address, asked),
        serving(
            tmp_path, clock, carrier_api_url=address, ring_volunteers=True,
            notice_urls=("json://192.0.2.1/",),
        ) as served,
    ):  # fmt: skip
        with served.desk.runtime.db.writing() as session:
            session.get_one(Volunteer, 1).phone = WANG
        yield served, asked


def test_in_a_house_that_serves_it_is_an_administrators(
    training_house: tuple[Served, list[str]],
) -> None:
    desk = training_house[0].desk
    assert desk.visit().opens("/phone").page.request.path == "/door"
    assert desk.visit("李主任").opens("/phone").status == 403
    assert "打不到外面去" in desk.visit("管理员").opens("/phone").text
    stranger = desk.app.test_client()
    assert stranger.post("/phone/ring", json={"who": "p1"}, headers=HEADER).status_code == 401
    chief = desk.visit("管理员").client
    assert chief.post("/phone/sooner", json={}, headers=HEADER, base_url="https://line.test").status_code == 403  # fmt: skip
    assert chief.post("/phone/ring", json={"who": "p1"}, base_url="https://line.test").status_code == 403  # fmt: skip


def test_training_meets_no_real_request_and_rings_nobody_outside(
    training_house: tuple[Served, list[str]], clock: HandClock
) -> None:
    served, asked_outside = training_house
    desk, runtime = served.desk, served.desk.runtime
    real = desk.request()  # of the same number, and open; what it owes is no matter here
    with runtime.db.writing() as session:
        for promise in session.scalars(select(Promise)):
            promises.settle(promise, PromiseState.DROPPED, "", clock.now())
    chief = desk.visit("管理员").client

    def asks(path: str, **body: Any) -> Any:
        answer = chief.post(f"/phone/{path}", json=body, headers=HEADER, base_url="https://line.test")  # fmt: skip
        assert answer.status_code == 200, path
        return answer.json

    with runtime.db.reading() as session:
        li = next(each.key for each in callers.callers(session, runtime.settings) if each.phone == LI)  # fmt: skip
    rung = asks("ring", who=li)
    assert "问上次的事" not in rung["document"], "her real request is no business of training"
    sound = chief.post(
        "/phone/message", data=wav(pcm16(voice(4))), content_type="audio/wav", headers=HEADER, base_url="https://line.test"
    ).json  # fmt: skip
    asks("send", sid=rung["sid"], url=f"{served.url}/ivr/turn?turn=1")
    said = {"RecordingSid": sound["sid"], "RecordingUrl": sound["url"], "RecordingDuration": "4", "Digits": "hangup"}  # fmt: skip
    asks("send", sid=rung["sid"], url=f"{served.url}/ivr/turn?turn=2", form=said)
    asks("ended", sid=rung["sid"], seconds=20)
    keeps_promises(served)

    with runtime.db.reading() as session:
        (ticket,) = session.scalars(select(Ticket).where(Ticket.id != real))
        assert ticket.test
        assert ticket.recordings[0].fetch is Fetch.STORED
        (rings,) = session.scalars(select(ReturnTry))
        assert (rings.phone, rings.test) == (WANG, True)
        assert not service.open_requests(session, LI, test=False)[0].test
        told = select(Promise).where(Promise.duty == Duty.NOTICE, Promise.state != PromiseState.DROPPED)  # fmt: skip
        assert not session.scalars(told).all(), "no word to the groups"
    assert asks_waiting(chief, "v1")["sid"], "the volunteer's telephone is in the browser too"
    assert asked_outside == []

    # finished late in the evening: a test disturbs nobody, and waits for no morning
    clock.advance(12 * 3600)
    with runtime.db.writing() as session:
        test = session.get_one(Ticket, ticket.id)
        for act in (Act.ACCEPT, Act.FINISH):
            service.act(session, test, act, ledger.volunteer(1), clock.now())
    keeps_promises(served)
    assert asks_waiting(chief, li)["sid"]
    assert asked_outside == []
    with runtime.db.reading() as session:
        month = Period.month(2026, 11)
        report = counting.report(session, month, clock.now())
        assert next(v.n for v in report.values if v.figure.key == "finished") == 1, "the real one"
        assert next(v.n for v in report.values if v.figure.key == "reached") == 0
    committee = desk.visit("李主任")
    number = f"编号 {ticket.number}"
    assert number not in committee.opens("/all").text
    assert number in committee.opens("/all?kind=test").text
    assert "试打" in committee.text


def asks_waiting(client: Any, who: str) -> Any:
    return client.get(f"/phone/waiting?who={who}", base_url="https://line.test").json


def test_a_real_carrier_cannot_be_taken_for_training(
    training_house: tuple[Served, list[str]],
) -> None:
    """What is a test is said by the key that signs, and by nothing in the form."""
    served, _ = training_house
    runtime = served.desk.runtime
    url = f"{served.url}/ivr/ring"
    for number, secret in enumerate((runtime.settings.secrets[0], training(runtime.settings).carrier_token)):  # fmt: skip
        form = {"CallSid": f"CA{number}", "From": LI, "To": "+8657988880000", "Test": "1"}
        signature = RequestValidator(secret).compute_signature(url, form)
        answer = requests.post(url, data=form, headers={"X-Twilio-Signature": signature}, timeout=5)
        assert answer.status_code == 200
    with runtime.db.reading() as session:
        assert [call.test for call in session.scalars(select(Call).order_by(Call.id))] == [False, True]  # fmt: skip
