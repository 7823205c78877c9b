"""The player of transcripts is itself tried, against a little hotline written by hand."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from books import Errand, ReturnCall, RingBack
from carriers.company import Company
from carriers.little import PUBLIC, RECORD, Clock, LittleService
from carriers.somleng import Somleng
from carriers.sound import silence
from carriers.twilio import Twilio
from flask import Flask, Response, request
from grammar import TranscriptError, instant, read
from transcript import Player

QUIET = f"<Play>{PUBLIC}/quiet.wav</Play>"
GREETING = (
    f'<Gather action="{PUBLIC}/key" method="POST" numDigits="1" timeout="4" finishOnKey="">'
    "<Say>您好，这里是平安小区。</Say><Say>想找人说话，请按0。</Say></Gather>"
    f"<Redirect>{PUBLIC}/speak</Redirect>"
)
SPEAK = f"<Say>听到嘀一声，请说。</Say>{RECORD}"
DOCUMENTS = {
    "/ivr/ring": GREETING,
    "/speak": SPEAK,
    "/key": QUIET + SPEAK,
    "/empty": "<Say>还是没听清。再见。</Say><Hangup/>",
    "/recorded": "<Say>好，记下了。再见。</Say><Hangup/>",
}


@dataclass
class LittleBooks:
    """One request for each recording that was heard of."""

    service: LittleService
    open: list[Errand] = field(default_factory=list)

    def knows(self, phone: str) -> None: ...

    def has_open(self, phone: str, matter: str) -> None:
        self.open.append(Errand("办理中", "王阿姨", phone, 1))

    def errands(self) -> list[Errand]:
        heard = {
            form["RecordingUrl"].rsplit("/", 1)[1].split(".")[0]
            for path, form in self.service.posted
            if path == "/recording"
        }
        return [*self.open, *(Errand("已派单", "李师傅", "+8613812345678", 1) for _ in heard)]

    def ring_backs_owed(self) -> list[RingBack]:
        return []

    def return_calls(self) -> list[ReturnCall]:
        return [ReturnCall("欠着", instant("11月23日 14:30"))]

    def on_duty(self) -> str:
        return "李师傅"

    def act(self, news: str, detail: str = "") -> None: ...

    def works(self) -> None: ...

    def words_of_sound(self, url: str) -> str:
        return ""


class LittleHouse:
    public_url = PUBLIC

    def __init__(self, company: Company) -> None:
        service = LittleService(DOCUMENTS, company.secret)
        self.app: Flask = service.app
        self.app.before_request(_quiet)
        self.clock = Clock()
        self.books = LittleBooks(service)


def _quiet() -> Response | None:
    if request.path == "/quiet.wav":
        return Response(silence(1), content_type="audio/wav")
    return None


def plays(tmp_path: Path, text: str, kind: type[Company] = Twilio) -> None:
    path = tmp_path / "call.txt"
    path.write_text(f"# 一通电话\n{text}", encoding="utf-8")
    with kind() as company:
        Player(LittleHouse(company), company).play(read(path))


@pytest.mark.parametrize("kind", [Twilio, Somleng])
@pytest.mark.parametrize(
    "text",
    [
        """来电> （4秒不按键）
        系统> 听到嘀一声，请说。（嘀）
        来电> 录音 "我要交水费" 挂断
        工单> 一张 已登记 派给 今天值班的人 录音一段""",
        """来电> 拨打
        系统> 您好，这里是{热线名}。想找人说话，请按0。
        系统不说> 再见
        来电> 按 7
        系统> 听到嘀一声，请说。
        来电> 录音 "喂" 按 1
        系统> 好，记下了。…见。
        系统> （挂断）""",
        """在办> 交水费
        来电> 3秒后挂断
        工单> 没有
        工单> 在办的 办理中
        回电> 不欠志愿者
        回电> 再打 11月23日 14:30
        回电> 再打 另半天""",
    ],
)
def test_a_true_transcript_plays(tmp_path: Path, text: str, kind: type[Company]) -> None:
    plays(tmp_path, text, kind)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("来电> （8秒不按键）", "等了 4 秒"),
        ("来电> 拨打\n系统> 请按0。\n系统> 您好", "听到的是"),
        ("来电> 拨打\n系统不说> 您好", "却说了"),
        ("来电> 拨打\n系统> （挂断）", "还没有挂断"),
        ('来电> 录音 "喂" 挂断', "没有录音"),
        ('来电> （不按键）\n来电> 录音 "喂" 挂断\n工单> 没有', "有 1 张新的"),
        ('来电> （不按键）\n来电> 录音 "喂" 挂断\n工单> 一张 号码没显示', "不是「号码没显示」"),
        ("来电> 挂断\n回电> 欠志愿者一个", "欠的是"),
        ("回电> 再打 10分钟后", "定在 11-23 14:30"),
        ("来电> 唱歌", "看不懂"),
        ("邻居> 你好", "看不懂"),
        ("接听> 接起", "电话没有响"),
        ("来电> 拨打\n志愿者> 没人接", "没有拨志愿者"),
    ],
)
def test_a_false_transcript_is_found(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(TranscriptError, match=complaint):
        plays(tmp_path, text)


def test_the_rules_that_every_call_must_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DOCUMENTS, "/key", SPEAK)
    with pytest.raises(TranscriptError, match=r"开口前只静了 0\.0 秒"):
        plays(tmp_path, "来电> 按 1\n系统> （嘀）")
    monkeypatch.setitem(DOCUMENTS, "/key", QUIET + SPEAK.replace('"180"', '"600"'))
    with pytest.raises(TranscriptError, match="最多录 600 秒"):
        plays(tmp_path, '来电> 按 1\n来电> 录音 "喂" 挂断')
    monkeypatch.setitem(DOCUMENTS, "/key", QUIET + SPEAK.replace("请说", "您的输入有误"))
    with pytest.raises(TranscriptError, match="说了「有误」"):
        plays(tmp_path, "来电> 按 1")
