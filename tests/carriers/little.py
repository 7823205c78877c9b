"""Little services written by hand, against which the companies themselves are tried."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from flask import Flask, Response, request
from twilio.request_validator import RequestValidator

from carriers.company import Company
from carriers.door import FlaskDoor
from carriers.sound import tone
from carriers.twilio import Twilio

PUBLIC = "https://line.test"
GATHER = (
    f'<Gather action="{PUBLIC}/key" method="POST" numDigits="1" timeout="8" finishOnKey="">'
    "<Say>请按1。</Say></Gather>"
    f'<Redirect method="POST">{PUBLIC}/silent</Redirect>'
)
RECORD = (
    f"<Play>{PUBLIC}/beep.wav</Play>"
    f'<Record action="{PUBLIC}/recorded" method="POST" maxLength="180" timeout="8"'
    ' finishOnKey="1234567890" playBeep="false" trim="do-not-trim"'
    f' recordingStatusCallback="{PUBLIC}/recording"/>'
    f'<Redirect method="POST">{PUBLIC}/empty</Redirect>'
)
DIAL = f'<Dial action="{PUBLIC}/dialled" timeout="25" callerId="+8657982000000"><Number>+8613900000001</Number></Dial>'
WHISPER = DIAL.replace("<Number>", f'<Number url="{PUBLIC}/whisper">')
BYE = "<Say>再见。</Say><Hangup/>"


class Clock:
    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def set(self, instant: datetime) -> None:
        self.instant = instant

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


class LittleService:
    """Answers each path with a document and keeps what was posted to it."""

    def __init__(self, documents: dict[str, str], secret: str) -> None:
        self.documents = {"/ivr/ring": GATHER} | documents
        self.posted: list[tuple[str, dict[str, str]]] = []
        self.forged: list[str] = []
        self.app = Flask(__name__)
        validator = RequestValidator(secret)

        @self.app.route("/<path:path>", methods=["GET", "POST"])
        def answer(path: str) -> Response:
            signed = request.headers.get("X-Twilio-Signature", "")
            if not validator.validate(request.url, request.form, signed) and path != "beep.wav":
                self.forged.append(path)
            if path == "beep.wav":
                return Response(tone(0.5, 600), content_type="audio/wav")
            self.posted.append((f"/{path}", request.form.to_dict()))
            body = self.documents.get(f"/{path}", "")
            return Response(f"<Response>{body}</Response>", content_type="text/xml; charset=utf-8")

    def paths(self) -> list[str]:
        return [path for path, _ in self.posted]

    def last(self, path: str) -> dict[str, str]:
        return next(form for at, form in reversed(self.posted) if at == path)


Opens = Callable[..., tuple[Company, LittleService]]


@contextmanager
def opening() -> Iterator[Opens]:
    """Opens companies of a kind, with options, each in front of a little service."""
    companies: list[Company] = []

    def opens(
        kind: type[Company] = Twilio, documents: dict[str, str] | None = None, **options: object
    ) -> tuple[Company, LittleService]:
        company = kind(**options)  # type: ignore[arg-type]
        company.__enter__()
        companies.append(company)
        service = LittleService(documents or {}, company.secret)
        company.connect(FlaskDoor(service.app), PUBLIC, Clock())
        return company, service

    try:
        yield opens
    finally:
        for company in companies:
            company.complaints.clear()
            company.__exit__(None)
