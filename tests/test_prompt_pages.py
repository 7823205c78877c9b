"""An administrator's afternoon with the prompts: upload, hear, use, go back; and recording in a real browser."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import chromium, looking, serving
from conftest import HandClock
from desk_house import BASE, DeskHouse, Visit, open_desk
from sounds import encoded, pcm16, saved, silence, voice, wav
from sqlalchemy import select

from hotline.heard_sheet import HEARD
from ivr import studio
from ivr.models import Call, Turn
from ivr.parts import JINHUA, NUMBER_OF, Spot
from ivr.takes import Origin, Take

GREETING = Spot("I01", 1)
PAGE = f"/prompts/{NUMBER_OF[GREETING]}"
GOOD = wav(pcm16(voice(3)))


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> Iterator[DeskHouse]:
    desk = open_desk(tmp_path, clock)
    yield desk
    desk.runtime.close()


@pytest.fixture
def admin(desk: DeskHouse) -> Visit:
    return desk.visit("管理员")


def uploads(admin: Visit, content: bytes, name: str = "一句话.wav", page: str = PAGE) -> Visit:
    form = {"csrf_token": admin.token(), "from": "file", "sound": (io.BytesIO(content), name)}
    admin.page = admin.client.post(page, data=form, base_url=BASE, follow_redirects=True)
    return admin


def standing(desk: DeskHouse, spot: Spot = GREETING) -> studio.Standing:
    with desk.runtime.db.reading() as session:
        return studio.standings(session, desk.runtime.settings)[spot]


def test_a_recording_is_heard_before_it_counts_and_an_earlier_one_comes_back(
    desk: DeskHouse, admin: Visit
) -> None:
    assert "您好，这里是红色助跑热线。" in admin.opens(PAGE).text
    assert "还没有录过" in admin.text
    said = admin.client.get(f"{PAGE}/machine", base_url=BASE).data
    assert len(said) > 8000 * 2 * 3, "seconds of espeak-ng"
    uploads(admin, GOOD)
    assert "录好了，留下来了" in admin.text
    assert "由机器念" not in admin.text
    assert standing(desk).take is None
    uploads(admin, encoded(voice(2, seed=2), "webm", "libopus", rate_hz=48_000), "一句话.webm")
    first, second = standing(desk).takes

    for take, said in ((second, "用第2遍"), (first, "用第1遍")):
        admin.posts(f"{PAGE}/use", take=str(take.id))
        assert f"从下一个电话起，{said}" in admin.text
        assert standing(desk).take is not None
        assert standing(desk).take.id == take.id
    assert f"真人 现在{said}" in admin.text
    assert "普通话：真人 第1遍，管理员" in admin.opens("/prompts").text
    assert "真人录了 1 句" in admin.text
    heard = admin.client.get(f"/prompts/sound/{first.id}", base_url=BASE).data
    played = admin.client.get(f"/ivr/prompt/{first.sha256}.wav", base_url=BASE).data
    assert heard == played != GOOD
    with desk.runtime.prompt_store.open(first.original_key or "") as kept:
        assert kept.read() == GOOD

    admin.posts(f"{PAGE}/use", take="")
    assert "由机器念。录音都留着" in admin.text
    assert standing(desk).take is None
    assert len(standing(desk).takes) == 2


@pytest.mark.parametrize(
    ("content", "said", "kept"),
    [
        (b"<html>" * 300, "这个文件不是录音", 0),
        (wav(pcm16(silence(3))), "没听到有人说话", 1),
        (wav(pcm16(voice(18))), "太长了，一句最多 16 秒", 1),
        (wav(pcm16(voice(3, level_dbov=-60))), "声音太小", 1),
        (wav(pcm16(voice(3, level_dbov=3))), "声音太大", 1),
    ],
    ids=["page", "silent", "long", "quiet", "clipped"],
)
def test_what_cannot_be_used_is_told_in_one_sentence_and_kept_to_hear(
    desk: DeskHouse, admin: Visit, content: bytes, said: str, kept: int
) -> None:
    assert said in uploads(admin, content).text
    assert admin.status == 409
    takes = standing(desk).takes
    assert len(takes) == kept
    for take in takes:
        heard = admin.client.get(f"/prompts/sound/{take.id}", base_url=BASE)
        assert heard.data == content
        admin.posts(f"{PAGE}/use", take=str(take.id))
        assert "不能用" in admin.text
        assert standing(desk).take is None


def test_forms_that_are_odd_change_nothing(desk: DeskHouse, admin: Visit) -> None:
    uploads(admin, GOOD)
    take = standing(desk).takes[0]
    assert "还没有选文件" in admin.posts(PAGE).text
    admin.page = admin.client.post(
        PAGE, base_url=BASE, content_type="multipart/form-data; boundary=x",
        environ_overrides={"CONTENT_LENGTH": "10000001"},
    )  # fmt: skip
    assert "送来的东西太大了" in admin.text
    other = NUMBER_OF[Spot("I01", 1, JINHUA)]
    for page, chosen in ((PAGE, "99"), (PAGE, "x"), (f"/prompts/{other}", str(take.id))):
        assert admin.posts(f"{page}/use", take=chosen).status == 404
    for page in ("/prompts/9999", "/prompts?of=X", "/prompts/sound/99"):
        assert admin.opens(page).status == 404
    assert len(standing(desk).takes) == 1
    assert standing(desk).choice is None
    for nobody in ("李主任", "王秀兰"):
        visit = desk.visit(nobody)
        for page in ("/prompts", PAGE, f"/prompts/sound/{take.id}"):
            assert visit.opens(page).status == 403
        assert visit.posts(f"{PAGE}/use", take=str(take.id)).status == 403


def test_what_a_call_heard_stands_on_its_case_and_in_the_sheet(
    desk: DeskHouse, admin: Visit
) -> None:
    uploads(admin, GOOD)
    take = standing(desk).takes[0]
    admin.posts(f"{PAGE}/use", take=str(take.id))
    desk.clock.advance(60)
    ticket_id, now = desk.request(), desk.clock.now()
    with desk.runtime.db.writing() as session:
        call = Call(carrier_sid="CA1", flow="inbound", started_at=now, caller_kind="known")
        session.add(call)
        session.flush()
        for number, prompts in enumerate((("I01", "I03"), ("I04",)), 1):
            says = [{"prompt": prompt, "slots": {"progress": "秘密"}} for prompt in prompts]
            session.add(
                Turn(
                    call_id=call.id, number=number, step="x", says=says, memory={}, heard="", at=now
                )
            )
        session.merge(desk.ticket(ticket_id)).call_id = call.id
    committee = desk.visit("李主任").opens(f"/case/{ticket_id}")
    assert re.search(r"I01 您好.*普通话，真人第1遍 I03 .*机器念 I04 您上次说的事， 机器念 I04 〔办到哪一步〕。 机器念", committee.text)  # fmt: skip
    assert "秘密" not in committee.text
    with desk.runtime.db.reading() as session:
        rows = list(HEARD.rows(session, now, desk.clock.now().replace(hour=23)))
    assert [row[3:8] for row in rows] == [
        ["I01", 1, "真人", "普通话", 1], ["I03", 1, "机器", "", None],
        ["I04", 1, "机器", "", None], ["I04", None, "机器", "", None],
    ]  # fmt: skip
    assert committee.client.get("/audit/heard.xlsx?month=2026-11", base_url=BASE).data[:2] == b"PK"


def test_what_is_spoken_into_the_microphone_becomes_a_take(
    tmp_path: Path, clock: HandClock
) -> None:
    """The browser's stand-in device plays a file as if somebody spoke."""
    spoken = saved(tmp_path, "spoken.wav", wav(pcm16(voice(8))))
    microphone = (
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken}",
    )  # fmt: skip
    with (
        serving(tmp_path / "house", clock, demo=True) as served,
        chromium(*microphone) as browser,
        looking(browser, served, permissions=["microphone"]) as look,
    ):
        look.signs_in("管理员").page.goto(served.url + PAGE)
        page = look.page
        page.click("text=开始录")
        page.wait_for_selector("text=正在录")
        page.wait_for_timeout(3000)  # the speaking takes so long
        page.click("button:text-is('念完了，停')")
        page.click("button:text-is('留下这一遍')")
        page.wait_for_selector("text=录好了，留下来了")
        assert page.evaluate("""async () => {
            const sound = document.querySelector(".card .player audio"); await sound.play(); return sound.duration;
        }""") == pytest.approx(3, abs=0.8)  # fmt: skip
        page.click("button:text-is('用这一遍')")
        page.wait_for_selector("text=从下一个电话起，用第1遍")
        assert look.complaints == []
        with served.desk.runtime.db.reading() as session:
            take = session.scalars(select(Take)).one()
        assert (take.origin, take.fault, take.original_type) == (Origin.BROWSER, None, "audio/webm")
        assert standing(served.desk).take is not None
