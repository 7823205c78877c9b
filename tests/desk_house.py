"""A house with people, seen through its pages: `grandpa_wang.signs_in()`, `desk.opens("/")`."""

import html
import io
import math
import re
import struct
import wave
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import pyotp
from conftest import DeafBell, HandClock, settings_for
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from asr.transcript import Outcome
from asr.transcript import Transcript as Heard
from hotline.app import create_app
from hotline.runtime import Runtime, build
from hotline.schema import metadata
from hotline.web.auth import DEVICE_COOKIE
from hotline.web.pins import set_pin
from tickets import devices, ledger, matters, service, understanding
from tickets.models import (
    Fetch,
    Kind,
    LedgerLine,
    Recording,
    Resident,
    ResidentPhone,
    Role,
    Shift,
    Source,
    Ticket,
    Transcript,
    Volunteer,
)
from worker import listening

PIN = "204816"
SECOND = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # the administrator's second factor
LI = "+8613812341234"
PEOPLE = {"王秀兰": Role.VOLUNTEER, "陈国强": Role.VOLUNTEER, "吴队长": Role.LEAD, "李主任": Role.COMMITTEE, "管理员": Role.ADMIN}  # fmt: skip
BASE = "https://line.test"


def tone(seconds: float = 2, rate_hz: int = 8000) -> bytes:
    """A wav of a steady tone."""
    file = io.BytesIO()
    samples = [int(8000 * math.sin(i / 5)) for i in range(int(seconds * rate_hz))]
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


@dataclass
class Visit:
    """One person at one browser."""

    client: FlaskClient
    page: Any = None
    house: "DeskHouse | None" = None

    def opens(self, path: str, **more: Any) -> "Visit":
        self.page = self.client.get(path, base_url=BASE, follow_redirects=True, **more)
        return self

    def posts(self, path: str, token: bool = True, **form: Any) -> "Visit":
        """Send a form with the token that a page of this session holds."""
        if token:
            form["csrf_token"] = self.token()
        self.page = self.client.post(path, data=form, base_url=BASE, follow_redirects=True)
        return self

    def token(self) -> str:
        page = self.client.get("/door", base_url=BASE, follow_redirects=True).text
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found
        return found[1]

    def signs_in(self, name: str, pin: str = PIN, **more: Any) -> "Visit":
        assert self.house
        self.posts("/door", who=str(self.house.people[name]), pin=pin, **more)
        if self.page.request.path == "/door/code":
            self.posts("/door/code", code=self.house.code(name))
        return self

    @property
    def text(self) -> str:
        """The page as it is read: no tags, no repeated blanks."""
        inner = re.sub(r"(?s)<head>.*?</head>|<[^>]+>", " ", self.page.text)
        return re.sub(r"\s+", " ", html.unescape(inner)).strip()

    @property
    def status(self) -> int:
        return int(self.page.status_code)


@dataclass
class DeskHouse:
    """The house and its people; 王秀兰 is on duty all day."""

    runtime: Runtime
    app: Flask
    clock: HandClock
    people: dict[str, int] = field(default_factory=dict)
    device: str = ""  # what an enrolled device remembers

    def code(self, name: str) -> str:
        """The six digits on a person's telephone now; it is as if half a minute had passed since the last."""
        with self.runtime.db.writing() as session:
            session.get_one(Volunteer, self.people[name]).totp_step = 0
        return pyotp.TOTP(SECOND).at(self.clock.now())

    def visit(self, name: str | None = None) -> Visit:
        """A browser; signed in where a name is given."""
        visit = Visit(self.app.test_client(), house=self)
        if self.device:
            visit.client.set_cookie(DEVICE_COOKIE, self.device, domain="line.test", secure=True)
        return visit.signs_in(name) if name else visit

    def request(self, *, text: str = "我要交水费", trusted: bool = True, **more: Any) -> int:
        """A request with its recording and what the machine heard; returns its id."""
        now = self.clock.now()
        stored = self.runtime.store.put([tone()], ".wav")
        given = {"kind": Kind.ERRAND, "source": Source.MESSAGE, "phone": LI, **more}
        with self.runtime.db.writing() as session:
            ticket = service.open_ticket(
                session, self.runtime.settings, now, by=ledger.CALLER, **given
            )
            if given["kind"] is Kind.ERRAND:
                recording = Recording(
                    carrier_id=f"RE{ticket.id}", url="https://x.test/RE", made_at=now, turn=1,
                    ticket_id=ticket.id, key=stored.key, media_type="audio/wav", fetch=Fetch.STORED,
                )  # fmt: skip
                session.add(recording)
                session.flush()
                session.add(
                    Transcript(recording_id=recording.id, outcome="heard", text=text, trusted=trusted, made_at=now, model="demo-cn")
                )  # fmt: skip
                heard = Heard(Outcome.HEARD, text=text, trusted=trusted)
                suggestion = listening.understand(
                    heard, listening.catalogue(session), self.runtime.settings, recording.id, now
                )
                understanding.keep(session, self.runtime.settings, suggestion, ticket, now)
            return ticket.id

    def ticket(self, ticket_id: int) -> Ticket:
        with self.runtime.db.reading() as session:
            return session.get_one(Ticket, ticket_id)

    def ledger(self, act: str) -> list[LedgerLine]:
        with self.runtime.db.reading() as session:
            asked = select(LedgerLine).where(LedgerLine.act == act).order_by(LedgerLine.sequence)
            return list(session.scalars(asked))


@cache
def _pin_hash() -> str:
    """One PIN for all of them: hashing is slow on purpose."""
    person = Volunteer(name="x")
    set_pin(person, PIN)
    assert person.pin_hash
    return person.pin_hash


def open_desk(folder: Any, clock: HandClock, **given: Any) -> DeskHouse:
    runtime = build(settings_for(folder, **given), clock.now, DeafBell())
    metadata.create_all(runtime.db.engine)
    people = {name: Volunteer(name=name, role=role) for name, role in PEOPLE.items()}
    with runtime.db.writing() as session:
        matters.seed(session, clock.now())
        for person in people.values():
            person.pin_hash = _pin_hash()
            person.totp_secret = SECOND if person.role is Role.ADMIN else None
        session.add_all(people.values())
        session.flush()
        day = clock.now().replace(hour=0, minute=0)
        session.add(
            Shift(starts_at=day, ends_at=day + timedelta(days=1), volunteer_id=people["王秀兰"].id)
        )
        session.add(
            Resident(name="李桂芳", building="3", unit="2", room="501", test=True, phones=[ResidentPhone(phone=LI)])
        )  # fmt: skip
        ids = {name: person.id for name, person in people.items()}
        code = devices.offer(session, ledger.SYSTEM, clock.now())
        device = devices.enrol(session, code, "值班室电脑", clock.now()) or ""
    return DeskHouse(runtime, create_app(runtime), clock, ids, device)
