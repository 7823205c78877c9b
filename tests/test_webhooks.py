"""The carrier's door under forged, broken and simultaneous webhooks."""

import base64
import hashlib
import hmac
import io
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from caller import Caller
from carriers.company import Company
from carriers.document import Sound
from carriers.door import FlaskDoor
from conftest import ON_BOTH, PUBLIC_URL, HandClock, TestHouse
from sqlalchemy import func, select

from ivr.models import Call, Turn
from tickets.models import Fetch, LedgerLine, Promise, Recording, Ticket

GRANDMA = "+8613812345678"
SIMULTANEOUS = 16


class Post:
    """Posts signed forms as a carrier does, and lets a test spoil them."""

    def __init__(self, house: TestHouse, company: Company) -> None:
        self.app, self.secret = house.app, company.secret

    def __call__(
        self, path: str, *, signature: str | None = None, unsigned: bool = False, **form: str
    ):
        url = PUBLIC_URL + path
        text = url + "".join(name + form[name] for name in sorted(form))
        true = base64.b64encode(
            hmac.new(self.secret.encode(), text.encode(), hashlib.sha1).digest()
        ).decode()
        headers = {} if unsigned else {"X-Twilio-Signature": signature or true}
        return self.app.test_client().post(path, base_url=PUBLIC_URL, data=form, headers=headers)


@pytest.fixture
def post(house: TestHouse, company: Company) -> Post:
    return Post(house, company)


def count(house: TestHouse, table: type) -> int:
    with house.runtime.db.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize(
    "path",
    ["ring", "turn?turn=1", "answered?token=x", "whisper?call=1", "recording?turn=1", "status"],
)
def test_without_a_true_signature_nothing_is_done(house: TestHouse, post: Post, path: str) -> None:
    form = {"CallSid": "CA1", "From": GRANDMA}
    assert post(f"/ivr/{path}", unsigned=True, **form).status_code == 403
    assert post(f"/ivr/{path}", signature="c2lnbmF0dXJl", **form).status_code == 403
    assert post(f"/ivr/{path}", signature="é", **form).status_code == 403
    assert count(house, Call) == 0


def test_a_parameter_nobody_knows_is_part_of_the_signature(post: Post) -> None:
    assert post("/ivr/ring", CallSid="CA1", From=GRANDMA, StirVerstat="", 新="é").status_code == 200


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("ring", {"CallSid": "CA1"}),
        ("ring", {"CallSid": "CA1", "From": "💥"}),
        ("ring", {"CallSid": "CA1", "From": "sip:;;;@"}),
        ("turn?turn=1", {"CallSid": "never-rang", "From": GRANDMA, "Digits": "1"}),
        ("turn", {"CallSid": "CA1", "Digits": "1"}),
        ("turn?turn=-3", {"CallSid": "CA1", "Digits": "#*9"}),
        ("turn?turn=99999999999999", {"CallSid": "CA1", "Digits": "1234567890"}),
        ("turn?turn=%E4%B8%80", {"CallSid": "CA1", "Digits": "９"}),
        ("turn?turn=1", {"CallSid": "CA1", "RecordingUrl": "not a url", "RecordingDuration": "x"}),
        ("answered?token=unknown", {"CallSid": "CA1"}),
        ("whisper?call=x&turn=y&who=z", {"CallSid": "CA1"}),
        ("recording?turn=7", {"CallSid": "CA9", "RecordingUrl": "https://api.twilio.com/RE1", "RecordingStatus": "absent"}),
        ("status?token=none", {"CallSid": "CA1", "CallStatus": "whatever"}),
        ("status", {"CallSid": "CA1", "CallStatus": "completed", "CallDuration": "-"}),
    ],
)  # fmt: skip
def test_whatever_comes_the_caller_hears_something_sensible(
    post: Post, path: str, form: dict[str, str]
) -> None:
    answer = post(f"/ivr/{path}", **form)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/xml")
    assert "<Response" in answer.text
    assert "电话出了点毛病" not in answer.text


def test_a_webhook_of_no_call_is_apologised_for(post: Post) -> None:
    answer = post("/ivr/ring", From=GRANDMA)
    assert answer.status_code == 200
    assert "电话出了点毛病" in answer.text


def test_an_exception_is_a_spoken_apology_and_a_logged_call(
    house: TestHouse, post: Post, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    def burn(*_: object, **__: object) -> None:
        raise RuntimeError(f"the disk is full, caller {GRANDMA}")

    monkeypatch.setattr("ivr.calls.ring", burn)
    answer = post("/ivr/ring", CallSid="CA77", From=GRANDMA)
    assert answer.status_code == 200
    assert "对不起，电话出了点毛病" in answer.text
    assert "call=CA77" in log.getvalue()
    assert "the disk is full, caller 138****5678" in log.getvalue()
    assert GRANDMA not in log.getvalue()


def test_the_fallback_needs_no_signature_and_no_database(house: TestHouse) -> None:
    house.runtime.db.close()
    for method in ("get", "post"):
        answer = getattr(house.app.test_client(), method)("/ivr/fallback")
        assert "对不起，电话出了点毛病" in answer.text
        assert "<Play" not in answer.text


@pytest.mark.parametrize("name", ["beep", "second", "two_seconds"])
def test_sounds_are_wav(house: TestHouse, name: str) -> None:
    answer = house.app.test_client().get(f"/ivr/sound/{name}.wav")
    assert answer.data[:4] == b"RIFF"
    assert house.app.test_client().get("/ivr/sound/../config.wav").status_code == 404


@ON_BOTH
def test_sixteen_first_rings_of_one_call_are_one_call(house: TestHouse, post: Post) -> None:
    together = Barrier(SIMULTANEOUS)

    def ring(_: int) -> str:
        together.wait()
        return post("/ivr/ring", CallSid="CA1", From=GRANDMA).text

    with ThreadPoolExecutor(SIMULTANEOUS) as pool:
        answers = set(pool.map(ring, range(SIMULTANEOUS)))
    assert len(answers) == 1
    assert "您好，这里是" in answers.pop()
    assert (count(house, Call), count(house, Turn), count(house, Promise)) == (1, 1, 1)


@ON_BOTH
def test_sixteen_reports_of_one_recording_are_one_request(house: TestHouse, post: Post) -> None:
    post("/ivr/ring", CallSid="CA1", From=GRANDMA)
    post("/ivr/turn?turn=1&silent=1", CallSid="CA1")
    together = Barrier(SIMULTANEOUS)
    said = {
        "CallSid": "CA1",
        "RecordingSid": "RE1",
        "RecordingUrl": "https://api.twilio.com/RE1",
        "RecordingDuration": "7",
    }

    def report(number: int) -> int:
        together.wait()
        if number % 2:
            return post("/ivr/turn?turn=2", Digits="hangup", **said).status_code
        return post("/ivr/recording?turn=2", RecordingStatus="completed", **said).status_code

    with ThreadPoolExecutor(SIMULTANEOUS) as pool:
        assert set(pool.map(report, range(SIMULTANEOUS))) == {200}
    assert (count(house, Ticket), count(house, Recording)) == (1, 1)


def test_own_words_are_played_from_the_carrier_and_then_from_our_store(
    house: TestHouse, company: Company, clock: HandClock
) -> None:
    company.connect(FlaskDoor(house.app), PUBLIC_URL, clock)
    grandma = Caller(company, GRANDMA)
    grandma.dials().keeps_silent().says("交水费").presses("#").presses("3")
    (address,) = [
        item.url for item in grandma.heard() if isinstance(item, Sound) and "/own/" in item.url
    ]
    browser = house.app.test_client()

    def fetched(url: str) -> tuple[int, bytes]:
        answer = browser.get(url.removeprefix(PUBLIC_URL))
        assert answer.status_code == 404 or answer.headers["Cache-Control"] == "no-store"
        return answer.status_code, answer.data

    with house.runtime.db.reading() as session:
        assert session.scalars(select(Recording.fetch)).all() == [Fetch.WANTED]
    early = fetched(address)
    assert early[0] == 200
    house.books.works()
    assert company.deleted_recordings  # nobody but us has it now
    assert fetched(address) == early
    assert fetched(address.replace("/own/", "/own/x"))[0] == 404
    with house.runtime.db.reading() as session:
        heard = session.scalars(select(LedgerLine).where(LedgerLine.act == "play_back")).all()
    assert len(heard) >= 2
