"""What both telephone companies have in common: signed webhooks, post that comes late or twice, time.

A company is made before the service (whose settings need its address and secrets) and connected
to it afterwards:

    with Somleng(secret="…") as company:
        app = create_app(runtime)            # API base company.api_url, account, token, secret
        company.connect(FlaskDoor(app), "https://line.test", clock)
        grandma = company.caller("+8613812345678")
        grandma.dials()

Options: `repeats` sends every webhook twice (with the same idempotency token); `loses` and `holds`
name kinds of post ("recording", "status", "hangup action") that never come, or come only at
`delivers_held()`; `shuffles` is the seed of the order in which the post comes; `lenient` notes in
`complaints` what would otherwise be an error, and goes on as the real company would.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Protocol, Self
from urllib.parse import quote_plus, urlsplit

from caller import Called, Caller

from carriers.call import Call, Ending
from carriers.document import Dial, NotPortableError, Record, Verb, Words, read
from carriers.door import Answer, Door
from carriers.player import Player
from carriers.post import Letter, Post, PostOffice
from carriers.rest import RestServer
from carriers.sound import tone

OUR_NUMBER = "+8657982000000"
WITHHELD = "withheld"


class Clock(Protocol):
    """The clock of the house, which the calls move on."""

    def now(self) -> datetime: ...

    def advance(self, seconds: float) -> None: ...


class ServiceFailedError(AssertionError):
    """A webhook was answered with something that cuts the caller off."""


@dataclass(frozen=True)
class Recording:
    sid: str
    call: str
    seconds: int
    words: tuple[str, ...]
    sound: bytes


@dataclass
class ApiFault:
    """What the REST API does once instead of answering: a status, or `lost` (done, no answer)."""

    status: int = 0
    lost: bool = False


@dataclass
class Company:
    secret: str = "a company's signing secret"
    number: str = OUR_NUMBER
    repeats: bool = False
    loses: Collection[Post] = ()
    holds: Collection[Post] = ()
    shuffles: int | None = None
    lenient: bool = False
    missing_fetches: int = 0  # how often a new recording is not there yet (404)
    redirects_recordings: bool = False  # recordings live on another host, which wants no password

    kind: ClassVar = "generic"
    capabilities: ClassVar[frozenset[str]] = frozenset()
    signs_media: ClassVar = False
    ring_seconds: ClassVar = (
        60.0  # an unanswered call ends after this where nothing else was asked for
    )

    def __post_init__(self) -> None:
        self.account = self.new_sid("AC")
        self.token = uuid.uuid4().hex
        self.calls: dict[str, Call] = {}
        self.outgoing: list[Called] = []
        self.recordings: dict[str, Recording] = {}
        self.deleted_recordings: set[str] = set()
        self.api_faults: list[ApiFault] = []
        self.complaints: list[str] = []
        self.sent: list[tuple[str, str, dict[str, str]]] = []  # method, address, form
        self.slowest_answer_seconds = 0.0
        self.player = Player(self._fetch_sound, self.complains)
        self._post = PostOffice(self.repeats, self.loses, self.holds, self.shuffles)
        self._door: Door | None = None
        self._clock: Clock | None = None
        self.public_url = ""
        self._rest = RestServer(self)

    def __enter__(self) -> Self:
        self._rest.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._rest.stop()
        if kind is None and self.complaints and not self.lenient:
            raise AssertionError(f"{self.kind} complains: {self.complaints}")

    @property
    def api_url(self) -> str:
        """Base of the REST API; no slash at the end."""
        return self._rest.url

    def connect(self, door: Door, public_url: str, clock: Clock | None = None) -> None:
        self._door, self.public_url, self._clock = door, public_url.rstrip("/"), clock

    # People

    def caller(self, phone: str) -> Caller:
        """Somebody who can ring us; `WITHHELD` for a number that is not shown."""
        return Caller(self, phone)

    def rings_us(self, phone: str) -> Call:
        call = Call(self, self.new_sid("CA"), self.shown(phone), self.shown(self.number), "inbound")
        self.calls[call.sid] = call
        call.asked = {"StatusCallback": f"{self.public_url}/ivr/status"}
        call.start(f"{self.public_url}/ivr/ring")
        return call

    def leg(self, parent: Call, caller: str, called: str) -> Call:
        """The call to a volunteer that belongs to a caller's call."""
        sid = self.new_sid("CA")
        leg = Call(
            self, sid, self.shown(caller), self.shown(called), "outbound-dial", parent=parent
        )
        self.calls[sid] = leg
        return leg

    def places_call(self, asked: dict[str, str]) -> Call:
        """The REST API was asked to ring somebody."""
        call = Call(
            self,
            self.new_sid("CA"),
            asked["From"],
            asked["To"],
            "outbound-api",
            "queued",
            asked=asked,
        )
        self.calls[call.sid] = call
        self.outgoing.append(Called(self, call))
        return call

    # What each company does in its own way

    def new_sid(self, prefix: str) -> str:
        raise NotImplementedError

    def shown(self, phone: str) -> str:
        """How this company writes a number in a webhook."""
        raise NotImplementedError

    def form(self, call: Call) -> dict[str, str]:
        """Fields of every webhook about a call."""
        raise NotImplementedError

    def events(self, call: Call) -> list[str]:
        """Status events of a finished call, in the order in which they come."""
        raise NotImplementedError

    def recording_ends(self, call: Call, record: Record, ending: Ending, key: str) -> None:
        raise NotImplementedError

    def hung_up_while_dialling(self, call: Call, dial: Dial) -> None:
        raise NotImplementedError

    def unknown_verb(self, call: Call, name: str) -> None:
        raise NotImplementedError

    # Webhooks

    def fetch(self, call: Call, url: str, method: str, extra: dict[str, str]) -> tuple[Verb, ...]:
        """Asks the service how a call goes on; asks twice where webhooks repeat."""
        form, token = self.form(call) | extra, uuid.uuid4().hex
        answer = self._send(method, url, form, token)
        if self.repeats:
            again = self._send(method, url, form, token)
            if again.body != answer.body:
                self.complains(
                    f"asked twice, {url} answered differently: {answer.body!r} / {again.body!r}"
                )
            answer = again
        if answer.status != 200:
            return self._fallback(call, url, f"{answer.status} {answer.body[:300]!r}")
        document = read(answer.body, answer.content_type, self.capabilities, self.api_url)
        for fault in document.faults:
            self.complains(
                f"{url}: {fault}: {answer.body.decode(errors='replace')}", NotPortableError
            )
        return document.verbs

    def _fallback(self, call: Call, url: str, reason: str) -> tuple[Verb, ...]:
        self.complains(f"{url} answered {reason}", ServiceFailedError)
        form = self.form(call) | {"ErrorCode": "11200", "ErrorUrl": url}
        answer = self._send("POST", f"{self.public_url}/ivr/fallback", form, uuid.uuid4().hex)
        document = read(answer.body, answer.content_type, self.capabilities, self.api_url)
        if answer.status != 200 or document.faults:
            self.complains(
                f"the fallback failed: {answer.status} {document.faults}", ServiceFailedError
            )
            return (Words("We are sorry, an application error has occurred. Goodbye."),)
        return document.verbs

    def posts(self, kind: Post, url: str, form: dict[str, str], method: str = "POST") -> None:
        """Puts a webhook into the post; it goes out after the step that is being played."""
        self._post.takes(Letter(kind, url, form, uuid.uuid4().hex, method))

    def delivers(self) -> None:
        """The post that is due comes."""
        for letter in self._post.due(all(call.over for call in self.calls.values())):
            self._deliver(letter)

    def delivers_held(self) -> None:
        """What was held back comes now."""
        for letter in self._post.held():
            self._deliver(letter)

    def _deliver(self, letter: Letter) -> None:
        answer = self._send(letter.method, letter.url, letter.form, letter.token)
        if not 200 <= answer.status < 300:
            self.complains(f"{letter.url} answered {answer.status}", ServiceFailedError)

    def _send(self, method: str, url: str, form: dict[str, str], token: str) -> Answer:
        if self._door is None:
            raise RuntimeError("connect() the company to the service first")
        if method == "GET":
            url += ("&" if urlsplit(url).query else "?") + "&".join(
                f"{quote_plus(name)}={quote_plus(value)}" for name, value in form.items()
            )
            form = {}
        self.sent.append((method, url, form))
        headers = {"X-Twilio-Signature": self.signs(url, form)} | self.headers(token)
        answer = self._door.send(method, url, form, headers)
        self.slowest_answer_seconds = max(self.slowest_answer_seconds, answer.seconds)
        return answer

    def signs(self, url: str, form: dict[str, str]) -> str:
        """Base64(HMAC-SHA1(secret, url + sorted names and values))."""
        text = url + "".join(name + form[name] for name in sorted(form))
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha1).digest()
        return base64.b64encode(digest).decode()

    def headers(self, token: str) -> dict[str, str]:
        return {}

    # A call's life

    def dial_result(self, status: str, child: Call | None) -> dict[str, str]:
        """Fields of a Dial's action."""
        result = {"DialCallStatus": status}
        if child is not None:
            result |= {"DialCallSid": child.sid, "DialCallDuration": str(round(child.seconds))}
        return result

    def keeps_recording(self, call: Call, trailing_seconds: float) -> Recording:
        spoken, words, sounds = call.take_recording()
        sound = sounds[0] if len(sounds) == 1 else tone(spoken)
        whole = int(spoken + (trailing_seconds if spoken else 0))
        recording = Recording(self.new_sid("RE"), call.sid, whole, tuple(words), sound)
        self.recordings[recording.sid] = recording
        return recording

    def recording_url(self, recording: Recording) -> str:
        return f"{self.api_url}/2010-04-01/Accounts/{self.account}/Recordings/{recording.sid}"

    def recording_form(self, call: Call, recording: Recording) -> dict[str, str]:
        """Fields of the recording's own status callback."""
        return {
            "AccountSid": self.account,
            "CallSid": call.sid,
            "RecordingSid": recording.sid,
            "RecordingUrl": self.recording_url(recording),
            "RecordingStatus": "completed",
            "RecordingDuration": str(recording.seconds),
            "RecordingChannels": "1",
            "RecordingSource": "RecordVerb",
        }

    def call_ended(self, call: Call) -> None:
        if call.parent is not None:
            return
        for event in self.events(call):
            form = self.form(call) | self.status_form(call, event)
            method = call.asked.get("StatusCallbackMethod", "POST")
            self.posts("status", call.asked.get("StatusCallback", ""), form, method)

    def status_form(self, call: Call, status: str) -> dict[str, str]:
        form = {"CallStatus": status}
        if status == "completed":
            form["CallDuration"] = str(round(call.seconds))
        return form

    # Sound and time

    def _fetch_sound(self, url: str) -> Answer:
        if self._door is None:
            raise RuntimeError("connect() the company to the service first")
        if url.startswith(f"{self.api_url}/"):
            sid = url.rsplit("/", 1)[1].removesuffix(".wav")
            mine = None if sid in self.deleted_recordings else self.recordings.get(sid)
            return Answer(200, "audio/wav", mine.sound, 0) if mine else Answer(404, "", b"", 0)
        signed = {"X-Twilio-Signature": self.signs(url, {})} if self.signs_media else {}
        return self._door.send("GET", url, {}, signed)

    def passes(self, seconds: float) -> None:
        if self._clock is not None and seconds > 0:
            self._clock.advance(seconds)

    def now(self) -> datetime:
        return self._clock.now() if self._clock is not None else datetime.now(UTC)

    def complains(self, what: str, error: type[AssertionError] = AssertionError) -> None:
        self.complaints.append(what)
        if not self.lenient:
            raise error(f"{self.kind}: {what}")
