"""Residents: found by a few keys, merged, read in confidence, spoken to in their own way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ON_BOTH, DeafBell, HandClock, settings_for
from duty_house import DutyHouse
from sqlalchemy import select

from hotline.phone import Phone
from hotline.runtime import build
from hotline.schema import metadata
from tickets import confidence, directory, ledger, names, residents, service
from tickets.dossier import ConsentBy, ConsentTo
from tickets.models import (
    Dialect,
    Kind,
    LedgerLine,
    Resident,
    Role,
    Source,
    Ticket,
    Volunteer,
)
from tickets.residents import Change, Particulars

LI, ZHANG = "+8613800001234", "+8657988885678"


@pytest.fixture
def here(clock: HandClock, tmp_path: Path, database_url: str) -> Iterator[DutyHouse]:
    runtime = build(settings_for(tmp_path, database_url=database_url), clock.now, DeafBell())
    metadata.create_all(runtime.db.engine)
    yield DutyHouse(runtime, clock)
    runtime.close()


def live_here(here: DutyHouse, *people: Particulars) -> list[int]:
    with here.writing() as session:
        return [residents.add(session, each, ledger.SYSTEM, here.now).id for each in people]


@pytest.mark.parametrize(
    ("name", "pinyin", "initials"),
    [("李桂芳", "liguifang", "lgf"), ("单爱国", "shanaiguo", "sag"), ("仇大伟", "qiudawei", "qdw"), ("曾桂香", "zengguixiang", "zgx"),
     ("解小英", "xiexiaoying", "xxy"), ("尉迟 恭", "yuchigong", "ycg"), ("单", "dan", "d"), ("吕绿", "lvlv", "ll"), ("小曾", "xiaozeng", "xz"), ("Mary李", "maryli", "ml")],
)  # fmt: skip
def test_names_are_read_as_surnames_are(name: str, pinyin: str, initials: str) -> None:
    assert (names.pinyin(name), names.initials(name)) == (pinyin, initials)


FOUND_BY = {
    "李桂芳": ("lgf", "LGF", "liguif", "1234", "3-2-501", "3幢2单元501室"),
    "李桂芳 王桂芳": ("桂芳",),
    "李桂芳 张德明": ("3", "3幢", "3-2"),
    "张德明 单爱国": ("5678",),
    "张德明": ("502", "3幢 zdm"),
    "单爱国": ("sag", "shan"),
    "": ("dag", "3幢 sag", "", "%", "_", "搬走"),
}


@ON_BOTH
def test_a_few_keys_find_a_resident(here: DutyHouse) -> None:
    *_, gone = live_here(
        here,
        Particulars("李桂芳", "3", "2", "501", phones=(LI,)),
        Particulars("张德明", "3", "2", "502", phones=(ZHANG,)),
        Particulars("单爱国", "11", "1", "101", phones=(ZHANG,)),  # a number for two
        Particulars("王桂芳", "13", "1", "101"),
        Particulars("搬走的", "3", "2", "501", phones=(LI,)),
    )
    with here.writing() as session:
        residents.change(session, session.get_one(Resident, gone), Change(active=False), ledger.SYSTEM, here.now)  # fmt: skip
    with here.reading() as session:
        for found, many in FOUND_BY.items():
            for keys in many:
                met = {each.name for each in directory.find(session, keys)}
                assert met == set(found.split()), keys
        assert [each.name for each in directory.of_building(session, "3")] == ["李桂芳", "张德明"]


def test_a_new_name_is_found_by_its_new_reading(here: DutyHouse) -> None:
    (someone,) = live_here(here, Particulars("李桂芳"))
    with here.writing() as session:
        row = session.get_one(Resident, someone)
        assert residents.change(session, row, Change(name="仇桂芳", unit="2"), ledger.SYSTEM, here.now) == ["name", "unit"]  # fmt: skip
        assert residents.change(session, row, Change(name="仇桂芳"), ledger.SYSTEM, here.now) == []
        with pytest.raises(residents.NameMissingError):
            residents.change(session, row, Change(name="  "), ledger.SYSTEM, here.now)
    with here.reading() as session:
        assert [each.id for each in directory.find(session, "qgf")] == [someone]
        assert directory.find(session, "lgf") == []
    assert here.acts("resident") == ["add_resident", "change_resident"]


@ON_BOTH
def test_two_rows_of_one_person_become_one_and_nothing_is_lost(here: DutyHouse) -> None:
    kept, double, other = live_here(
        here,
        Particulars("李桂芳", phones=(LI,)),
        Particulars("李桂芳", "3", "2", "501", phones=(LI, ZHANG)),
        Particulars("李桂芳", "9", "1", "101"),
    )
    by = ledger.SYSTEM
    with here.writing() as session:
        ticket = service.open_ticket(session, here.runtime.settings, here.now, kind=Kind.ERRAND, source=Source.MESSAGE, phone=ZHANG, by=by)  # fmt: skip
        assert ticket.resident_id == double
        ticket_id = ticket.id
        first, second = session.get_one(Resident, kept), session.get_one(Resident, double)
        confidence.write_note(session, second, "耳朵不好", by, here.now)
        confidence.agree(session, second, ConsentTo.RECORDS, ConsentBy.PAPER, by, here.now)
        assert [each.id for each in directory.likely_duplicates(session, first)] == [double]
        residents.merge(session, first, second, by, here.now)
        for again in ((first, second), (second, first), (first, first)):
            with pytest.raises(residents.SameResidentError):
                residents.merge(session, *again, by, here.now)
    with here.writing() as session:
        first = session.get_one(Resident, kept)
        assert [row.phone for row in first.phones] == [LI, ZHANG]
        assert directory.address(first) == "3幢2单元501室"
        assert session.get_one(Ticket, ticket_id).resident_id == kept
        assert confidence.consents(session, first)[ConsentTo.RECORDS].by is ConsentBy.PAPER
        assert {each.id for each in directory.find(session, "李桂芳")} == {kept, other}
        assert (
            service.resident_of(session, LI) is first
        )  # once it was two people's, and so nobody's


def test_a_household_shares_a_number_and_a_person_has_two(here: DutyHouse) -> None:
    li, zhang = live_here(here, Particulars("李桂芳", phones=(LI,)), Particulars("张德明"))
    with here.writing() as session:
        husband, wife = session.get_one(Resident, zhang), session.get_one(Resident, li)
        assert residents.attach(session, husband, Phone(LI), ledger.SYSTEM, here.now)
        assert not residents.attach(session, husband, Phone(LI), ledger.SYSTEM, here.now)
        assert residents.attach(session, wife, Phone(ZHANG), ledger.SYSTEM, here.now)
        assert service.resident_of(session, LI) is None
        session.flush()
        assert residents.detach(session, husband, husband.phones[0].id, ledger.SYSTEM, here.now)
        assert not residents.detach(session, husband, wife.phones[0].id, ledger.SYSTEM, here.now)
        session.flush()
        assert service.resident_of(session, LI) is wife
    with here.reading() as session:
        assert LI[3:] not in str([line.facts for line in session.scalars(select(LedgerLine))])


def test_a_whole_number_needs_a_reason_and_the_reason_is_kept(here: DutyHouse) -> None:
    (wang,) = here.people("王秀兰")
    (li,) = live_here(here, Particulars("李桂芳", phones=(LI,)))
    with here.writing() as session:
        resident = session.get_one(Resident, li)
        number, by = resident.phones[0].id, ledger.volunteer(wang)
        with pytest.raises(residents.ReasonMissingError):
            residents.reveal(session, resident, number, by, here.now, why="  ")
        with pytest.raises(LookupError):
            residents.reveal(session, resident, number + 1, by, here.now, why="上门")
    assert here.acts("resident") == ["add_resident"]
    with here.writing() as session:
        resident = session.get_one(Resident, li)
        assert residents.reveal(session, resident, number, by, here.now, why="上门没人应") == "13800001234"  # fmt: skip
        line = session.scalars(select(LedgerLine).where(LedgerLine.act == "see_number")).one()
        assert (line.person, line.why, line.facts) == (f"volunteer:{wang}", "上门没人应", {"number": "138****1234"})  # fmt: skip


def test_notes_are_for_those_who_lead_and_each_reading_is_a_line(here: DutyHouse) -> None:
    ids = {role: here.people(f"某{role}", role=role)[0] for role in Role}
    (li,) = live_here(here, Particulars("李桂芳"))
    with here.writing() as session:
        resident = session.get_one(Resident, li)
        confidence.write_note(session, resident, "一个人住，儿子在杭州", ledger.volunteer(ids[Role.VOLUNTEER]), here.now)  # fmt: skip
        session.get_one(Volunteer, ids[Role.ADMIN]).active = False
        for reader in (ledger.SYSTEM, ledger.CALLER, ledger.volunteer(ids[Role.VOLUNTEER]), ledger.volunteer(ids[Role.ADMIN])):  # fmt: skip
            with pytest.raises(confidence.NotTheirsToReadError):
                confidence.read_notes(session, resident, reader, here.now)
        for role in (Role.LEAD, Role.COMMITTEE):
            (note,) = confidence.read_notes(session, resident, ledger.volunteer(ids[role]), here.now)  # fmt: skip
            assert note.text == "一个人住，儿子在杭州"
    assert here.acts("resident") == ["add_resident", "write_note", "read_notes", "read_notes"]
    with here.reading() as session:
        assert "杭州" not in str([(line.facts, line.why) for line in session.scalars(select(LedgerLine))])  # fmt: skip


def test_consent_is_kept_also_when_it_is_taken_back(here: DutyHouse) -> None:
    (li,) = live_here(here, Particulars("李桂芳"))
    with here.writing() as session:
        resident = session.get_one(Resident, li)
        first = confidence.agree(session, resident, ConsentTo.PROXY, ConsentBy.PHONE, ledger.SYSTEM, here.now)  # fmt: skip
        again = confidence.agree(session, resident, ConsentTo.PROXY, ConsentBy.PAPER, ledger.SYSTEM, here.now)  # fmt: skip
        assert again is first
        assert confidence.take_back(session, resident, ConsentTo.PROXY, ledger.SYSTEM, here.now)
        assert not confidence.take_back(session, resident, ConsentTo.PROXY, ledger.SYSTEM, here.now)
        assert confidence.consents(session, resident) == {}
        assert first.taken_back_at == here.now


# --- how they are spoken to


def test_a_number_of_two_is_spoken_to_in_what_both_understand(here: DutyHouse) -> None:
    live_here(
        here,
        Particulars("李桂芳", dialect=Dialect.JINHUA, phones=(LI, ZHANG)),
        Particulars("张德明", slow=True, phones=(ZHANG,)),
    )
    with here.reading() as session:
        assert directory.voice_of(session, LI) == directory.Voice(Dialect.JINHUA, slow=False)
        assert directory.voice_of(session, ZHANG) == directory.Voice(Dialect.MANDARIN, slow=True)
        assert directory.voice_of(session, "+8613800000000") == directory.Voice()
