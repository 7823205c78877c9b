"""The committee's pages: figures with what is behind them, calls, words found, one case side by side."""

import io
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from conftest import ON_BOTH, HandClock
from desk_house import LI, DeskHouse, open_desk
from sqlalchemy import select

from hotline.db import Database
from hotline.schema import metadata
from hotline.web.cases import Piece, compare
from ivr.models import Call
from tickets import search
from tickets.lifecycle import State
from tickets.models import Recording, Ticket, Transcript
from worker.jobs import Hands
from worker.sweep import sweep


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


def rings(desk: DeskHouse, *, ticket_id: int | None, test: bool = False) -> None:
    """A call of now, and the request it made."""
    with desk.runtime.db.writing() as session:
        made = len(session.scalars(select(Call.id)).all())
        call = Call(carrier_sid=f"CA{made}", flow="inbound", started_at=desk.clock.now(), caller_kind="known", phone=LI, test=test)  # fmt: skip
        session.add(call)
        session.flush()
        if ticket_id:
            session.get_one(Ticket, ticket_id).call_id = call.id
            for recording in session.get_one(Ticket, ticket_id).recordings:
                recording.call_id = call.id


def test_the_calls_are_as_many_as_the_figures_count(desk: DeskHouse) -> None:
    rings(desk, ticket_id=desk.request())
    rings(desk, ticket_id=None)
    rings(desk, ticket_id=None, test=True)
    reader = desk.visit("李主任")
    assert "接通率 1/2" in reader.opens("/figures").text
    reader.opens("/calls")
    assert "打进来 2 个，接通 1 个" in reader.text
    for kind, shown in (("", 2), ("reached", 1), ("missed", 1), ("test", 1)):
        assert reader.opens(f"/calls?kind={kind}").page.text.count("<article") == shown
    assert "13812341234" not in reader.page.text
    for query, shown in (("", 2), ("?only=counted", 1)):
        assert reader.opens(f"/figures/reached{query}").page.text.count("<article") == shown
    assert reader.opens("/figures/nonsense").status == 404
    for odd in ("2026-13", "x", "9999-12", "0000-00", "2026-1-"):
        assert reader.opens(f"/figures?month={odd}").status == 200


def test_two_characters_find_and_looking_is_written_down(desk: DeskHouse) -> None:
    desk.request(text="水管漏水，请人来修")
    desk.request(text="想办老年优待证")
    reader = desk.visit("李主任")
    assert "找到 1 件" in reader.opens("/search?q=漏水").text
    assert "<mark>漏水</mark>" in reader.page.text
    assert "没有找到「 飞机 」" in reader.opens("/search?q=飞机").text
    reader.opens("/search?q=13812341234<script>")
    assert "<script>alert" not in reader.page.text
    looked = [line.why for line in desk.ledger("search")]
    assert looked[0] == "漏水"
    assert "13812341234" not in looked[-1]
    assert desk.visit("王秀兰").opens("/search?q=漏水").status == 403


def test_what_a_person_wrote_is_found_and_what_they_took_out_stays_found(desk: DeskHouse) -> None:
    desk.request(text="我要交水肥")
    desk.visit("王秀兰").posts("/recording/1/text", text="我要交水费", seen_text="我要交水肥")
    reader = desk.visit("李主任")
    for words in ("水费", "水肥"):
        assert "找到 1 件" in reader.opens(f"/search?q={words}").text


def test_one_case_stands_side_by_side_with_who_listened(desk: DeskHouse) -> None:
    ticket = desk.request(text="我要交水肥")
    wang = desk.visit("王秀兰")
    wang.opens("/recording/1")
    wang.posts("/recording/1/text", text="我要交水费", seen_text="我要交水肥")
    wang.posts(f"/request/{ticket}", act="accept", seen="assigned")
    wang.posts(f"/request/{ticket}", act="finish", seen="in_hand")
    reader = desk.visit("李主任").opens(f"/case/{ticket}")
    assert "机器听写 我要交水肥 人改过的 我要交水费" in reader.text
    assert "我要交水 删：肥 加：费" in reader.text
    assert "王秀兰听了录音" in reader.text
    assert "李主任看了这一页" in reader.text
    assert "请先选一个原因，或者写一句" in reader.posts(f"/case/{ticket}/again", why="").text
    reader.posts(f"/case/{ticket}/again", why="水费没有交上")
    assert desk.ticket(ticket).state is State.IN_HAND
    assert "又要办：水费没有交上" in reader.text
    reader.posts(f"/case/{ticket}/again", why="再来一遍")
    assert reader.status == 409


def test_sheets_are_masked_and_whoever_takes_one_is_written_down(desk: DeskHouse) -> None:
    desk.request(text="=1+1")
    reader = desk.visit("李主任")
    for path in ("/figures/month.xlsx", "/audit/tickets.xlsx", "/audit/recordings.xlsx"):
        book = openpyxl.load_workbook(io.BytesIO(reader.opens(path).page.data))
        cells = [str(cell.value) for row in book.active for cell in row]
        assert len(cells) > 5
        assert not any(LI[3:] in cell for cell in cells)
        assert not any(cell.data_type == "f" for row in book.active for cell in row)
    assert len(desk.ledger("export")) == 3
    assert reader.opens("/audit/nonsense.xlsx").status == 404
    assert desk.visit("王秀兰").opens("/audit/tickets.xlsx").status == 403


def test_the_ledger_is_verified_and_checks_are_drawn_and_found(desk: DeskHouse) -> None:
    ticket = desk.request()
    reader = desk.visit("李主任").posts("/audit/verify").posts("/audit/verify")
    assert "正在验台账" in reader.text
    sweep(Hands(desk.runtime), None)
    assert "台账完整，一共" in reader.opens("/audit").text
    assert len(desk.ledger("verify")) == 1, "whoever asks again meanwhile waits for the same"
    assert "抽好了，一共 1 件" in reader.posts("/audit/draw").text
    assert "随机抽到" in reader.text
    assert "请先点一下" in reader.posts(f"/case/{ticket}/check").text
    assert "写一句" in reader.posts(f"/case/{ticket}/check", finding="returned").text
    reader.posts(f"/case/{ticket}/check", finding="returned", note="没有回电话")
    assert "李主任查过了：退回， 没有回电话" in reader.text


def test_what_is_open_is_urged_and_goes_first(desk: DeskHouse) -> None:
    for _ in range(2):
        desk.request()
        desk.clock.advance(60)
    reader = desk.visit("李主任")
    assert "写一句" in reader.posts("/case/2/again", do="urge").text
    assert "排到志愿者今天的事最前面" in reader.posts("/case/2/again", do="urge", why="老人等急了").text  # fmt: skip
    assert "李主任催快点办：老人等急了" in reader.text
    wang = desk.visit("王秀兰").opens("/")
    assert wang.text.index("1123-02") < wang.text.index("1123-01")


def test_a_matter_is_looked_up_and_written_anew(desk: DeskHouse) -> None:
    reader = desk.visit("李主任").opens("/matters")
    assert "要核对" in reader.text
    reader.posts("/matters/2", do="check", seen="1")
    assert "今天核对过" in reader.text
    form = {
        "do": "edit",
        "name": "医保报销",
        "materials": "医保卡\n发票\n医保卡",
        "where": "二楼",
        "by_proxy": "yes",
    }
    assert "先改过了" in reader.posts("/matters/2", **form, seen="1").text
    reader.posts("/matters/2", **form, seen="2")
    assert "记下来了：医保报销" in reader.text
    assert "发票" in reader.opens("/matters").text
    assert "名字不能空着" in reader.posts("/matters/2", do="edit", name="", seen="3").text
    reader.posts("/matters/2", do="stop", seen="3")
    assert "先不用" in reader.text


def test_the_administrator_sees_how_the_house_is(desk: DeskHouse) -> None:
    page = desk.visit("管理员").opens("/health").text
    assert "还没有人打进来过" in page
    assert "没有装听写的模型" in page
    assert desk.visit("李主任").opens("/health").status == 403


def test_what_was_changed_is_named_piece_by_piece() -> None:
    assert compare("我要交水肥", "我要交水费") == [Piece("我要交水"), Piece("肥", "machine"), Piece("费", "person")]  # fmt: skip
    assert compare("", "一句") == [Piece("一句", "person")]
    assert compare("一样", "一样") == [Piece("一样")]


def test_the_report_names_nobody(desk: DeskHouse) -> None:
    desk.request()
    report = desk.visit("李主任").opens("/figures/report").text
    assert "2026年11月月报" in report
    for private in ("李桂芳", "1234", "501", "王秀兰", "我要交水费"):
        assert private not in report.replace("李主任", "")


@ON_BOTH
def test_the_index_finds_any_run_of_characters(tmp_path: Path, database_url: str, clock: HandClock) -> None:  # fmt: skip
    db = Database(database_url or f"sqlite:///{tmp_path / 'house.db'}")
    metadata.create_all(db.engine)
    said = ["明天上午送去中医院拿药", "中山路的医院", "ＡＢ座 12 号水费", "水", ""]
    with db.writing() as session:
        for number, text in enumerate(said):
            recording = Recording(carrier_id=f"RE{number}", url="", made_at=clock.now())
            session.add(recording)
            session.flush()
            session.add(Transcript(recording_id=recording.id, outcome="heard", text=text, trusted=True, made_at=clock.now()))  # fmt: skip

    def found(words: str) -> list[str]:
        with db.reading() as session:
            return [transcript.text for transcript in search.find(session, words, 10)]

    assert found("医院") == [said[1], said[0]]
    assert found("中医院") == [said[0]]
    assert found("中医") == [said[0]], "中…医 apart is not 中医"
    assert found("ab座") == [said[2]], "full-width letters are letters"
    assert found("水") == [said[3], said[2]], "one character, also alone and inside"
    assert found("药") == [said[0]], "the last character"
    for nothing in ("", "，。", "飞机", "医院医院", "%", "_"):
        assert found(nothing) == []
    with db.writing() as session:
        first = session.get_one(Transcript, 1)
        first.text = ""
    assert found("中医院") == []
    with db.writing() as session:
        search.forget(session, select(Recording.id).where(Recording.id == 2))
    assert found("中山路") == [], "what is deleted leaves no pair behind"
    with db.writing() as session:
        assert search.index_again(session) == len(said)
    assert found("医院") == [said[1]]
    db.close()
