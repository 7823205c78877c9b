"""Plays a call that is written down in Chinese (tests/transcripts/*.txt) through the whole service.

What the player needs (see `books.House`): a fixture `house` that is built for the fixture
`company` (its `api_url`, `account`, `token`, `secret`, `number`, `kind` and `capabilities` are in
the settings) and has `app`, `public_url`, `clock` (`now`, `set`, `advance`) and `books`, the
adapter to the real database. How the lines are written is told in tests/transcripts/README.md.
"""

import re
from collections.abc import Callable
from datetime import datetime

from books import Errand, House
from caller import Called, OnThePhone
from carriers.call import words_of
from carriers.company import Company
from carriers.document import Sound, Words
from carriers.door import FlaskDoor
from expected import (
    errands_are,
    newest_return_call,
    return_call_is,
    ring_backs_are,
)
from grammar import PHONES, PIN, VOLUNTEERS, Line, Transcript, TranscriptError, instant, pattern
from samples import sample_of

MONDAY_MORNING = instant("11月23日 09:10")

RESIDENTS = ("认得", "座机")
STAFF = ("值班的人", "管理员")
FORBIDDEN = ("工单", "系统", "业务", "转接中", "有误", "井号键", "输入错误", "请在工作时间再拨")

# Numbers of the rules that every call must keep
SILENCE_AFTER_KEY_SECONDS = 1.0
SILENCE_BEFORE_RETURN_CALL_SECONDS = 2.0
MAX_MESSAGE_SECONDS = 180
MESSAGE_ENDS_AFTER_SILENT_SECONDS = 8
MAX_RINGING_SECONDS = 40
SETTLING_SECONDS = 180  # after a call, until its books must be closed


class Player:
    """Plays one transcript with one company; `play` raises `TranscriptError` at the first line that fails."""

    def __init__(self, house: House, company: Company) -> None:
        self.house = house
        self.company = company
        self.phone = PHONES["认得"]
        self.person: OnThePhone | None = None
        self.quiet_seconds = 0.0  # how quiet this turn has to begin
        self.over_since: datetime | None = None  # set once the books of the last call are closed
        self.position = 0  # how far the words of this turn were compared
        self.before: list[Errand] = []  # requests that were there already
        self.refused = False

    def play(self, transcript: Transcript) -> None:
        self.company.connect(FlaskDoor(self.house.app), self.house.public_url, self.house.clock)
        self.house.clock.set(MONDAY_MORNING)
        for name in RESIDENTS:
            self.house.books.knows(PHONES[name])
        self.before = self.house.books.errands()
        for line in transcript.lines:
            try:
                self._line(line)
            except AssertionError as error:
                where = f"{transcript.name}.txt:{line.number}: {line.who}> {line.what}"
                raise TranscriptError(f"{where}\n  {transcript.title}\n  {error}") from error
        if self.person is not None and not self.person.hung_up:
            self.person.hangs_up()
        for call in self.company.calls.values():
            for text in words_of(call.history):
                wrong = [word for word in FORBIDDEN if word in text]
                if wrong:
                    raise TranscriptError(f"{transcript.name}: 说了「{'、'.join(wrong)}」：{text}")

    def _line(self, line: Line) -> None:
        if line.who in ("时间", "来电", "接听", "志愿者"):
            self.over_since = None
        match line.who:
            case "电话":
                self.phone = PHONES[line.what]
                if line.what in STAFF:
                    self.house.books.has_pin(self.phone, PIN)
            case "值班":
                self.house.books.rings_volunteers()
            case "铃响":
                self._rings(line.what)
            case "时间":
                self._time(line.what)
            case "在办":
                self.house.books.has_open(self.phone, line.what)
                self.before = self.house.books.errands()
            case "来电":
                self._caller(line.what)
            case "接听":
                self._called(line.what)
            case "志愿者":
                self._volunteer(line.what)
            case "办理":
                news, _, detail = line.what.partition(" ")
                self.house.books.act(news, detail.strip())
            case "核对":
                self.house.books.checks(line.what)
            case "听写":
                self.house.books.writes_down(ready=line.what == "好了")
            case "系统":
                self._hears(line.what)
            case "系统不说":
                said = self._said()
                assert not pattern(line.what).search(said), f"却说了：{said}"
            case "工单":
                self._settles()
                errands_are(line.what, self.before, self.house.books, self.phone)
            case "回电":
                self._return_calls(line.what)

    # The clock

    def _time(self, what: str) -> None:
        clock, books = self.house.clock, self.house.books
        if what == "到回电的时候":
            if any(resident.rings for resident in self.company.outgoing):
                return
            rung = len(self.company.outgoing)
            due = newest_return_call(books).due
            assert due is not None, "没有要打的回电"
            clock.set(max(due, clock.now()))
            books.works()
            assert len(self.company.outgoing) == rung + 1, f"到 {due} 没有打出去"
            return
        if match := re.fullmatch(r"过(\d+)(秒|分钟|小时)", what):
            seconds = int(match[1]) * {"秒": 1, "分钟": 60, "小时": 3600}[match[2]]
            clock.advance(seconds)
        else:
            clock.set(instant(what))
        books.works()

    # People

    def _caller(self, what: str) -> None:
        if what == "拨打" or self.person is None:
            caller = self.company.caller(self.phone).dials()
            self._new_turn(caller)
            if what == "拨打":
                return
        self._acts(self.person, what)

    def _called(self, what: str) -> None:
        ways: dict[str, Callable[[Called], Called]] = {
            "接起": Called.answers,
            "占线": Called.busy,
            "没人接": Called.no_answer,
            "打不通": Called.fails,
            "答录机": Called.machine_answers,
        }
        if what not in ways:
            assert isinstance(self.person, Called), "还没有接起"
            self._acts(self.person, what)
            return
        assert self.company.outgoing, "电话没有响"
        self._new_turn(ways[what](self.company.outgoing[-1]))
        if what == "接起":
            self.quiet_seconds = SILENCE_BEFORE_RETURN_CALL_SECONDS

    def _rings(self, who: str) -> None:
        ringing = [called.call.called for called in self.company.outgoing if called.rings]
        wanted = [] if who == "没有" else [VOLUNTEERS[who]]
        assert ringing == wanted, f"响的是 {ringing}"

    def _acts(self, person: OnThePhone | None, what: str) -> None:
        assert person is not None
        if match := re.fullmatch(r"(\d+)秒后挂断", what):
            person.hangs_up(after_seconds=int(match[1]))
            return
        self._quiet_before_words()
        if match := re.fullmatch(r"（(?:(\d+)秒)?不按键）", what):
            gather = person.asked_for_a_key
            assert gather, f"现在没有请人按键：{person.hears()}"
            assert match[1] is None or gather.timeout_seconds == int(match[1]), (
                f"等了 {gather.timeout_seconds} 秒"
            )
            person.keeps_silent()
        elif match := re.fullmatch(r"(马上)?按 ?([0-9#*])", what):
            asked = person.asked_for_a_key if match[1] is None else None
            person.presses(match[2], at_once=match[1] is not None)
            self._new_turn(person)
            if asked:
                self.quiet_seconds = SILENCE_AFTER_KEY_SECONDS
            return
        elif match := re.fullmatch(r"按密码(?: (\d+))?", what):
            person.presses(match[1] or PIN)
        elif match := re.fullmatch(r"录音 ?[\"“](.+?)[\"”](?: (\d+)秒)?(?: (.+))?", what):
            self._speaks(person, match[1], float(match[2] or 6), match[3])
        elif what == "不说话":
            self._checks_recording(person)
            person.says_nothing()
        elif what == "挂断":
            person.hangs_up()
            return
        else:
            raise TranscriptError("看不懂")
        self._new_turn(person)

    def _speaks(self, person: OnThePhone, words: str, seconds: float, then: str | None) -> None:
        self._checks_recording(person)
        person.says(words, seconds, sample_of(words))
        match then:
            case "挂断":
                person.hangs_up()
            case "不说了":
                person.keeps_silent()
            case None:
                pass  # spoken until the longest time
            case _ if then.startswith("按"):
                person.presses(then.removeprefix("按").strip())
            case _:
                raise TranscriptError(f"看不懂「{then}」")

    def _volunteer(self, what: str) -> None:
        person = self.person
        assert person is not None, "没有人来电"
        match what.split():
            case ["听到", *words]:
                heard = "".join(person.volunteer_hears())
                assert pattern("".join(words)).search(heard), f"志愿者听到的是：{heard}"
                return
            case ["接起", "按1", *_]:
                person.volunteer_picks_up(press="1")
                assert person.call.bridged, "按了1，却没有接通"
                if "说完挂断" in what:
                    person.volunteer_hangs_up()
            case ["接起", "不按键"]:
                person.volunteer_picks_up()
                self.refused = True
            case ["接起", "挂断"]:
                person.hears()
                person.volunteer_hangs_up()
                self.refused = True
            case ["占线"]:
                person.volunteer_is_busy()
                self.refused = True
            case ["没人接"]:
                person.hears()
                assert person.call.ringing or self.refused, "没有拨志愿者的电话"
                if person.call.ringing:
                    person.nobody_picks_up()
                rung = person.call.rung_seconds
                assert rung <= MAX_RINGING_SECONDS, f"让人等了 {rung} 秒"
            case _:
                raise TranscriptError("看不懂")
        self.position, self.quiet_seconds = 0, 0.0

    # What is heard

    def _new_turn(self, person: OnThePhone) -> None:
        self.person = person
        self.position = 0
        self.quiet_seconds = 0.0

    def _quiet_before_words(self) -> None:
        """Checked when the turn is heard: whoever hangs up early does not hear it."""
        if self.person is not None and self.quiet_seconds and self.person.heard():
            silent = self.person.silence_seconds()
            assert silent >= self.quiet_seconds - 0.05, f"开口前只静了 {silent:.1f} 秒"

    def _checks_recording(self, person: OnThePhone) -> None:
        record = person.recorded
        assert record is not None, f"现在没有录音：{person.hears()}"
        assert record.max_seconds == MAX_MESSAGE_SECONDS, f"最多录 {record.max_seconds} 秒"
        assert record.silence_seconds == MESSAGE_ENDS_AFTER_SILENT_SECONDS, (
            f"静 {record.silence_seconds} 秒就停"
        )

    def _said(self) -> str:
        """Everything of this turn as one text: words, （嘀） before a recording, （自己的话）."""
        person = self.person
        if person is None:
            return ""
        self._quiet_before_words()
        heard = person.heard()
        parts = []
        for place, item in enumerate(heard):
            if isinstance(item, Words):
                parts.append(item.text)
            elif place == len(heard) - 1 and person.recorded:
                parts.append("（嘀）")
            elif self._audible(item):
                parts.append(self.house.books.words_of_sound(item.url))
        return re.sub(r"\s", "", "".join(parts))

    def _audible(self, sound: Sound) -> bool:
        measure = self.company.player.measure(sound)
        return measure.silent_seconds < measure.seconds

    def _hears(self, what: str) -> None:
        assert self.person is not None, "没有人来电"
        if what == "（挂断）":
            assert self.person.hung_up, f"还没有挂断，听到：{self.person.hears()}"
            return
        said = self._said()
        found = pattern(what).search(said, self.position)
        assert found, f"听到的是：{said[self.position :] or '（没有声音）'}"
        self.position = found.end()

    def _return_calls(self, what: str) -> None:
        if match := re.fullmatch(r"拨了(\d)次", what):
            assert len(self.company.outgoing) == int(match[1]), len(self.company.outgoing)
            return
        over_since = self._settles()
        if "志愿者" in what:
            ring_backs_are(what, self.house.books, self.phone)
        else:
            return_call_is(what, self.house.books, over_since)

    def _settles(self) -> datetime:
        """The house may take a little time to close the books of a call; returns when it ended."""
        if self.over_since is None:
            self.over_since = self.house.clock.now()
            self.house.clock.advance(SETTLING_SECONDS)
            self.house.books.works()
        return self.over_since
