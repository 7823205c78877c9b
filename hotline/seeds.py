"""The people and errands of a demonstration. Everybody is invented, and so is every number."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

import asr
from hotline.config import read_hours
from hotline.runtime import Runtime
from hotline.web.pins import set_pin
from tickets import house_rules, ledger, promises, rotation, service
from tickets import matters as catalogue
from tickets.coverage import DutyHours
from tickets.lifecycle import Act
from tickets.models import (
    Dialect,
    Duty,
    Fetch,
    Kind,
    Promise,
    PromiseState,
    Recording,
    Resident,
    ResidentPhone,
    Role,
    Source,
    Ticket,
    Volunteer,
)
from tickets.roster import on_duty

ROUND_THE_CLOCK = ("00:00-08:00", "08:00-16:00", "16:00-24:00")
DAYS_BACK, DAYS_AHEAD = 3, 7  # past requests need somebody who had duty then
PIN_DIGITS = 6
SAMPLES = Path(next(iter(asr.__path__))) / "model" / "samples"

PEOPLE = (
    ("王秀兰", Role.VOLUNTEER, "+8657988880201"),
    ("周建国", Role.VOLUNTEER, "+8657988880202"),
    ("吴美华", Role.VOLUNTEER, "+8657988880203"),
    ("郑国强", Role.LEAD, "+8657988880204"),
    ("居委会小陈", Role.COMMITTEE, None),
    ("管理员", Role.ADMIN, None),
)  # fmt: skip

# Name, building, unit, room, numbers. A couple shares one; one has two. Two live where a sample says.
RESIDENTS = (
    ("李桂芳", "3", "1", "302", ("+8657988880101",)),
    ("张德明", "3", "1", "302", ("+8657988880101",)),
    ("陈阿珍", "7", "2", "101", ("+8657988880102", "+8613800000002")),
    ("徐根土", "1", "3", "501", ("+8657988880103",)),
    ("何彩凤", "9", "1", "201", ("+8613800000004",)),
    ("金水根", "7", "1", "402", ("+8657988880105",)),
    ("方玉仙", "5", "2", "301", ("+8613800000006",)),
    ("王小妹", "3", "2", "501", ("+8657988880107",)),
)  # fmt: skip
SPEAK_JINHUA, HEAR_SLOWLY = {"徐根土"}, {"何彩凤"}


@dataclass(frozen=True, slots=True)
class Past:
    """One request of the last days: hours ago, who rang, what was said, and what came of it."""

    hours_ago: float
    phone: str
    words: str
    sample: str = ""  # a recording of the project's own samples; else it was told at the desk
    acts: tuple[tuple[float, Act], ...] = ()  # hours ago, in order
    missing: str = ""

    @property
    def ended(self) -> bool:
        """What has ended counts as real life, so that figures show something; what is open is met by
        whoever rings in the demonstration, and so is a test as all that is rung there."""
        return bool(self.acts) and self.acts[-1][1] in {Act.FINISH, Act.CONFIRM, Act.WITHDRAW}


PAST = (
    Past(50, "+8657988880103", "水管漏水，请人来修", "leaking-pipe.wav", ((49.8, Act.ACCEPT), (47, Act.FINISH), (46, Act.CONFIRM))),
    Past(30, "+8613800000006", "替她去取一个快递", "", ((29.5, Act.ACCEPT), (27, Act.FINISH))),
    Past(26, "+8657988880105", "化粪池满了", "septic-tank.wav", ((25.5, Act.ACCEPT),)),
    Past(24, "+8613800000004", "问看病的钱怎么报销", "reimbursement.wav", ((23.6, Act.ACCEPT), (23, Act.ASK_MATERIALS)), "医保卡、发票"),
    Past(5, "+8613800000004", "说打错了", "", ((4.8, Act.WITHDRAW),)),
    Past(0.7, "+8657988880107", "想办老年优待证", "elder-card.wav"),
    Past(0.3, "+8613800000006", "明天上午送去中医院拿药", "ride.wav"),
)  # fmt: skip


def people(runtime: Runtime) -> dict[str, str]:
    """Everybody who signs in; returns their PINs by name and role, new ones each time."""
    pins: dict[str, str] = {}
    given: list[tuple[Volunteer, str]] = []
    with runtime.db.writing() as session:
        for name, role, phone in PEOPLE:
            pin = "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS))
            person = Volunteer(name=name, role=role, phone=phone)
            session.add(person)
            given.append((person, pin))
            pins[f"{name}（{ROLES[role]}）"] = pin
        with ThreadPoolExecutor() as pool:  # hashing is made to be slow
            list(pool.map(lambda each: set_pin(*each, demo=True), given))
    return pins


ROLES = {
    Role.VOLUNTEER: "志愿者", Role.LEAD: "值班组长",
    Role.COMMITTEE: "居委会", Role.ADMIN: "管理员",
}  # fmt: skip


def rules(runtime: Runtime) -> None:
    """Somebody is there at every hour, and may be rung at every hour."""
    asked = dict.fromkeys(("return_hours", "return_hours_rest"), "00:00-24:00")
    asked |= {"shift_hours": ",".join(ROUND_THE_CLOCK), "return_calls_a_day": "5"}
    with runtime.db.writing() as session:
        house_rules.change(session, runtime.settings, asked, 0, ledger.SYSTEM, runtime.clock())
    runtime.rules.look(now=True)


def residents(runtime: Runtime) -> None:
    with runtime.db.writing() as session:
        for name, building, unit, room, phones in RESIDENTS:
            session.add(
                Resident(
                    name=name,
                    building=building,
                    unit=unit,
                    room=room,
                    test=True,
                    dialect=Dialect.JINHUA if name in SPEAK_JINHUA else Dialect.MANDARIN,
                    slow=name in HEAR_SLOWLY,
                    phones=[ResidentPhone(phone=phone) for phone in phones],
                )
            )


def roster(runtime: Runtime) -> None:
    """Somebody on duty at every hour, from some days ago to a week ahead; missing shifts only."""
    first = runtime.clock().date() - timedelta(days=DAYS_BACK)
    with runtime.db.writing() as session:
        fill_roster(session, first, DAYS_BACK + DAYS_AHEAD + 1)


def fill_roster(session: Session, first: date, days: int) -> None:
    """Somebody at every hour of these days."""
    hours = [read_hours(each) for each in ROUND_THE_CLOCK]
    rotation.fill(session, DutyHours(hours, hours), first, days)


def matters(runtime: Runtime) -> None:
    """The catalogue, as every new house begins with it; somebody has looked up what is known of it."""
    now = runtime.clock()
    with runtime.db.writing() as session:
        catalogue.seed(session, now)
        for matter in catalogue.active(session):
            if matter.materials:
                catalogue.check(session, matter, ledger.SYSTEM, now, seen=matter.version)


def on_duty_now(runtime: Runtime) -> str:
    with runtime.db.reading() as session:
        shift = on_duty(session, runtime.clock())
        return shift.volunteer.name if shift else "没有人"


def past_requests(runtime: Runtime) -> None:
    """What happened in the last days, through the same doors as ever, in the order it happened."""
    now = runtime.clock()
    with runtime.db.writing() as session:
        for _, step in sorted(_steps(runtime, session, now), key=lambda step: step[0]):
            step()


Step = tuple[datetime, Callable[[], None]]


def _steps(runtime: Runtime, session: Session, now: datetime) -> Iterator[Step]:
    made: dict[Past, Ticket] = {}
    for past in PAST:
        opened_at = now - timedelta(hours=past.hours_ago)

        def begin(past: Past = past, at: datetime = opened_at) -> None:
            made[past] = _open(runtime, session, past, at)

        yield opened_at, begin
        for hours_ago, act in past.acts:
            at = now - timedelta(hours=hours_ago)

            def go_on(past: Past = past, act: Act = act, at: datetime = at) -> None:
                _act(session, made[past], act, at, past)

            yield at, go_on


def _open(runtime: Runtime, session: Session, past: Past, at: datetime) -> Ticket:
    spoken = past.sample and (SAMPLES / past.sample).is_file()
    ticket = service.open_ticket(
        session, runtime.settings, at,
        kind=Kind.ERRAND, source=Source.MESSAGE if spoken else Source.DESK,
        phone=past.phone, by=ledger.CALLER if spoken else ledger.SYSTEM, test=not past.ended,
    )  # fmt: skip
    if spoken:
        recording = attach(runtime, session, ticket, past.sample, at)
        # The demonstration's own ear writes it down, like everything that is said here.
        promises.make(session, Duty.TRANSCRIBE, at, recording_id=recording.id, ticket_id=ticket.id)
    else:
        ticket.note = past.words
    return ticket


def attach(
    runtime: Runtime,
    session: Session,
    ticket: Ticket,
    sample: str,
    at: datetime,
    *,
    call_id: int | None = None,
) -> Recording:
    """The caller's recording, as it would lie there after fetching."""
    stored = runtime.store.put(
        [(SAMPLES / sample).read_bytes()], ".wav", owner=secrets.token_hex(8)
    )
    recording = Recording(
        carrier_id=f"RE{secrets.token_hex(16)}", url="", made_at=at, ticket_id=ticket.id, call_id=call_id,
        fetch=Fetch.STORED, key=stored.key, media_type="audio/wav",
        sha256=stored.sha256, size_bytes=stored.size_bytes,
    )  # fmt: skip
    session.add(recording)
    session.flush()
    return recording


def _act(session: Session, ticket: Ticket, act: Act, at: datetime, past: Past) -> None:
    by = ledger.SYSTEM if act is Act.CONFIRM else ledger.volunteer(ticket.assignee_id or 0)
    service.act(session, ticket, act, by, at, missing=past.missing)
    if act is Act.ACCEPT:
        ticket.contacted_at = at
    told_at = at + timedelta(minutes=20)
    owed = select(Promise).where(
        Promise.ticket_id == ticket.id, Promise.duty == Duty.RETURN_CALL, Promise.state == PromiseState.OPEN
    )  # fmt: skip
    if act in {Act.FINISH, Act.ASK_MATERIALS}:
        for promise in session.scalars(owed):
            promises.settle(promise, PromiseState.KEPT, f"{told_at:%H:%M} 已听完并按1", told_at)
