"""The desk: what a volunteer sees, presses and is told; nothing typed is lost, nothing leaks."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import LI, DeskHouse, open_desk
from sqlalchemy import select

from hotline.web import words
from tickets import dialling, ledger, promises, return_calls, service
from tickets.lifecycle import Act, State
from tickets.models import (
    Duty,
    Elsewhere,
    Event,
    Kind,
    Promise,
    Recording,
    Ticket,
    Transcript,
    Volunteer,
)
from tickets.returns import Outcome


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock)
    yield house
    house.runtime.close()


def test_a_whole_errand(desk: DeskHouse) -> None:
    ticket = desk.request()
    wang = desk.visit("王秀兰")
    assert "还有 1 件事要办" in wang.text
    assert "李桂芳，3幢2单元501" in wang.text
    assert "请在今天上午9:40前打电话" in wang.text
    assert "我要交水费" in wang.text
    wang.opens(f"/request/{ticket}")
    assert "机器听写，可以改" in wang.text
    assert "138****1234" in wang.text
    assert "我来办" in wang.text
    assert "办完了" not in wang.text
    wang.posts(f"/request/{ticket}", act="accept", seen="assigned")
    assert "记下来了：我来办" in wang.text
    wang.posts(f"/request/{ticket}/called", how="reached")
    assert "请在11月25日上午9:10前办好" in wang.text
    wang.posts(f"/request/{ticket}", act="finish", seen="in_hand")
    assert "电脑会打电话告诉他" in wang.text
    assert "今天上午9:20以后，电脑会打电话告诉他" in wang.text
    assert "告诉他办好了 等着打" in wang.text
    assert "点错了，先撤回" in wang.text
    wang.posts(f"/request/{ticket}/tell")
    assert "不等了，电话马上打" in wang.text
    assert "以后，电脑打电话告诉他" not in wang.text
    assert "王秀兰：不等了，现在就打电话告诉他" in wang.text
    assert "现在没有要办的事" in wang.opens("/").text
    assert "已经办完的（1）" in wang.text
    assert "李桂芳" in wang.opens("/done").text


def test_the_whole_number_is_seen_only_after_it_is_written_down_who_sees_it(
    desk: DeskHouse,
) -> None:
    ticket = desk.request()
    wang = desk.visit("王秀兰")
    for path in ("/", "/done", f"/request/{ticket}"):
        assert "13812341234" not in wang.opens(path).page.text
    assert desk.ledger("see_number") == []
    wang.posts(f"/request/{ticket}/call")
    assert 'href="tel:13812341234"' in wang.page.text
    assert "138 1234 1234" in wang.text
    assert [line.object_id for line in desk.ledger("see_number")] == [ticket]
    assert "13812341234" not in wang.opens(f"/request/{ticket}/call").page.text
    assert all(LI[-8:] not in str(line.facts) + line.why for line in desk.ledger("see_number"))


def test_listening_is_written_down_once_and_can_start_anywhere(desk: DeskHouse) -> None:
    desk.request()
    wang = desk.visit("王秀兰")
    whole = wang.opens("/recording/1").page
    assert whole.headers["Content-Type"] == "audio/wav"
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = wang.opens("/recording/1", headers={"Range": "bytes=100-199"}).page
    assert part.status_code == 206
    assert part.data == whole.data[100:200]
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole.data)}"
    assert wang.opens("/recording/1", headers={"Range": "bytes=-10"}).page.data == whole.data[-10:]
    assert wang.opens("/recording/1", headers={"Range": "bytes=9999999-"}).status == 416
    assert len(desk.ledger("listen")) == 1
    desk.clock.advance(601)
    wang.opens("/recording/1")
    desk.visit("李主任").opens("/recording/1")
    assert len({line.person for line in desk.ledger("listen")}) == 2
    assert len(desk.ledger("listen")) == 3
    assert wang.opens("/recording/7").status == 404
    assert desk.visit().opens("/recording/1").page.request.path == "/door"


def test_a_recording_that_is_gone_is_no_crash(desk: DeskHouse) -> None:
    desk.request()
    with desk.runtime.db.reading() as session:
        desk.runtime.store.delete(session.get_one(Recording, 1).key or "")
    assert desk.visit("王秀兰").opens("/recording/1").status == 404


def test_corrected_words_stand_beside_the_machines(desk: DeskHouse) -> None:
    ticket = desk.request(text="我要交水肥")
    wang = desk.visit("王秀兰")
    wang.posts("/recording/1/text", text="我要交水费\u202e", seen_text="我要交水肥")
    assert "改好了，记下来了" in wang.text
    assert "机器听写的原话： 我要交水肥" in wang.text
    assert "王秀兰改过的" in wang.text
    with desk.runtime.db.reading() as session:
        kept = session.scalar(select(Transcript))
        assert kept
        assert (kept.text, kept.corrected_text) == ("我要交水肥", "我要交水费")
        assert kept.corrected_by == desk.people["王秀兰"]
    assert desk.ledger("correct")[0].object_id == ticket


def test_what_the_machine_did_not_hear_is_said_so(desk: DeskHouse) -> None:
    ticket = desk.request(text="", trusted=False)
    wang = desk.visit("王秀兰")
    assert "请听原音" in wang.text
    assert "请听原音 机器没听清" in wang.opens(f"/request/{ticket}").text


def test_a_recording_whose_end_is_lost_says_so(desk: DeskHouse) -> None:
    ticket = desk.request()
    wang = desk.visit("王秀兰")
    assert "后面的话没录上" not in wang.opens(f"/request/{ticket}").text
    with desk.runtime.db.writing() as session:
        session.get_one(Recording, 1).cut_short = True
    assert "后面的话没录上" in wang.opens(f"/request/{ticket}").text


MISTAKES = {
    "no_button": ({"act": "dance"}, "请再点一次"),
    "no_why": ({"act": "withdraw"}, "请先选一个原因"),
    "long_why": ({"act": "withdraw", "why": "长" * 401}, "有 401 个字，最多 400 个"),
    "nobody_chosen": ({"act": "pass_on"}, "请先点一个人的名字"),
    "not_a_person": ({"act": "pass_on", "to": "9x"}, "请先点一个人的名字"),
    "gone": ({"act": "pass_on", "to": "77"}, "现在不在名单上了"),
    "already_theirs": ({"act": "pass_on", "to": "1"}, "本来就是王秀兰在管"),
    "no_missing": ({"act": "ask_materials"}, "请先点一下还缺什么"),
    "not_yet": ({"act": "confirm"}, "您刚才那一下没有算数"),
    "stale": ({"act": "finish", "seen": "assigned"}, "现在是「正在办」"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_wrong_press_has_one_sentence_and_changes_nothing(
    desk: DeskHouse, mistake: str
) -> None:
    ticket = desk.request()
    wang = desk.visit("王秀兰")
    wang.posts(f"/request/{ticket}", act="accept", seen="assigned")
    form, sentence = MISTAKES[mistake]
    lines = len(desk.ledger("withdraw"))
    wang.posts(f"/request/{ticket}", **{"seen": "in_hand", **form})
    assert wang.status == 409
    assert sentence in wang.text
    assert wang.page.text.count('role="alert"') == 1
    assert desk.ticket(ticket).state is State.IN_HAND
    assert len(desk.ledger("withdraw")) == lines
    if len(form.get("why", "")) > 400:
        assert form["why"] in wang.page.text, "what was typed is still there"


def test_wrong_words_and_calls_have_their_sentence_too(desk: DeskHouse) -> None:
    ticket = desk.request()
    withheld = desk.request(phone=None)
    wang = desk.visit("王秀兰")
    assert "还没有写字" in wang.posts("/recording/1/text", text=" ", seen_text="我要交水费").text
    wang.posts("/recording/1/text", text="字" * 5001, seen_text="我要交水费")
    assert "有 5001 个字" in wang.text
    assert "字" * 5001 in wang.page.text
    assert "请先点一下电话打得怎么样" in wang.posts(f"/request/{ticket}/called", how="?").text
    assert "号码没显示，打不了" in wang.posts(f"/request/{withheld}/call").text
    assert "没有这一页" in wang.posts("/request/99", act="accept").text


def test_a_double_press_is_told_that_all_is_well(desk: DeskHouse) -> None:
    ticket = desk.request()
    wang = desk.visit("王秀兰")
    for _ in range(2):
        wang.posts(f"/request/{ticket}", act="accept", seen="assigned")
    assert "「我来办」已经记好了，不用再点" in wang.text
    assert len(desk.ledger("accept")) == 1


def test_two_people_at_one_request_lose_nothing(desk: DeskHouse) -> None:
    ticket = desk.request()
    wang, leader = desk.visit("王秀兰"), desk.visit("吴队长")
    wang.posts(f"/request/{ticket}", act="withdraw", seen="assigned", why="本人说不用了")
    leader.posts(
        f"/request/{ticket}", act="withdraw", seen="assigned", why="家里人去办了，下午去的"
    )
    assert "刚才王秀兰动过这件事，现在是「不用办了」" in leader.text
    assert "您写的还在这里： 家里人去办了，下午去的" in leader.text
    other = desk.request(text="机器的话")
    wang.posts("/recording/2/text", text="王的话", seen_text="机器的话")
    leader.posts("/recording/2/text", text="吴的话", seen_text="机器的话")
    assert "刚才有人先改过了，写的是「 王的话 」" in leader.text
    assert "吴的话</textarea>" in leader.page.text
    assert desk.ticket(other).state is State.ASSIGNED


def test_asking_for_materials_owes_a_call_with_the_list(desk: DeskHouse) -> None:
    ticket = desk.request()
    wang = desk.visit("王秀兰")
    wang.posts(f"/request/{ticket}", act="accept", seen="assigned")
    wang.posts(
        f"/request/{ticket}", act="ask_materials", seen="in_hand", choices=["医保卡", "身份证"], missing="水费单"
    )  # fmt: skip
    assert "还缺： 医保卡、身份证、水费单" in wang.text
    assert "等补材料" in wang.text
    assert "东西齐了，接着办" in wang.text
    with desk.runtime.db.reading() as session:
        owed = session.scalars(select(Promise).where(Promise.duty == Duty.RETURN_CALL)).one()
        assert owed.event is Event.MATERIALS


def test_passed_on_it_leaves_one_list_and_stands_on_the_other(desk: DeskHouse) -> None:
    ticket = desk.request()
    leader = desk.visit("吴队长")
    chen = desk.visit("陈国强")
    assert "现在没有要办的事" in chen.text
    leader.posts(
        f"/request/{ticket}", act="pass_on", seen="assigned", to=str(desk.people["陈国强"])
    )
    assert "还有 1 件事要办" in chen.opens("/").text
    assert "现在没有要办的事" in desk.visit("王秀兰").text
    assert "吴队长转给陈国强" in chen.opens(f"/request/{ticket}").text


def test_another_volunteer_sees_who_has_it_and_may_take_what_nobody_has_begun(
    desk: DeskHouse,
) -> None:
    ticket = desk.request()
    chen = desk.visit("陈国强").opens(f"/request/{ticket}")
    assert "我来办" in chen.text
    assert "换个人办" not in chen.text
    assert "给他打电话" not in chen.text
    assert "由王秀兰在管" in chen.posts(f"/request/{ticket}/call").text
    chen.posts(f"/request/{ticket}", act="accept", seen="assigned")
    assert desk.ticket(ticket).assignee_id == desk.people["陈国强"]


def test_the_committee_reads_and_presses_nothing(desk: DeskHouse) -> None:
    ticket = desk.request()
    for name in ("李主任", "管理员"):
        reader = desk.visit(name)
        assert "李桂芳" in reader.opens("/all").text
        reader.opens(f"/request/{ticket}")
        assert "这一页您只能看" in reader.text
        for button in words.BUTTONS.values():
            assert f">{button.words}<" not in reader.page.text
        for path in (f"/request/{ticket}", f"/request/{ticket}/call", "/recording/1/text"):
            reader.posts(path, act="accept", seen="assigned", text="x")
            assert reader.status == 409
            assert "没有算数" in reader.text
    assert desk.ticket(ticket).state is State.ASSIGNED


def test_the_same_request_twice_is_one(desk: DeskHouse) -> None:
    first, second, third = desk.request(), desk.request(text="水费"), desk.request(text="电费")
    wang = desk.visit("王秀兰")

    def merge(ticket: int, into: str) -> str:
        return wang.posts(f"/request/{ticket}", act="merge", seen="assigned", why=into).text

    assert "没有找到这个编号" in merge(second, "下雨")
    assert "没有找到这个编号" in merge(second, "1123-77")
    assert "写的就是这一件" in merge(second, "1123-02")
    assert "王秀兰并到别的事里：1123-01" in merge(second, "1123-01")
    assert desk.ticket(second).merged_into_id == first
    page = wang.opens(f"/request/{first}").page.text
    assert 'id="recording-1"' in page
    assert 'id="recording-2"' in page, "what was said the second time is heard with the first"
    wang.posts(f"/request/{first}", act="withdraw", seen="assigned", why="本人说不用了")
    assert "那一件已经没人在办了" in merge(third, "1123-02")
    wang.posts(f"/request/{third}", act="refer", seen="assigned", choice="12345")
    assert desk.ticket(third).referred_to is Elsewhere.CITY_LINE


def test_an_old_page_of_the_same_state_is_refused(desk: DeskHouse) -> None:
    """Passed on, a request is assigned as before: only its version tells."""
    ticket = desk.request()
    wang, leader = desk.visit("王秀兰"), desk.visit("吴队长")
    old = re.search(r'name="version" value="(\d+)"', wang.opens(f"/request/{ticket}").page.text)
    assert old
    leader.posts(f"/request/{ticket}", act="pass_on", seen="assigned", to=str(desk.people["陈国强"]))  # fmt: skip
    wang.posts(f"/request/{ticket}", act="pass_on", seen="assigned", version=old[1], to=str(desk.people["吴队长"]))  # fmt: skip
    assert "刚才吴队长动过这件事" in wang.text
    assert desk.ticket(ticket).assignee_id == desk.people["陈国强"]


def test_who_left_no_words_is_owed_a_call(desk: DeskHouse) -> None:
    ticket = desk.request(kind=Kind.RING_BACK, source="short_call")
    wang = desk.visit("王秀兰")
    assert "没留话，请回电" in wang.text
    wang.posts(f"/request/{ticket}", act="accept", seen="assigned")
    wang.posts(f"/request/{ticket}", act="finish", seen="in_hand")
    assert desk.ticket(ticket).state is State.CLOSED


def test_unassigned_requests_stand_on_the_list_of_whoever_is_on_duty(desk: DeskHouse) -> None:
    ticket = desk.request()
    with desk.runtime.db.writing() as session:
        kept = session.get_one(Ticket, ticket)
        kept.assignee_id, kept.state = None, State.NEW
    assert "现在没有要办的事" in desk.visit("陈国强").text
    wang = desk.visit("王秀兰")
    assert "还没人管" in wang.text
    wang.posts(f"/request/{ticket}", act="assign", seen="new", to=str(desk.people["王秀兰"]))
    assert desk.ticket(ticket).state is State.IN_HAND


def test_the_overdue_come_first_and_say_so(desk: DeskHouse) -> None:
    late = desk.request(phone="+8657982345678")
    desk.clock.advance(7000)
    new = desk.request()
    wang = desk.visit("王秀兰")
    assert wang.page.text.index(f"/request/{late}") < wang.page.text.index(f"/request/{new}")
    assert "超时了" in wang.text
    assert "等了1小时56分钟" in wang.text
    assert "今天上午9:40前就该打电话" in wang.text
    assert "来电 0579-****5678" in wang.text


def test_return_calls_are_told_in_plain_words(desk: DeskHouse) -> None:
    ticket = desk.request()
    now = desk.clock.now()
    with desk.runtime.db.writing() as session:
        row = session.get_one(Ticket, ticket)
        wang = ledger.volunteer(desk.people["王秀兰"])
        for act in (Act.ACCEPT, Act.FINISH):
            service.act(session, row, act, wang, now)
        promise = session.scalars(select(Promise).where(Promise.duty == Duty.RETURN_CALL)).one()
        first = dialling.begin(session, [promise], LI, now)
        return_calls.finish_try(session, desk.runtime.settings, first, Outcome.NO_ANSWER, now)
        promises.put_off(promise, now)
        session.flush()
        second = dialling.begin(session, [promise], LI, now.replace(hour=14, minute=35))
        return_calls.finish_try(
            session, desk.runtime.settings, second, Outcome.HEARD, now.replace(hour=14, minute=36)
        )
    page = desk.visit("王秀兰").opens(f"/request/{ticket}").text
    assert "告诉他办好了 上午9:10 未接；下午2:35 已听完并按1" in page
    assert "他本人知道办好了" in page


def test_markup_in_words_stays_words(desk: DeskHouse) -> None:
    ticket = desk.request(text='<script>alert(1)</script>"><b>')
    for path in ("/", f"/request/{ticket}"):
        page = desk.visit("王秀兰").opens(path).page.text
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


def test_every_act_and_state_has_its_words() -> None:
    assert set(words.BUTTONS) == set(Act)
    assert set(words.STATES) == set(State)
    assert all(len(button.words) <= 12 for button in words.BUTTONS.values())
    said = " ".join([*words.STATES.values(), *words.DID.values(), *(b.words for b in words.BUTTONS.values())])  # fmt: skip
    templates = Path(words.__file__).parent.parent / "templates"
    said += " ".join(file.read_text() for file in templates.glob("*.html"))
    for bad in ("工单", "提交", "SLA"):
        assert bad not in said


def test_pages_hold_nothing_inline() -> None:
    templates = Path(words.__file__).parent.parent / "templates"
    for file in templates.glob("*.html"):
        text = file.read_text()
        for inline in ("style=", "<style", "onclick", "onload", "javascript:"):
            assert inline not in text, (file.name, inline)
    assert (templates.parent / "static" / "hotline.css").stat().st_size <= 12_288


def test_a_person_without_duty_has_the_evening(desk: DeskHouse) -> None:
    desk.clock.advance(86_400)
    assert "现在值班： 没有人" in desk.visit("王秀兰").text
    with desk.runtime.db.reading() as session:
        assert session.get_one(Volunteer, desk.people["王秀兰"]).wrong_pins == 0
