"""The committee's figures counted by hand: from the sheets it can export, with none of the code
that counts them in the house."""

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

Sheets = dict[str, list[dict[str, Any]]]
NOTHING, ENDED = {"无效", "已并单"}, {"无效", "已并单", "已撤销", "已转办"}


def recount(sheets: Sheets, start: datetime, end: datetime, now: datetime) -> dict[str, Any]:
    """Every figure as (k, n), and the others by name. Times are the neighbourhood's, without zone."""

    def inside(written: str, *, due: bool = False) -> bool:
        return bool(written) and start <= at(written) < (min(end, now) if due else end)

    calls = [c for c in sheets["calls"] if c["方向"] == "打进来" and inside(c["时间"])]
    errands = [t for t in sheets["tickets"] if t["类别"] == "求助"]
    ring_backs = [
        t for t in sheets["tickets"]
        if t["类别"] == "没留话" and t["状态"] not in NOTHING | {"已撤销"} and inside(t["联系期限"], due=True)
    ]  # fmt: skip
    contacts = [
        t for t in errands if t["状态"] not in NOTHING | {"已撤销"} and inside(t["联系期限"], due=True)
    ]  # fmt: skip
    taken_in = [t for t in errands if t["状态"] not in ENDED and inside(t["登记时间"])]
    limits = [t for t in errands if t["状态"] not in ENDED and inside(t["办理期限"], due=True)]
    done = [t for t in errands if t["状态"] not in ENDED and inside(t["第一次办完"])]
    answered = [
        r for r in sheets["return_calls"]
        if r["消息"] == "办好了" and r["结果"] in {"听完按1", "留了话", "和志愿者说上话"} and inside(r["结束时间"])
    ]  # fmt: skip

    def trips(t: dict[str, Any]) -> int:
        return int(t["居民跑动"]) + int(t["志愿者跑动"])

    def again_within_a_week(t: dict[str, Any]) -> bool:
        return bool(t["重新办理"]) and at(t["重新办理"]) - at(t["第一次办完"]) < timedelta(days=7)

    def of(rows: list[dict[str, Any]], condition: Any) -> tuple[int, int]:
        return sum(bool(condition(row)) for row in rows), len(rows)

    def in_time(t: dict[str, Any]) -> bool:
        return bool(t["联系时间"]) and t["联系时间"] <= t["联系期限"]

    def on_time(t: dict[str, Any]) -> bool:
        return bool(t["办完时间"]) and t["办完时间"] <= t["办理期限"]

    ended = defaultdict(list)
    for call in sheets["calls"]:
        ended[str(call["求助序号"])].append(call["结束时间"])
    minutes = sorted(
        _minutes_on_duty(sheets["duty"], ended[str(t["序号"])], t) for t in errands if inside(t["联系时间"])
    )  # fmt: skip
    return {
        "reached": of(calls, lambda c: c["志愿者接了"] == "是" or c["留了话"] == "是"),
        "answered_fast": of(
            calls, lambda c: c["应声时间"] and at(c["应声时间"]) - at(c["时间"]) <= timedelta(seconds=15)
        ),
        "called_back": of(ring_backs, in_time),
        "responded": of(contacts, in_time),
        "finished": of(taken_in, lambda t: t["状态"] in {"已办结", "已回访"}),
        "on_time": of(limits, on_time),
        "overdue": of(limits, lambda t: not on_time(t)),
        "passed_on": of(taken_in, lambda t: t["转派过"] == "是"),
        "once": of(done, lambda t: trips(t) <= 1 and not again_within_a_week(t)),
        "stayed_home": of(
            done, lambda t: int(t["居民跑动"]) == 0 and not int(t["居民自己说跑了"] or 0)
        ),
        "redone": of(done, lambda t: t["重新办理"]),
        "solved": of(answered, lambda r: r["结果"] == "听完按1" and r["满意"] != "没办好"),
        "satisfied": of(answered, lambda r: r["满意"] == "满意"),
        "trips": (sum(map(trips, done)), len(done)),
        "reasons": _reasons(sheets, start, end),
        "median": minutes[math.ceil(len(minutes) * 0.5) - 1] if minutes else None,
        "p90": minutes[math.ceil(len(minutes) * 0.9) - 1] if minutes else None,
    }  # fmt: skip


def at(written: str) -> datetime:
    return datetime.fromisoformat(written)


def _reasons(sheets: Sheets, start: datetime, end: datetime) -> Counter[str]:
    """Why each outing of a request after its first was made."""
    errands = {str(t["序号"]) for t in sheets["tickets"] if t["类别"] == "求助"}
    outings = defaultdict(list)
    for journey in sheets["journeys"]:
        if str(journey["求助序号"]) in errands:
            outings[str(journey["求助序号"])].append(journey)
    found: Counter[str] = Counter()
    for made in outings.values():
        made.sort(key=lambda j: (j["时间"], int(j["序号"])))
        for before, again in pairwise(made):
            if start <= at(again["时间"]) < end:
                found[before["为什么没办成"] or again["为什么没办成"] or "其他"] += 1
    return found


def _minutes_on_duty(duty: list[dict[str, Any]], ended: list[str], ticket: dict[str, Any]) -> int:
    """Second by second it would be the same: the shifts cut to the wait, overlaps once."""
    began = max([ticket["登记时间"], *filter(None, ended)])
    pieces = sorted(
        (max(s["开始"], began), min(s["结束"], ticket["联系时间"])) for s in duty
    )  # fmt: skip
    waited, reached = timedelta(), datetime.min  # noqa: DTZ901
    for start, end in pieces:
        if start < end:
            waited += max(at(end) - max(at(start), reached), timedelta())
            reached = max(reached, at(end))
    return int(waited.total_seconds()) // 60
