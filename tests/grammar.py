"""How a call is written down: one line a step, `谁> 什么`, in Chinese that a committee member can correct."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from carriers.company import WITHHELD

SHANGHAI = ZoneInfo("Asia/Shanghai")
YEAR = 2026

PHONES = {
    "认得": "+8613812345678",
    "座机": "+8657982345678",
    "陌生": "+8615957912345",
    "分机": "801",
    "不显示": WITHHELD,
    "值班的人": "+8613900000002",
    "管理员": "+8613900000004",
}
VOLUNTEERS = {
    "王秀兰": "+8613900000001",
    "陈国庆": "+8613900000002",
    "李爱华": "+8613900000003",
}
PIN = "246813"
CAPABILITIES = {"耳语": "whisper", "应答检测": "MachineDetection"}
KEY = r"按 ?[0-9#*]"
ACT = (
    rf"（(\d+秒)?不按键）|(马上)?{KEY}|按密码( \d+)?|不说话|(\d+秒后)?挂断"
    rf"|录音 ?[\"“].+?[\"”]( \d+秒)?( (挂断|不说了|{KEY}))?"
)
INSTANT = r"\d+月\d+日 \d+:\d+(:\d+)?"
LINES = {
    "电话": "|".join(PHONES),
    "时间": rf"{INSTANT}|过\d+(秒|分钟|小时)|到回电的时候",
    "在办": ".+",
    "需要": "|".join(CAPABILITIES),
    "值班": "打电话",
    "铃响": "没有|" + "|".join(VOLUNTEERS),
    "来电": f"拨打|{ACT}",
    "接听": f"接起|占线|没人接|打不通|答录机|{ACT}",
    "志愿者": "接起 (按1( 说完挂断)?|不按键|挂断)|占线|没人接|听到 .+",
    "办理": "受理|上门|出门|带走 .+|还了|交班留话 .+|办好了|缺材料 .+",
    "核对": ".+",
    "听写": "还没好|好了",
    "系统": ".+",
    "系统不说": ".+",
    "工单": ".+",
    "回电": rf"不欠志愿者|欠志愿者一个( 加急)?|已听到|已留言|欠上门|告诉居委会|作废|拨了\d次"
    rf"|再打 (\d+分钟后|另半天|第二天|{INSTANT})",
}  # who speaks, and what can be written there


class TranscriptError(AssertionError):
    """The service does not do what the transcript says; names file and line."""


@dataclass(frozen=True)
class Line:
    number: int
    who: str
    what: str


@dataclass(frozen=True)
class Transcript:
    name: str
    title: str
    lines: tuple[Line, ...]

    @property
    def needs(self) -> frozenset[str]:
        """Capabilities without which this call cannot take place."""
        return frozenset(CAPABILITIES[line.what] for line in self.lines if line.who == "需要")


def read(path: Path) -> Transcript:
    """Comments begin with #; the first one is the title. Every other line is `谁> 什么`."""
    title, lines = "", []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if text.startswith("#"):
            title = title or text.lstrip("# ").strip()
        elif text.strip():
            who, arrow, what = text.partition(">")
            if not arrow or not re.fullmatch(LINES.get(who.strip(), "(?!)"), what.strip()):
                raise TranscriptError(f"{path.name}:{number}: 看不懂「{text}」")
            lines.append(Line(number, who.strip(), what.strip()))
    return Transcript(path.stem, title, tuple(lines))


def instant(text: str) -> datetime:
    """「11月23日 09:10」 or 「11月23日 09:10:30」 in Shanghai."""
    match = re.fullmatch(r"(\d+)月(\d+)日 (\d+):(\d+)(?::(\d+))?", text)
    if match is None:
        raise TranscriptError(f"看不懂时间「{text}」")
    month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    return datetime(YEAR, month, day, hour, minute, second, tzinfo=SHANGHAI)


def pattern(words: str) -> re.Pattern[str]:
    """Words as they are written; {…} and … stand for anything."""
    parts = re.split(r"(\{[^}]*\}|…+)", re.sub(r"\s", "", words))
    return re.compile(
        "".join(
            ".+?" if part.startswith("{") else ".*?" if part.startswith("…") else re.escape(part)
            for part in parts
        )
    )
