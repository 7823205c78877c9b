"""A call played in the terminal: the true flow and the true words, no telephone and no database."""

from collections.abc import Iterator, Mapping
from typing import Any

from hotline.config import Settings
from ivr import prompts
from ivr.engine import (
    End,
    Find,
    Flow,
    Heard,
    Menu,
    Place,
    Record,
    Said,
    Waiting,
    Way,
    advance,
    begin,
    fact,
    waits,
)

HANG_UP = "h"

# What stands in the slots when nobody really rang.
EXAMPLES: Mapping[str, str] = {
    "progress": "正在帮您办", "time": "今天下午四点", "within": "两小时", "next_duty": "明天上午八点半",
    "day": "昨天", "who": "王师傅", "materials": "身份证",
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
            yield self._spoken(said)
        for effect in self._turn.effects:
            yield f"〔{effect.value}〕"

    def hint(self) -> str:
        match self._step:
            case Menu():
                return "按键（回车＝不按，h＝挂断）"
            case Record():
                return "说话（写字；一个数字＝按键；回车＝没说，h＝挂断）"
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
            case Find():
                return Heard(Way.TAKEN if typed else Way.UNTAKEN)
        return Heard(Way.KEY, typed) if typed else Heard(Way.SILENCE)

    def _spoken(self, said: Said) -> str:
        if said.sound:
            return SOUNDS.get(said.sound, f"（{said.sound}）")
        if said.own_words:
            return f"（放录音）{self._own_words}"
        prompt = said.prompt.partition(":")[0]
        if prompt == "NEWS":
            prompt = prompts.NEWS[str(fact(self.place, "event"))]
        return prompts.text(prompt, self._slots)


def inbound_facts(
    situation: str, caller: str, open_requests: int, volunteers: int
) -> dict[str, Any]:
    """The facts a ring begins with; situation is fresh, open_request or closed."""
    return {
        "caller": caller, "situation": situation, "phone": None, "ticket": None,
        "open_requests": open_requests if situation == "open_request" else 0,
        "volunteers": volunteers if situation != "closed" else 0, "text": "there",
    }  # fmt: skip


def return_facts(event: str, *, machine: bool, volunteers: int) -> dict[str, Any]:
    """The facts a return call begins with."""
    return {
        "caller": "known", "situation": "fresh", "phone": None, "ticket": None,
        "event": event, "machine": machine, "volunteers": volunteers,
    }  # fmt: skip
