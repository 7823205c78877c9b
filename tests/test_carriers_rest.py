"""The REST API of the telephone companies, through the client that the service uses."""

import threading
from collections.abc import Iterator

import pytest
import requests
from caller import Caller
from carriers.company import ApiFault, Company
from carriers.door import HttpDoor
from carriers.little import BYE, GATHER, PUBLIC, RECORD, Opens, opening
from carriers.somleng import Somleng
from carriers.twilio import Twilio
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import make_server


@pytest.fixture
def opens() -> Iterator[Opens]:
    with opening() as opens:
        yield opens


both = pytest.mark.parametrize("kind", [Twilio, Somleng])


def grandma(company: Company) -> Caller:
    return company.caller("+8613812345678")


def client(company: Company) -> Client:
    made = Client(company.account, company.token)
    made.api.base_url = company.api_url
    return made


ASKED = {"to": "+8613812345678", "from_": "+8657982000000", "url": f"{PUBLIC}/return?attempt=7"}


@both
def test_a_call_is_placed_answered_and_looked_up(opens: Opens, kind: type[Company]) -> None:
    company, service = opens(kind, {"/return": GATHER, "/key": BYE})
    api = client(company)
    placed = api.calls.create(**ASKED, method="POST", status_callback=f"{PUBLIC}/over")
    assert placed.status == "queued"
    resident = company.outgoing[-1]
    assert resident.answers().hears() == ["请按1。"]
    assert api.calls(placed.sid).fetch().status == "in-progress"
    assert resident.presses("1").hears() == ["再见。"]
    assert resident.hung_up
    assert service.last("/over")["CallStatus"] == "completed"
    assert api.calls(placed.sid).fetch().status == "completed"
    assert [call.sid for call in api.calls.list(to=ASKED["to"])] == [placed.sid]
    assert api.calls.list(to="+8613900000000") == []


@both
@pytest.mark.parametrize(
    ("does", "status"), [("busy", "busy"), ("no_answer", "no-answer"), ("fails", "failed")]
)
def test_a_call_that_nobody_takes(
    opens: Opens, kind: type[Company], does: str, status: str
) -> None:
    company, service = opens(kind)
    client(company).calls.create(**ASKED, status_callback=f"{PUBLIC}/over")
    getattr(company.outgoing[-1], does)()
    assert service.paths() == ["/over"]
    assert service.last("/over")["CallStatus"] == status


def test_twilio_sends_four_events_out_of_order_and_tells_of_a_machine(opens: Opens) -> None:
    company, service = opens(Twilio, {"/return": BYE})
    client(company).calls.create(
        **ASKED,
        status_callback=f"{PUBLIC}/over",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
        machine_detection="Enable",
        timeout=50,
    )
    company.outgoing[-1].machine_answers().hears()
    assert service.last("/return")["AnsweredBy"] == "machine_start"
    assert [form["CallStatus"] for path, form in service.posted if path == "/over"] == [
        "in-progress",
        "completed",
        "ringing",
        "initiated",
    ]


def test_somleng_knows_neither_machines_nor_time_limits(opens: Opens) -> None:
    company, _ = opens(Somleng)
    with pytest.raises(TwilioRestException) as refused:
        client(company).calls.create(**ASKED, machine_detection="Enable", timeout=50)
    assert refused.value.status == 400
    assert company.outgoing == []
    assert "MachineDetection, Timeout" in company.complaints[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "82345678"},
        {"from_": "+8613800000000"},
        {"url": "http://line.test/return"},
        {"url": f"{PUBLIC}/回电"},
    ],
)
def test_a_call_that_cannot_be_placed_is_refused(opens: Opens, wrong: dict[str, str]) -> None:
    company, _ = opens(Twilio)
    with pytest.raises(TwilioRestException):
        client(company).calls.create(**(ASKED | wrong))
    assert company.outgoing == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_api_may_be_busy_or_broken_once(opens: Opens, status: int) -> None:
    company, _ = opens(Twilio)
    company.api_faults.append(ApiFault(status))
    with pytest.raises(TwilioRestException):
        client(company).calls.create(**ASKED)
    assert company.outgoing == []
    client(company).calls.create(**ASKED)
    assert len(company.outgoing) == 1


def test_the_answer_may_be_lost_although_the_phone_rings(opens: Opens) -> None:
    company, _ = opens(Twilio)
    company.api_faults.append(ApiFault(lost=True))
    with pytest.raises(requests.ConnectionError):
        client(company).calls.create(**ASKED)
    assert len(client(company).calls.list(to=ASKED["to"])) == 1


@both
def test_a_recording_is_fetched_with_a_password_and_deleted(
    opens: Opens, kind: type[Company]
) -> None:
    company, service = opens(kind, {"/ivr/ring": RECORD}, missing_fetches=1)
    grandma(company).dials().says("喂").hangs_up()
    form = service.last("/recording")
    url, password = form["RecordingUrl"], (company.account, company.token)
    assert requests.get(url, timeout=5).status_code == 401
    assert requests.get(url, auth=password, timeout=5).status_code == 404  # not there yet
    recording = company.recordings[form["RecordingSid"]]
    for address in (url, f"{url}.wav"):
        assert requests.get(address, auth=password, timeout=5).content == recording.sound
    assert client(company).recordings(recording.sid).delete()
    assert requests.get(url, auth=password, timeout=5).status_code == 404


def test_a_recording_may_live_on_another_host_that_wants_no_password(opens: Opens) -> None:
    company, service = opens(Twilio, {"/ivr/ring": RECORD}, redirects_recordings=True)
    grandma(company).dials().says("喂").hangs_up()
    url = service.last("/recording")["RecordingUrl"]
    answer = requests.get(url, auth=(company.account, company.token), timeout=5)
    assert answer.content == next(iter(company.recordings.values())).sound
    assert requests.get(answer.url, auth=("a", "b"), timeout=5).status_code == 400
    assert company.complaints == ["the password was shown to another host"]


def test_a_service_that_is_a_process_of_its_own_is_reached_over_http(opens: Opens) -> None:
    company, service = opens(Twilio, {"/ivr/ring": RECORD, "/recorded": BYE})
    service.app.wsgi_app = ProxyFix(service.app.wsgi_app, x_proto=1)  # type: ignore[method-assign]
    server = make_server("127.0.0.1", 0, service.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        company.connect(HttpDoor(f"http://127.0.0.1:{server.server_port}"), PUBLIC)
        assert grandma(company).dials().says("交水费").presses("1").hears() == ["再见。"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert service.forged == []
    assert service.last("/recording")["RecordingDuration"] == "6"
    assert company.slowest_answer_seconds > 0
