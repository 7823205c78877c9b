"""A call played in the terminal: the true flow and the true words, no telephone and no database."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hotline.config import Settings
from ivr import prompts
from ivr.engine import Heard, Place, Way, advance, begin, fact, waits
from ivr.steps import End, Find, Flow, Menu, Pin, Record, Said, Waiting

HANG_UP = "h"
PIN = "123456"

# What stands in the slots when nobody really rang.
EXAMPLES: Mapping[str, str] = {
    "progress": "正在帮您办", "time": "今天下午四点", "within": "两小时", "next_duty": "明天上午八点半",
    "day": "昨天", "who": "王师傅", "materials": "身份证", "news_day": "今天", "by": "明天上午十点",
    "when": "昨天下午四点", "in_hand": "一", "until": "今天上午十一点半", "phone": prompts.spoken_digits("13812345678"),
}  # fmt: skip
SOUNDS = {"beep": "（嘀——）", "second": "（停一秒）", "two_seconds": "（停两秒）"}


class Rehearsal:
    """One rehearsed call. Ask `lines` for what is heard, `hint` for what can be done, then `do` it."""

    def __init__(self, flow: Flow, settings: Settings, facts: Mapping[str, Any]) -> None:
        self._flow = flow
        self._slots = {
            **EXAMPLES,
            "line": settings.line_name,
            "place": settings.committee_place,
            "committee_phone": prompts.spoken_digits(settings.committee_phone[-8:]),
        }
        self._own_words = ""
        self._turn = begin(flow, "ring", facts)
        self.over = isinstance(self._step, End)

    def lines(self) -> Iterator[str]:
        """What the caller hears in this turn, and what the house does."""
        for said in self._turn.says:
            yield from self._spoken(said)
        for effect in self._turn.effects:
            yield f"〔{effect.value}〕"

    def hint(self) -> str:
        match self._step:
            case Menu():
                return "按键（回车＝不按，h＝挂断）"
            case Record():
                return "说话（写字；一个数字＝按键；回车＝没说，h＝挂断）"
            case Pin():
                return f"密码（{PIN} 是对的；回车＝不按，h＝挂断）"
            case Find():
                return "志愿者接吗（接＝接起；回车＝没接，h＝挂断）"
        return ""

    def do(self, typed: str) -> None:
        """One answer of the caller."""
        if typed.strip().lower() == HANG_UP:
            self.over = True
            return
        heard = self._heard(typed.strip())
        if heard.way is Way.SPEECH:
            self._own_words = typed.strip()
        self._turn = advance(self._flow, self._turn.place, heard)
        self.over = isinstance(self._step, End)

    @property
    def place(self) -> Place:
        return self._turn.place

    @property
    def _step(self) -> Waiting:
        return waits(self._flow, self._turn.place)

    def _heard(self, typed: str) -> Heard:
        key = typed if len(typed) == 1 and typed in "0123456789*#" else ""
        match self._step:
            case Record():
                return Heard(Way.SPEECH) if typed and not key else Heard(Way.EMPTY, key)
            case Pin() if typed:
                return Heard(Way.ADMITTED if typed == PIN else Way.REFUSED)
            case Find():
                return Heard(Way.TAKEN if typed else Way.UNTAKEN)
        return Heard(Way.KEY, typed) if typed else Heard(Way.SILENCE)

    def _spoken(self, said: Said) -> Iterator[str]:
        prompt = said.prompt.partition(":")[0]
        listed = fact(self.place, "news") or fact(self.place, "waiting") or ()
        heard = int(self.place.memory.get("waiting", 0))
        nth = prompts.spoken_number(min(heard, len(listed)))
        slots = {**self._slots, "count": prompts.spoken_count(len(listed)), "nth": nth}
        if said.sound:
            yield SOUNDS.get(said.sound, f"（{said.sound}）")
        elif said.own_words:
            yield f"（放录音）{self._own_words}"
        elif prompt == "VOICE":
            yield "（放居民的录音）我要交水费"
        elif prompt == "NEWS":
            for number, event in enumerate(listed, start=1):
                if len(listed) > 1:
                    yield prompts.text("O03", slots | {"nth": prompts.spoken_number(number)})
                yield prompts.text(prompts.NEWS[event], slots)
        else:
            yield prompts.text("O02" if prompt == "O01" and len(listed) > 1 else prompt, slots)


def inbound_facts(
    situation: str, caller: str, open_requests: int, volunteers: int
) -> dict[str, Any]:
    """The facts a ring begins with; situation is fresh, open_request or closed."""
    return {
        "caller": caller, "situation": situation, "phone": None, "ticket": None,
        "open_requests": open_requests if situation == "open_request" else 0,
        "volunteers": volunteers if situation != "closed" else 0, "text": "there",
    }  # fmt: skip


def return_facts(
    events: Sequence[str], *, machine: bool, volunteers: int, trips: bool, things: bool
) -> dict[str, Any]:
    """The facts a return call begins with; `trips` and `things`: whether those are asked about."""
    return {
        "caller": "known", "situation": "fresh", "phone": None, "ticket": None, "machine": machine,
        "event": "done" if "done" in events else events[0] if events else "none",
        "news": list(events), "volunteers": volunteers, "trips": trips, "things": things,
    }  # fmt: skip


def volunteer_facts(requests: int, *, begins: bool, machine: bool) -> dict[str, Any]:
    """The facts of a volunteer's call, theirs or ours."""
    return {
        "caller": "known", "situation": "fresh", "phone": None, "ticket": None, "machine": machine,
        "occasion": "new" if not begins else "shift" if requests else "quiet_shift",
        "waiting": list(range(requests)), "errands": [], "untold": [], "volunteer": 1, "volunteers": 1, "committee": True,
        "open_requests": 0, "resident": 1,
    }  # fmt: skip
