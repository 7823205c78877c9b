"""What 工单> and 回电> lines of a transcript expect of the house's books."""

import re
from datetime import datetime, timedelta

from books import Books, Errand, ReturnCall
from grammar import SHANGHAI, TranscriptError, instant

NOON_HOUR = 12  # where the two halves of a day meet
COUNTS = {"没有": 0, "一": 1, "两": 2, "三": 3}
STATES = frozenset(
    [
        "已登记",
        "已派单",
        "办理中",
        "待补材料",
        "已办结",
        "已回访",
        "已撤销",
        "无效",
        "已并单",
        "已转办",
    ]
)
REGISTERED = ("已登记", "已派单")  # a new request is assigned at once where somebody is on duty


def errands_are(what: str, before: list[Errand], books: Books, phone: str) -> None:
    """「一张 已登记 派给 今天值班的人」 asks for the new requests, 「在办的 …」 for the one before."""
    words, now = what.split(), books.errands()
    new = now[len(before) :]
    old = before[-1] if before else None
    if words[0] == "在办的":
        assert old, "没有在办的"
        errand: Errand | None = now[len(before) - 1]
        words = words[1:]
    else:
        errand = new[-1] if new else None
    for word in words:
        if match := re.fullmatch(r"(没有|一|两|三)(?:张|新的)?", word):
            assert len(new) == COUNTS[match[1]], f"有 {len(new)} 张新的：{new}"
            continue
        assert errand, "没有新的"
        if match := re.fullmatch(r"录音(一|两|三)段", word):
            right = errand.recordings == COUNTS[match[1]]
        elif word in STATES:
            right = errand.state == word or (word == "已登记" and errand.state in REGISTERED)
        elif word == "多一段录音":
            right = old is not None and errand.recordings == old.recordings + 1
        elif word == "今天值班的人":
            right = errand.assignee == books.on_duty() != ""
        elif word == "号码没显示":
            right = errand.phone == ""
        elif word == "有号码":
            right = errand.phone == phone
        elif word in ("第一轮", "第二轮"):
            right = errand.round == ("第一轮", "第二轮").index(word) + 1
        elif word == "加急":
            right = errand.urgent
        elif word == "派给":
            right = errand.assignee != ""
        else:
            raise TranscriptError(f"看不懂「{word}」")
        assert right, f"不是「{word}」：{errand}，之前 {old}，值班 {books.on_duty()!r}"


def ring_backs_are(what: str, books: Books, phone: str) -> None:
    owed = books.ring_backs_owed()
    match what:
        case "不欠志愿者":
            assert not owed, f"还欠：{owed}"
        case "欠志愿者一个" | "欠志愿者一个 加急":
            assert [back.phone for back in owed] == [phone], f"欠的是：{owed}"
            assert owed[0].urgent == what.endswith("加急"), f"欠的是：{owed}"
        case _:
            raise TranscriptError("看不懂")


def newest_return_call(books: Books) -> ReturnCall:
    calls = books.return_calls()
    assert calls, "没有回电"
    return calls[-1]


def return_call_is(what: str, books: Books, now: datetime) -> None:
    call = newest_return_call(books)
    if not what.startswith("再打 "):
        assert call.outcome == what, call
        return
    when, here = what.removeprefix("再打 "), now.astimezone(SHANGHAI)
    assert call.outcome == "欠着", call
    assert call.due is not None, call
    due = call.due.astimezone(SHANGHAI)
    if match := re.fullmatch(r"(\d+)分钟后", when):
        right = abs(due - here - timedelta(minutes=int(match[1]))) <= timedelta(minutes=2)
    elif when == "另半天":
        soon = due - here <= timedelta(hours=24)
        right = soon and (due.hour < NOON_HOUR) != (here.hour < NOON_HOUR)
    elif when == "第二天":
        right = due.date() == here.date() + timedelta(days=1)
    else:
        right = due == instant(when)
    assert right, f"定在 {due:%m-%d %H:%M}，现在 {here:%m-%d %H:%M}"
