"""The figures: the roll-up is the scan, the scan is a plain recount, and behind each number stand
as many requests or calls as it says. Whatever happens, and however late."""

from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import ON_BOTH
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recount import recount
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI
from hotline.db import Database
from hotline.schema import metadata
from ivr.models import Call
from tickets import counting, listings, spot_checks
from tickets.counting import Period
from tickets.figures import FIGURES, behind
from tickets.lifecycle import Act, State
from tickets.listings import REASONS
from tickets.models import (
    Duty,
    Event,
    Fetch,
    Kind,
    Promise,
    Recording,
    ReturnTry,
    Shift,
    Source,
    Ticket,
    Volunteer,
)
from tickets.outings import Journey, JourneyTicket, Went
from tickets.returns import Outcome
from tickets.rounds import Deed, TicketRound
from tickets.trips import Reason

FIRST = datetime(2026, 10, 1, tzinfo=SHANGHAI)
DAYS = 12
NOW = FIRST + timedelta(days=DAYS, hours=10)
SPAN = Period(FIRST.date(), NOW.date() + timedelta(days=1))


class Neighbourhood:
    """Things that happen, straight into the tables: also late, also impossible ones."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, row: Any) -> Any:
        self.session.add(row)
        self.session.flush()
        return row

    def any(self, kind: Any, number: int) -> Any:
        """One of those there are."""
        rows = self.session.scalars(select(kind).order_by(*kind.__table__.primary_key)).all()
        return rows[number % len(rows)] if rows else None

    def call(self, at: datetime, number: int) -> None:
        self.add(
            Call(
                carrier_sid=f"CA{self.many(Call)}", flow="return" if number % 7 == 6 else "inbound",
                started_at=at, caller_kind="known", taken_by=1 if number % 3 == 0 else None,
                answered_at=at + timedelta(seconds=number % 20) if number % 5 else None,
                ended_at=at + timedelta(minutes=number % 9) if number % 4 else None, test=number % 11 == 10,
            )
        )  # fmt: skip

    def request(self, at: datetime, number: int) -> None:
        call = self.any(Call, number) if number % 2 else None
        if call is not None and self.session.scalar(select(Ticket.id).where(Ticket.call_id == call.id)):  # fmt: skip
            call = None
        ticket = self.add(
            Ticket(
                day=at.date(), sequence=self.many(Ticket) + 1, kind=Kind.RING_BACK if number % 4 == 3 else Kind.ERRAND,
                source=Source.MESSAGE, opened_at=at, contact_by=at + timedelta(minutes=37 * (number % 90)),
                accept_by=at, done_by=at + timedelta(hours=number % 90) if number % 6 else None,
                state=list(State)[number % len(State)], call_id=call.id if call else None, test=number % 13 == 12,
            )
        )  # fmt: skip
        self.add(TicketRound(ticket_id=ticket.id, number=1, began_at=at))

    def contact(self, at: datetime, number: int) -> None:
        if ticket := self.any(Ticket, number):
            ticket.contacted_at = at

    def change(self, at: datetime, number: int) -> None:
        if ticket := self.any(Ticket, number):
            ticket.state = list(State)[number % len(State)]
            ticket.kind = Kind.ERRAND if number % 5 else Kind.RING_BACK
            ticket.test = number % 17 == 16
            ticket.resident_trips = number % 3 if number % 2 else None

    def finish(self, at: datetime, number: int) -> None:
        if ticket := self.any(Ticket, number):
            ticket.done_at = at
            ticket.done_by = at + timedelta(hours=number % 48 - 24)
            self.session.execute(
                update(TicketRound).where(TicketRound.ticket_id == ticket.id).values(done_at=at)
            )

    def reopen(self, at: datetime, number: int) -> None:
        if ticket := self.any(Ticket, number):
            ticket.done_at = None
            again = select(TicketRound).where(TicketRound.ticket_id == ticket.id, TicketRound.number == 2)  # fmt: skip
            if self.session.scalar(again) is None:
                self.add(TicketRound(ticket_id=ticket.id, number=2, began_at=at))

    def goes_out(self, at: datetime, number: int) -> None:
        if ticket := self.any(Ticket, number):
            reason = list(Reason)[number % 6] if number % 2 else None
            went = Went.RESIDENT if number % 3 else Went.VOLUNTEER
            journey = self.add(
                Journey(at=at, went=went, place="窗口", settled=not reason, written_by="volunteer:1", written_at=at, reason=reason)
            )  # fmt: skip
            for served in {ticket.id, self.any(Ticket, number // 3).id}:
                self.add(JourneyTicket(journey_id=journey.id, ticket_id=served))

    def takes_back_outing(self, at: datetime, number: int) -> None:
        if journey := self.any(Journey, number):
            journey.withdrawn_at = at if number % 2 else None
            journey.reason = None if number % 5 == 0 else journey.reason

    def unlinks_outing(self, at: datetime, number: int) -> None:
        if link := self.any(JourneyTicket, number):
            self.session.delete(link)

    def passes_on(self, at: datetime, number: int) -> None:
        if ticket := self.any(Ticket, number):
            undone = at if number % 4 == 0 else None
            self.add(Deed(ticket_id=ticket.id, act=Act.PASS_ON, at=at, person="volunteer:1", was={}, undone_at=undone))  # fmt: skip

    def message(self, at: datetime, number: int) -> None:
        if call := self.any(Call, number):
            fetch = Fetch.FAILED if number % 3 == 0 else Fetch.STORED
            self.add(Recording(carrier_id=f"RE{self.many(Recording)}", url="", made_at=at, call_id=call.id, fetch=fetch, superseded=number % 5 == 0))  # fmt: skip

    def loses_message(self, at: datetime, number: int) -> None:
        self.session.execute(update(Recording).where(Recording.id % 3 == number % 3).values(fetch=Fetch.FAILED))  # fmt: skip

    def rings_back(self, at: datetime, number: int) -> None:
        if ticket := self.any(Ticket, number):
            promise = self.add(
                Promise(duty=Duty.RETURN_CALL, made_at=at, due_at=at, ticket_id=ticket.id, event=Event.MATERIALS if number % 7 == 0 else Event.DONE)
            )  # fmt: skip
            outcome = list(Outcome)[number % 5] if number % 2 else Outcome.HEARD
            self.add(ReturnTry(promise_id=promise.id, token=f"t{self.many(ReturnTry)}", phone="+8613800000000", placed_at=at, outcome=outcome, ended_at=at, satisfaction=number % 4 or None))  # fmt: skip

    def rates(self, at: datetime, number: int) -> None:
        if attempt := self.any(ReturnTry, number):
            attempt.satisfaction, attempt.ended_at = number // 3 % 4 or None, at

    def duty(self, at: datetime, number: int) -> None:
        self.add(Shift(starts_at=at, ends_at=at + timedelta(minutes=30 + number % 600), volunteer_id=1))  # fmt: skip

    def changes_duty(self, at: datetime, number: int) -> None:
        if shift := self.any(Shift, number):
            if number % 2:
                self.session.delete(shift)
            else:
                shift.starts_at, shift.ends_at = at, at + timedelta(hours=3)

    def call_ends(self, at: datetime, number: int) -> None:
        if call := self.any(Call, number):
            call.ended_at, call.taken_by = at, number % 2 or None

    def counts(self, at: datetime, number: int) -> None:
        """The night's round: what is past is counted and kept."""
        counting.count_past_days(self.session, NOW)

    def many(self, kind: Any) -> int:
        return self.session.scalar(select(func.count()).select_from(kind)) or 0


DEEDS = [name for name in vars(Neighbourhood) if name not in {"add", "any", "many"} and not name.startswith("_")]  # fmt: skip
CHANGING = set(DEEDS) - {"counts"}
ROUNDS = 12
HAPPENS = st.tuples(st.sampled_from(DEEDS), st.integers(0, DAYS * 24 * 60), st.integers(0, 10_000))


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A neighbourhood in which much has happened and every past day is counted, to copy."""
    path = tmp_path_factory.mktemp("figures") / "lived-in.db"
    db = Database(f"sqlite:///{path}", synchronous="NORMAL")
    metadata.create_all(db.engine)
    with db.writing() as session:
        session.add(Volunteer(name="王秀兰"))
        live(Neighbourhood(session))
        counting.count_past_days(session, NOW)
    with db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


def live(people: "Neighbourhood") -> None:
    for number in range(ROUNDS):
        for turn, deed in enumerate(DEEDS):
            minutes = (number * 7919 + turn * 104_729) % (DAYS * 24 * 60)
            getattr(people, deed)(FIRST + timedelta(minutes=minutes), number * 31 + turn)
    people.session.execute(  # most requests are of the usual kind
        update(Ticket).where(Ticket.id % 4 != 0).values(kind=Kind.ERRAND, state=State.DONE, test=False)
    )  # fmt: skip


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(history=st.lists(HAPPENS, min_size=1, max_size=15))
def test_whatever_happens_late_the_roll_up_is_the_scan_and_the_scan_is_a_recount(
    lived_in: Path, history: list[tuple[str, int, int]]
) -> None:
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "house.db"
        copy.write_bytes(lived_in.read_bytes())
        db = Database(f"sqlite:///{copy}", synchronous="NORMAL")
        with db.writing() as session:
            people = Neighbourhood(session)
            for deed, minutes, number in history:
                getattr(people, deed)(FIRST + timedelta(minutes=minutes), number)
            agree(session)
        db.close()


def test_each_kind_of_late_change_is_noticed(lived_in: Path, tmp_path: Path) -> None:
    copy = tmp_path / "house.db"
    copy.write_bytes(lived_in.read_bytes())
    db = Database(f"sqlite:///{copy}", synchronous="NORMAL")
    with db.writing() as session:
        people, changed = Neighbourhood(session), set()
        for number in range(14):
            if changed == CHANGING:
                break
            for turn, deed in enumerate(DEEDS):
                counting.count_past_days(session, NOW)
                before = counting.total(session, SPAN, NOW)
                minutes = (number * 104_729 + turn * 7919) % (DAYS * 24 * 60)
                getattr(people, deed)(FIRST + timedelta(minutes=minutes), number * 13 + turn)
                session.flush()
                after = counting.scan(session, SPAN.start, SPAN.end, NOW)
                assert counting.total(session, SPAN, NOW) == after, deed
                if after != before:
                    changed.add(deed)
    db.close()
    assert changed == CHANGING  # each of them did change a figure


def test_what_was_training_is_taken_back_out_of_everything(lived_in: Path, tmp_path: Path) -> None:
    """A real week that turns out to have been training leaves no number, no row and no check behind."""
    copy = tmp_path / "house.db"
    copy.write_bytes(lived_in.read_bytes())
    db = Database(f"sqlite:///{copy}", synchronous="NORMAL")
    with db.writing() as session:
        for kind in (Ticket, Call):
            assert session.scalars(select(kind).where(kind.test.is_(False)).limit(1)).first()
            session.execute(update(kind).values(test=True))
        counting.count_past_days(session, NOW)
        agree(session)
        report = counting.report(session, SPAN, NOW)
        assert {(value.k, value.n) for value in report.values} == {(0, 0)}
        assert not report.reasons
        rows = exported(session)
        assert {name for name, of_sheet in rows.items() if of_sheet} <= {"duty", "ledger"}
        assert spot_checks.suspects(session, Period.month(2026, 10), 1, NOW) == {}
    db.close()


@ON_BOTH
def test_the_same_on_both_databases(database_url: str, tmp_path: Path) -> None:
    url = database_url or f"sqlite:///{tmp_path / 'hotline.db'}"
    db = Database(url)
    metadata.create_all(db.engine)
    with db.writing() as session:
        session.add(Volunteer(name="王秀兰"))
        live(Neighbourhood(session))
        agree(session)
    with db.writing() as session:  # a day that was counted is counted again, and only that one
        assert counting.count_past_days(session, NOW) > 0
        assert counting.count_past_days(session, NOW) == 0
        of_request = select(Ticket.call_id).where(Ticket.call_id.is_not(None))
        call = session.scalars(
            select(Call).where(Call.flow == "inbound", Call.id.not_in(of_request)).limit(1)
        ).one()
        call.taken_by = 1 if call.taken_by is None else None
        session.flush()
        assert counting.count_past_days(session, NOW) == 1
        agree(session)
    db.close()


def agree(session: Session, now: datetime = NOW) -> None:
    """Roll-up and scan, scan and recount, number and drill-down."""
    session.flush()
    rolled = counting.total(session, SPAN, now)
    assert rolled == counting.scan(session, SPAN.start, SPAN.end, now)
    report = counting.report(session, SPAN, now)
    counted = recount(exported(session), naive(SPAN.start), naive(SPAN.end), naive(now))
    for value in report.values:
        assert (value.k, value.n) == counted[value.figure.key], value.figure.key
        for number, k_only in ((value.n, False), (value.k, True)):
            asked = behind(value.figure, SPAN.start, SPAN.end, now, counted=k_only)
            assert len(session.execute(asked).all()) == number, (value.figure.key, k_only)
    trips, done = counted["trips"]
    assert report.trips_a_ticket == (trips / done if done else None)
    assert {REASONS[reason]: many for reason, many in report.reasons} == counted["reasons"]
    assert (report.median_minutes, report.p90_minutes) == (counted["median"], counted["p90"])


def exported(session: Session) -> dict[str, list[dict[str, Any]]]:
    always = (FIRST - timedelta(days=400), FIRST + timedelta(days=400))
    return {
        sheet.key: [
            dict(zip(sheet.headings, row, strict=True)) for row in sheet.rows(session, *always)
        ]
        for sheet in listings.SHEETS
    }


def naive(instant: datetime) -> datetime:
    return instant.astimezone(SHANGHAI).replace(tzinfo=None)


def test_few_are_no_percentage() -> None:
    assert counting.percent(9, 9) is None
    assert counting.percent(9, 10) == 90.0


def test_every_figure_says_how_it_is_counted() -> None:
    for figure in FIGURES:
        assert "÷" in figure.how
        assert figure.how.endswith("。")


@pytest.mark.parametrize(
    ("period", "before"),
    [
        (Period.month(2026, 10), Period.month(2026, 9)),
        (Period.month(2026, 1), Period.month(2025, 12)),
        (Period.year(2026), Period.year(2025)),
        (Period(date(2026, 10, 1), date(2027, 1, 1)), Period(date(2026, 7, 1), date(2026, 10, 1))),
        (Period(date(2026, 10, 5), date(2026, 10, 12)), Period(date(2026, 9, 28), date(2026, 10, 5))),
        (Period(date(2026, 10, 1), date(2026, 10, 2)), Period(date(2026, 9, 30), date(2026, 10, 1))),
    ],
)  # fmt: skip
def test_the_period_before(period: Period, before: Period) -> None:
    assert period.before == before
