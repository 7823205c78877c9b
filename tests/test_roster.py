"""The roster as it lives: absences, swaps, hand-overs, holes that are announced, shares, feeds."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier

import icalendar
import pytest
from conftest import ON_BOTH, DeafBell, HandClock, settings_for
from duty_house import DutyHouse, at
from sqlalchemy import select

from hotline.app import create_app
from hotline.clock import SHANGHAI
from hotline.runtime import build
from hotline.schema import metadata
from tickets import (
    fairness,
    feed,
    handover,
    ledger,
    noticeboard,
    roster,
    rotation,
    service,
    shifts,
    swaps,
    volunteers,
    watch,
)
from tickets.lifecycle import Act, State
from tickets.models import (
    Duty,
    Kind,
    LedgerLine,
    Promise,
    PromiseState,
    Role,
    Shift,
    Source,
    Ticket,
    Volunteer,
)
from tickets.rota import HandOver, NoticeKind, RosterNotice, Swap, SwapState

LI = "+8613800000001"


@pytest.fixture
def house(clock: HandClock, tmp_path: Path, database_url: str) -> Iterator[DutyHouse]:
    clock.set(at("11-24 09:00"))
    settings = settings_for(tmp_path, database_url=database_url)
    runtime = build(settings, clock.now, DeafBell())
    metadata.create_all(runtime.db.engine)
    yield DutyHouse(runtime, clock)
    runtime.close()


def request(house: DutyHouse) -> int:
    with house.writing() as session:
        return service.open_ticket(
            session, house.runtime.settings, house.now,
            kind=Kind.ERRAND, source=Source.MESSAGE, phone=LI, by=ledger.CALLER,
        ).id  # fmt: skip


# --- absences


@ON_BOTH
def test_who_cannot_come_is_stood_in_for_and_his_new_requests_go_along(house: DutyHouse) -> None:
    wang, chen = house.people("王秀兰", "陈国庆")
    house.shift("11-24 08:30", "11-24 11:30", wang, chen)
    ticket = request(house)

    with house.writing() as session:
        shift = roster.on_duty(session, house.now)
        assert shift
        covered = shifts.absent(
            session, shift, session.get_one(Volunteer, wang), ledger.SYSTEM, house.now, why="发烧"
        )
        assert covered.now_on
        assert covered.now_on.name == "陈国庆"

    with house.reading() as session:
        shift = roster.on_duty(session, house.now)
        assert shift
        assert (shift.volunteer.name, shift.substitute) == ("陈国庆", None)
        assert session.get_one(Ticket, ticket).assignee_id == chen
    assert house.acts("shift") == ["assign_shift"]


def test_without_a_substitute_the_duty_lead_comes_and_without_a_lead_it_is_a_hole(house: DutyHouse) -> None:  # fmt: skip
    (wang,) = house.people("王秀兰")
    house.shift("11-24 08:30", "11-24 11:30", wang)
    house.shift("11-25 08:30", "11-25 11:30", wang)
    house.shift("11-26 08:30", "11-26 11:30", wang)

    def absent(day: str) -> str:
        with house.writing() as session:
            shift = session.scalars(select(Shift).where(Shift.starts_at == at(f"{day} 08:30"))).one()  # fmt: skip
            person = session.get_one(Volunteer, wang)
            covered = shifts.absent(session, shift, person, ledger.SYSTEM, house.now)
            return covered.now_on.name if covered.now_on else ""

    assert absent("11-24") == ""
    assert absent("11-25") == ""
    house.people("郑国强", role=Role.LEAD)
    assert absent("11-26") == "郑国强"

    with house.reading() as session:
        assert roster.on_duty(session, house.now) is None  # it ended now
        assert roster.on_duty(session, at("11-25 09:00")) is None  # it is gone
        gaps = watch.problems(session, house.runtime.settings, date(2026, 11, 24), 3).gaps
        assert (at("11-24 09:00"), at("11-24 11:30")) in gaps
        assert (at("11-25 08:30"), at("11-25 11:30")) in gaps


def test_a_substitute_who_has_another_shift_is_passed_over(house: DutyHouse) -> None:
    wang, chen = house.people("王秀兰", "陈国庆")
    house.people("郑国强", role=Role.LEAD)
    shift = house.shift("11-25 08:30", "11-25 11:30", wang, chen)
    house.shift("11-25 10:00", "11-25 12:00", chen)
    with house.writing() as session:
        covered = shifts.absent(
            session, session.get_one(Shift, shift), session.get_one(Volunteer, wang), ledger.SYSTEM, house.now
        )  # fmt: skip
        assert covered.now_on
        assert covered.now_on.name == "郑国强"


def test_the_past_is_not_rewritten_and_a_stranger_is_not_absent(house: DutyHouse) -> None:
    wang, chen, wu = house.people("王秀兰", "陈国庆", "吴美华")
    past = house.shift("11-23 08:30", "11-23 11:30", wang, chen)
    coming = house.shift("11-25 08:30", "11-25 11:30", wang, chen)
    with house.writing() as session:
        people = {each.id: each for each in session.scalars(select(Volunteer))}
        with pytest.raises(shifts.ShiftOverError):
            shifts.absent(session, session.get_one(Shift, past), people[wang], ledger.SYSTEM, house.now)  # fmt: skip
        with pytest.raises(shifts.NotOnThisShiftError):
            shifts.absent(session, session.get_one(Shift, coming), people[wu], ledger.SYSTEM, house.now)  # fmt: skip
        with pytest.raises(shifts.ClashError):
            shifts.add(session, at("11-25 09:00"), at("11-25 10:00"), wang, ledger.SYSTEM, house.now)  # fmt: skip
        with pytest.raises(volunteers.StillOnRosterError):
            volunteers.change(session, people[wang], ledger.SYSTEM, house.now, active=False)
    assert house.acts("shift") == []


# --- swaps


@ON_BOTH
def test_a_swap_is_two_taps_and_the_substitute_follows(house: DutyHouse) -> None:
    wang, chen, wu = house.people("王秀兰", "陈国庆", "吴美华")
    mine = house.shift("11-26 08:30", "11-26 11:30", wang, chen)
    theirs = house.shift("11-27 08:30", "11-27 11:30", chen, wu)
    with house.writing() as session:
        first, back = session.get_one(Shift, mine), session.get_one(Shift, theirs)
        to = session.get_one(Volunteer, chen)
        swap = swaps.propose(session, first, to, house.now, in_return=back)
        again = swaps.propose(session, first, to, house.now, in_return=back)
        elsewhere = swaps.propose(session, first, session.get_one(Volunteer, wu), house.now)
        asked, other = swap.id, elsewhere.id
        assert asked == again.id
        assert [each.id for each in swaps.asked_of(session, chen)] == [asked]
        with pytest.raises(swaps.NotTheirsError):
            swaps.accept(session, asked, ledger.volunteer(wu), house.now)
    with house.writing() as session:
        swaps.accept(session, asked, ledger.volunteer(chen), house.now)

    with house.reading() as session:
        first, back = session.get_one(Shift, mine), session.get_one(Shift, theirs)
        assert (first.volunteer_id, first.substitute_id) == (chen, wang)
        assert (back.volunteer_id, back.substitute_id) == (wang, wu)
        assert session.get_one(Swap, other).state is SwapState.OVERTAKEN
        with pytest.raises(swaps.SwapOverError):
            swaps.accept(session, asked, ledger.volunteer(chen), house.now)
    assert house.acts("swap") == ["propose_swap", "propose_swap", "swap_overtaken", "swap_accepted"]
    assert house.acts("shift") == ["swap_shift", "swap_shift"]


@ON_BOTH
def test_of_two_who_say_yes_at_once_the_second_sees_that_it_is_gone(house: DutyHouse) -> None:
    wang, *asked = house.people("王秀兰", *"甲乙丙丁")
    mine = house.shift("11-26 08:30", "11-26 11:30", wang)
    with house.writing() as session:
        proposed = [
            swaps.propose(session, session.get_one(Shift, mine), session.get_one(Volunteer, each), house.now).id
            for each in asked
        ]  # fmt: skip
    ready = Barrier(len(asked))

    def says_yes(swap_id: int, volunteer_id: int) -> SwapState:
        ready.wait()
        try:
            with house.writing() as session:
                return swaps.accept(
                    session, swap_id, ledger.volunteer(volunteer_id), house.now
                ).state
        except swaps.SwapOverError as error:
            return error.state

    with ThreadPoolExecutor(len(asked)) as taps:
        said = list(taps.map(says_yes, proposed, asked))

    assert sorted(said) == [SwapState.ACCEPTED, *[SwapState.OVERTAKEN] * 3]
    with house.reading() as session:
        assert session.get_one(Shift, mine).volunteer_id == asked[said.index(SwapState.ACCEPTED)]
    assert house.acts("shift") == ["swap_shift"]


def test_a_swap_that_the_roster_overtook_changes_nothing(house: DutyHouse) -> None:
    wang, chen, wu = house.people("王秀兰", "陈国庆", "吴美华")
    mine = house.shift("11-26 08:30", "11-26 11:30", wang)
    late = house.shift("11-24 09:30", "11-24 11:30", wang)
    with house.writing() as session:
        to = session.get_one(Volunteer, chen)
        proposed = [
            swaps.propose(session, session.get_one(Shift, each), to, house.now).id
            for each in (mine, late)
        ]
        shifts.assign(session, session.get_one(Shift, mine), wu, ledger.SYSTEM, house.now)
    house.clock.set(at("11-24 09:30"))
    with house.writing() as session:
        for each in proposed:
            answered = swaps.accept(session, each, ledger.volunteer(chen), house.now)
            assert answered.state is SwapState.OVERTAKEN
    with house.reading() as session:
        assert session.get_one(Shift, mine).volunteer_id == wu
        assert session.get_one(Shift, late).volunteer_id == wang


def test_nobody_is_swapped_into_two_shifts_at_once(house: DutyHouse) -> None:
    wang, chen = house.people("王秀兰", "陈国庆")
    mine = house.shift("11-26 08:30", "11-26 11:30", wang)
    house.shift("11-26 11:00", "11-26 12:00", chen)
    with house.writing() as session, pytest.raises(shifts.ClashError):
        swaps.propose(session, session.get_one(Shift, mine), session.get_one(Volunteer, chen), house.now)  # fmt: skip


def test_declined_is_declined_and_taken_back_is_taken_back(house: DutyHouse) -> None:
    wang, chen, wu = house.people("王秀兰", "陈国庆", "吴美华")
    mine = house.shift("11-26 08:30", "11-26 11:30", wang)
    with house.writing() as session:
        shift = session.get_one(Shift, mine)
        one = swaps.propose(session, shift, session.get_one(Volunteer, chen), house.now)
        other = swaps.propose(session, shift, session.get_one(Volunteer, wu), house.now)
        assert swaps.decline(session, one.id, ledger.volunteer(chen), house.now).state is SwapState.DECLINED  # fmt: skip
        assert swaps.decline(session, other.id, ledger.volunteer(wang), house.now).state is SwapState.WITHDRAWN  # fmt: skip


# --- hand-over


@ON_BOTH
def test_at_the_end_of_a_shift_what_nobody_took_goes_to_the_next(house: DutyHouse) -> None:
    wang, chen = house.people("王秀兰", "陈国庆")
    morning = house.shift("11-24 08:30", "11-24 11:30", wang)
    house.shift("11-24 14:00", "11-24 17:00", chen)
    waiting, in_hand = request(house), request(house)
    with house.writing() as session:
        service.act(session, session.get_one(Ticket, in_hand), Act.ACCEPT, ledger.volunteer(wang), house.now)  # fmt: skip
        handover.write_note(session, session.get_one(Shift, morning), "李阿姨的药在抽屉里", ledger.volunteer(wang), house.now)  # fmt: skip
    house.works()
    with house.reading() as session:
        assert session.get_one(Ticket, waiting).assignee_id == wang  # the shift is not over

    house.clock.set(at("11-24 11:30"))
    house.works()
    house.works()

    with house.reading() as session:
        assert session.get_one(Ticket, waiting).assignee_id == chen
        assert session.get_one(Ticket, waiting).state is State.ASSIGNED
        kept = session.get_one(Ticket, in_hand)
        assert (kept.assignee_id, kept.state) == (wang, State.IN_HAND)  # 首接负责
        (row,) = handover.unheard(session, chen)
        assert (row.note, row.passed, row.still_held) == ("李阿姨的药在抽屉里", [waiting], [in_hand])  # fmt: skip
        promise = session.scalars(select(Promise).where(Promise.duty == Duty.HAND_OVER)).one()
        assert (promise.state, promise.result) == (PromiseState.KEPT, "交给下一班1件，1件还在原来的人手里")  # fmt: skip
    assert house.acts("shift") == ["hand_over_note", "hand_over"]
    with house.writing() as session:
        handover.hear(session, session.scalars(select(HandOver)).one(), ledger.volunteer(chen), house.now)  # fmt: skip
        assert handover.unheard(session, chen) == []


def test_a_late_worker_hands_over_only_what_the_shift_left(house: DutyHouse) -> None:
    wang, chen = house.people("王秀兰", "陈国庆")
    house.shift("11-24 08:30", "11-24 11:30", wang)
    house.shift("11-24 14:00", "11-24 17:00", chen)
    house.shift("11-24 18:00", "11-24 20:00", wang)
    morning = request(house)
    house.clock.set(at("11-24 17:30"))
    evening = request(house)  # after the shift of 陈国庆: for 王秀兰, who is next
    house.works()
    with house.reading() as session:
        assert session.get_one(Ticket, evening).assignee_id == wang
        assert session.get_one(Ticket, morning).assignee_id == wang  # the next is herself


def test_with_nobody_after_it_stays_where_it_is_and_says_so(house: DutyHouse) -> None:
    (wang,) = house.people("王秀兰")
    house.shift("11-24 08:30", "11-24 11:30", wang)
    ticket = request(house)
    house.clock.set(at("11-24 12:00"))
    house.works()
    with house.reading() as session:
        assert session.get_one(Ticket, ticket).assignee_id == wang
        promise = session.scalars(select(Promise).where(Promise.duty == Duty.HAND_OVER)).one()
        assert promise.result == "后面没有人值班，没有交出去"


# --- looking ahead


@ON_BOTH
def test_over_a_month_every_hole_was_announced_a_day_before_and_once(house: DutyHouse) -> None:
    """A month with a shift missing here, an overlap there, absences, and a look every five hours."""
    people = house.people(*"甲乙丙丁戊")
    house.clock.set(at("11-20 00:10"))
    with house.writing() as session:
        needed = roster.duty_hours(session, house.runtime.settings)
        rotation.fill(session, needed, date(2026, 11, 20), 33)
        rows = session.scalars(select(Shift).order_by(Shift.starts_at)).all()
        for number, row in enumerate(rows):
            if number % 9 == 4 and row.starts_at > at("11-23 00:00"):
                session.delete(row)
            if number % 14 == 6:
                row.ends_at += timedelta(hours=4)  # into the next
    told: dict[tuple[object, ...], list[object]] = {}
    while house.now < at("12-20 00:00"):
        with house.writing() as session:
            for row in watch.announce(session, house.runtime.settings, house.now):
                told.setdefault((row.kind, row.starts_at, row.ends_at), []).append(house.now)
        house.clock.advance(5 * 3600)

    assert people
    assert all(len(times) == 1 for times in told.values())
    with house.reading() as session:
        instant = at("11-24 00:00")
        while instant < at("12-19 00:00"):
            duty = roster.on_duty(session, instant)
            wanted = any(s <= instant < e for s, e in needed.of(instant.date()))
            announced = [kind for kind, s, e in told if s <= instant < e]  # type: ignore[operator]
            assert (NoticeKind.GAP in announced) == (wanted and duty is None), instant
            both = session.scalars(select(Shift).where(Shift.starts_at <= instant, Shift.ends_at > instant)).all()  # fmt: skip
            assert (NoticeKind.OVERLAP in announced) == (len(both) > 1), instant
            instant += timedelta(minutes=45)
        for (_, begins, _), (when,) in told.items():
            if begins > at("11-23 00:00"):  # type: ignore[operator]
                assert begins - when >= timedelta(days=1)  # type: ignore[operator]
        assert session.scalars(select(RosterNotice)).all()


def test_the_end_of_the_calendar_is_said_a_month_ahead_and_only_once(house: DutyHouse, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(watch, "calendar_ends", lambda: date(2027, 1, 1))

    def said() -> list[str]:
        with house.writing() as session:
            rows = watch.announce(session, house.runtime.settings, house.now)
            return [row.words for row in rows if row.kind is NoticeKind.CALENDAR]

    assert said() == []
    house.clock.set(at("12-02 00:00"))
    assert len(said()) == 1
    assert said() == []
    house.clock.set(at("2027-02-02 00:00"))
    assert said() == []  # the same year, said already

    monkeypatch.setattr(watch, "calendar_ends", lambda: date(2028, 1, 1))
    with house.writing() as session:
        shifts.override(session, date(2028, 1, 1), True, ledger.SYSTEM, house.now, name="元旦")
    house.clock.set(at("2027-12-02 00:00"))
    assert said() == []  # the house has filled the year in itself


def test_the_sweep_announces_what_is_missing(house: DutyHouse) -> None:
    house.works()
    with house.reading() as session:
        words = session.scalars(select(RosterNotice.words).order_by(RosterNotice.id)).all()
    assert words[0] == "11月24日（星期二）08:30–11:30还没有人值班，请补上。"
    assert len(words) == len(set(words)) == 5  # until the morning of the day after tomorrow
    house.works()
    assert house.acts("roster_notice") == ["announce_gap"] * 5


# --- days, shares, the notice board


@ON_BOTH
def test_the_house_decides_which_days_are_worked(house: DutyHouse) -> None:
    settings = house.runtime.settings.model_copy(update={"shift_hours_rest": ()})
    with house.writing() as session:
        shifts.override(session, date(2026, 11, 27), True, ledger.SYSTEM, house.now, name="停电")
        shifts.override(session, date(2026, 11, 28), False, ledger.SYSTEM, house.now, name="补班")
        shifts.override(session, date(2026, 11, 26), True, ledger.SYSTEM, house.now)
        shifts.override(session, date(2026, 11, 26), None, ledger.SYSTEM, house.now)
    with house.reading() as session:
        days = {
            starts.day
            for starts, _ in watch.problems(session, settings, date(2026, 11, 23), 7).gaps
        }
    assert days == {23, 24, 25, 26, 28}  # Friday rests, Saturday works
    assert house.acts("day") == ["override_day"] * 4


def test_a_month_is_shared_out_and_the_shares_are_counted(house: DutyHouse) -> None:
    people = house.people(*"甲乙丙丁")
    with house.writing() as session:
        for day in (1, 2, 3):
            shifts.day_off(session, session.get_one(Volunteer, people[0]), date(2026, 12, day), ledger.SYSTEM, house.now)  # fmt: skip
        shifts.rain(session, date(2026, 12, 5), True, ledger.SYSTEM, house.now)
        needed = roster.duty_hours(session, house.runtime.settings)
        proposal = rotation.propose(session, needed, date(2026, 12, 1), 31)
        assert proposal.sentences == []
        rotation.write(session, proposal)
        shares = fairness.shares(session, at("12-01 00:00"), at("2027-01-01 00:00"))
    assert sum(share.shifts for share in shares) == 62
    assert sum(share.rest_days for share in shares) == 16
    assert sum(share.rainy for share in shares) == 2
    assert max(share.shifts for share in shares) - min(share.shifts for share in shares) <= 1
    with house.reading() as session:
        free = {row.volunteer_id for row in roster.shifts(session, at("12-01 00:00"), at("12-04 00:00"))}  # fmt: skip
        assert people[0] not in free


def test_what_cannot_be_done_is_explained_with_names(house: DutyHouse) -> None:
    wang, chen = house.people("王秀兰", "陈国庆")
    with house.writing() as session:
        for person, day in ((wang, 1), (chen, 1), (wang, 2)):
            shifts.day_off(session, session.get_one(Volunteer, person), date(2026, 12, day), ledger.SYSTEM, house.now)  # fmt: skip
        needed = roster.duty_hours(session, house.runtime.settings)
        sentences = rotation.propose(session, needed, date(2026, 12, 1), 2).sentences
    assert sentences[0] == "12月1日08:30–11:30排不出人（王秀兰、陈国庆那天来不了）。"
    assert "12月2日14:00–17:00只好再排陈国庆，这一天排了两班（王秀兰那天来不了）。" in sentences
    assert "12月2日08:30–11:30没有替补（王秀兰那天来不了）。" in sentences


def test_the_notice_board_shows_names_hours_and_holes_and_no_number(house: DutyHouse) -> None:
    wang, chen = house.people("王秀兰", "陈国庆")
    house.shift("11-28 14:00", "11-28 17:00", wang, chen)
    with house.reading() as session:
        (day,) = noticeboard.board(session, house.runtime.settings, date(2026, 11, 28), 1)
    assert not day.workday
    assert [(each.hours, each.volunteer, each.substitute) for each in day.shifts] == [
        ("08:30–11:30", "", ""), ("14:00–17:00", "王秀兰", "陈国庆"),
    ]  # fmt: skip


# --- the feed


def test_a_calendar_finds_its_own_shifts_at_a_secret_address(house: DutyHouse) -> None:
    wang, chen = house.people("王秀兰", "陈国庆")
    house.shift("11-24 20:00", "11-25 08:00", wang, chen)
    house.shift("11-26 08:30", "11-26 11:30", chen, wang)
    browser = create_app(house.runtime).test_client()
    with house.writing() as session:
        person = session.get_one(Volunteer, wang)
        secret = feed.secret_of(session, person, ledger.volunteer(wang), house.now)
        assert feed.secret_of(session, person, ledger.volunteer(wang), house.now) == secret

    page = browser.get(f"/roster/{secret}.ics")
    assert page.mimetype == "text/calendar"
    events = icalendar.Calendar.from_ical(page.data).walk("VEVENT")
    assert [str(event["summary"]) for event in events] == ["值班", "替补（值班：陈国庆）"]
    assert events[0].decoded("dtstart").astimezone(SHANGHAI) == at("11-24 20:00")
    assert events[0].decoded("dtend").astimezone(SHANGHAI) == at("11-25 08:00")

    with house.writing() as session:
        feed.renew(session, session.get_one(Volunteer, wang), ledger.SYSTEM, house.now)
    assert browser.get(f"/roster/{secret}.ics").status_code == 404
    assert browser.get("/roster/None.ics").status_code == 404
    with house.reading() as session:
        assert secret not in str([line.facts for line in session.scalars(select(LedgerLine))])
