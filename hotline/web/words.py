"""What pages say of states, acts and times: one table each, in words a neighbour would use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from markupsafe import Markup, escape

from hotline.clock import local
from hotline.phone import mask
from tickets.bridges import Reached
from tickets.lifecycle import Act, State
from tickets.models import Event, LedgerLine
from tickets.return_calls import RESULTS
from tickets.returns import Outcome
from tickets.trips import Reason

STATES: Mapping[State, str] = {
    State.NEW: "还没人接",
    State.ASSIGNED: "等人去办",
    State.IN_HAND: "正在办",
    State.WAITING: "等补材料",
    State.DONE: "办完了，等回电话",
    State.CLOSED: "办完了，本人知道了",
    State.WITHDRAWN: "不用办了",
    State.VOID: "打错的电话",
    State.MERGED: "并到别的事里了",
    State.REFERRED: "转给别处办了",
}

EVENTS: Mapping[Event, str] = {
    Event.ACCEPTED: "告诉他有人办了",
    Event.VISITED: "告诉他去过了",
    Event.DONE: "告诉他办好了",
    Event.MATERIALS: "告诉他还缺什么",
}


class Asks(StrEnum):
    """What a button needs besides a press."""

    NOTHING = "nothing"
    WHY = "why"
    WHOM = "whom"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Button:
    """How an act is offered: its words, what it asks for, and answers to choose from."""

    words: str
    asks: Asks = Asks.NOTHING
    question: str = ""
    choices: tuple[str, ...] = ()
    first: bool = False  # stands open at the top; the others wait under 「别的情况」


BUTTONS: Mapping[Act, Button] = {
    Act.ACCEPT: Button("我来办", first=True),
    Act.FINISH: Button("办完了", first=True),
    Act.RESUME: Button("东西齐了，接着办", first=True),
    Act.ASSIGN: Button("交给谁办", Asks.WHOM, "交给谁？"),
    Act.ASK_MATERIALS: Button("还缺东西", Asks.MISSING, "还缺什么？我们会打电话告诉他。", ("身份证", "户口本", "医保卡", "银行卡", "一寸照片", "病历", "缴费单", "委托书")),
    Act.PASS_ON: Button("换个人办", Asks.WHOM, "换给谁？"),
    Act.CONFIRM: Button("当面告诉他了", Asks.NOTHING, "他本人已经知道办好了，不用再打电话。"),
    Act.REOPEN: Button("没办好，再办", Asks.WHY, "哪里没办好？", ("他说没办好", "办错了", "又出了问题")),
    Act.REFER: Button("转给别处办", Asks.WHY, "转给哪里？", ("12345", "120", "110", "社区民警", "家电维修")),
    Act.MERGE: Button("跟别的事是一件", Asks.WHY, "跟哪一件是一回事？写上编号。"),
    Act.WITHDRAW: Button("不用办了", Asks.WHY, "为什么不用办了？", ("本人说不用了", "已经自己办好了", "家里人去办了")),
    Act.VOID: Button("打错了，没这事", Asks.WHY, "怎么看出来的？", ("打错了", "没有声音", "不是找我们的")),
}  # fmt: skip

TALKED = {
    "reached": "打通了，已经说清楚",
    "go_out": "打通了，还要出门办",
    "nobody": "没人接，等会再打",
}
# What the line knows of a bridged call, as the answer of a person; they may know better.
PREFILLED: Mapping[Reached | None, str] = {
    Reached.TALKED: "reached",
    Reached.NO_ANSWER: "nobody",
    Reached.BUSY: "nobody",
}
WRONG_NUMBER = "号码不对"

REASONS: Mapping[Reason, str] = {
    Reason.MATERIALS: "东西没带齐",
    Reason.CLOSED: "窗口关门",
    Reason.BREAKDOWN: "机器坏了",
    Reason.WRONG_PLACE: "找错地方",
    Reason.IN_PERSON: "要本人到场",
    Reason.OTHER: "别的原因",
}

DID: Mapping[str, str] = {
    "open": "登记",
    "assign": "派给{to}",
    "accept": "{who}接下了",
    "pass_on": "{who}转给{to}",
    "ask_materials": "{who}说还缺东西",
    "resume": "{who}接着办",
    "finish": "{who}说办完了",
    "confirm": "{who}知道办好了",
    "reopen": "又要办：{why}",
    "merge": "{who}并到别的事里：{why}",
    "refer": "{who}转给{why}",
    "withdraw": "{who}说不用办了：{why}",
    "undo": "{who}撤回了刚才那一下",
    "void": "{who}说是打错的：{why}",
    "owe_return_call": "要回电话：{event}",
    "return_call": "回电话：{outcome}",
    "rang_volunteer": "打电话给{to}：{outcome}",
    "rate": "{who}说办得{satisfaction}",
    "urgent": "急：{why}",
    "urge": "{who}催快点办：{why}",
    "bring_forward": "{who}：{why}",
    "ring_back": "要给他回电话：{why}",
    "keep": "{who}留了话",
    "keep_instead": "{who}重新说了一遍",
    "keep_with_request": "{who}又补充了几句",
    "keep_reply": "{who}在回电话时说了话",
    "see_number": "{who}看了电话号码",
    "bridge": "{who}让电话打给他",
    "bridged": "打给他的电话：{why}",
    "called": "{who}打了电话：{why}",
    "spot_check": "{who}抽查过：{why}",
    "correct": "{who}改了听写的字",
    "outing": "{who}记了一次出门",
    "withdraw_outing": "{who}撤回了一次出门",
    "take_along": "{who}带走了他的东西",
    "give_back": "{who}说东西还了",
    "confirm_back": "他本人说东西收到了",
    "describe": "{who}记下是什么事",
    "play_back": "{who}听了一遍自己的话",
    "choose_matter": "{who}看是{why}",
    "take_number": "{who}记下了他说的号码",
}
SATISFIED = {1: "好", 2: "一般", 3: "不好"}
PEOPLE = {"caller": "他本人", "system": "电脑"}
WEEKDAYS = "一二三四五六日"
STARRED = re.compile(r"([\d-]*\*{2,}[\d*]*)")


def line(entry: LedgerLine, names: Mapping[int, str]) -> str | None:
    """One line of a request's life; None for what is no news to whoever works on it."""
    if entry.act not in DID:
        return None
    facts = entry.facts
    whom = facts.get("to")
    return DID[entry.act].format(
        who=person(entry.person, names),
        to=names.get(whom, "别人") if isinstance(whom, int) else "",
        why=entry.why or "没写原因",
        event=_named(EVENTS, facts.get("event")),
        outcome=_named(RESULTS, facts.get("outcome")),
        satisfaction=SATISFIED.get(facts.get("satisfaction", 0), ""),
    )


def person(label: str, names: Mapping[int, str]) -> str:
    """`volunteer:3` by name."""
    kind, _, number = label.partition(":")
    return names.get(int(number), "一位志愿者") if number.isdigit() else PEOPLE.get(kind, "电脑")


def outcome(word: str | None) -> str:
    """How a try of a return call went."""
    return RESULTS[Outcome(word)] if word in list(Outcome) else "正在打"


def caller(phone: str | None) -> str:
    """A caller nobody need recognise: 138****1234, or that the number was not shown."""
    return mask(phone) if phone else "号码没显示"


def hour(at: datetime) -> str:
    """下午2:30"""
    at = local(at)
    part = "早上" if at.hour < 8 else "上午" if at.hour < 12 else "中午" if at.hour < 13 else "下午" if at.hour < 18 else "晚上"  # fmt: skip
    return f"{part}{at.hour if at.hour <= 12 else at.hour - 12}:{at.minute:02d}"


def moment(at: datetime, now: datetime) -> str:
    """今天下午2:30, 昨天上午9:05, 11月20日上午9:05"""
    days = (local(at).date() - local(now).date()).days
    near = {0: "今天", -1: "昨天", 1: "明天"}.get(days)
    return (near or f"{local(at).month}月{local(at).day}日") + hour(at)


def day(at: datetime) -> str:
    """11月23日 星期一"""
    at = local(at)
    return f"{at.month}月{at.day}日 星期{WEEKDAYS[at.weekday()]}"


def waited(since: datetime, now: datetime) -> str:
    """How long somebody has waited: 刚刚, 35分钟, 2小时5分钟, 3天"""
    minutes = int((now - since) / timedelta(minutes=1))
    if minutes < 1:
        return "刚打来"
    if minutes < 60:
        return f"等了{minutes}分钟"
    if minutes < 48 * 60:
        rest = f"{minutes % 60}分钟" if minutes % 60 else ""
        return f"等了{minutes // 60}小时{rest}"
    return f"等了{minutes // (24 * 60)}天"


def grouped(dialled: str) -> str:
    """Digits as they are read aloud: 138 1234 5678, 0579 8234 5678"""
    if len(dialled) == 11 and dialled.startswith("1"):
        return f"{dialled[:3]} {dialled[3:7]} {dialled[7:]}"
    tail = [dialled[-8:-4], dialled[-4:]]
    return " ".join(part for part in (dialled[:-8], *tail) if part)


MOST_REASONS = 3  # words that spoke for a guess; more are not read


def guess(suggested: Mapping[str, Any]) -> str:
    """可能是：医保报销（听到：看病的钱、报销）"""
    reasons = "、".join(suggested["because"][:MOST_REASONS]).replace("…", "……")
    return f"可能是：{suggested['name']}（听到：{reasons}）"


def door(place: str) -> str:
    """27-2-302 as 27幢2单元302"""
    return "".join(f"{part}{name}" for part, name in zip(place.split("-"), ("幢", "单元", ""), strict=False))  # fmt: skip


def whole(text: str) -> Markup:
    """A title whose masked number is not broken into two lines."""
    parts = STARRED.split(text)  # words, number, words, number …
    kept = [Markup('<span class="whole">{}</span>').format(p) if n % 2 else escape(p) for n, p in enumerate(parts)]  # fmt: skip
    return Markup("").join(kept)


def clean(text: str) -> str:
    """What a person typed, without the marks that turn text around or hide in it."""
    turning = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0xFEFF}
    kept = (c for c in text.replace("\r\n", "\n") if c == "\n" or (c >= " " and ord(c) not in turning and c != "\x7f"))  # fmt: skip
    return "".join(kept).strip()


def whole_number(written: str) -> int:
    """The number that a form names a row by; 0 for what is none."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else 0


def _named(table: Mapping[Any, str], word: object) -> str:
    """The words for a value as the ledger keeps it, plain."""
    return table.get(word, "") if isinstance(word, str) else ""
