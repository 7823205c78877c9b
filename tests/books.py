"""What a transcript may ask of the house: a small adapter that is wired to the real database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from flask import Flask


@dataclass(frozen=True)
class Errand:
    """One request (工单) as the committee sees it."""

    state: str  # 已登记 已派单 办理中 待补材料 已办结 已回访 已撤销 无效 已并单 已转办
    assignee: str  # name; "" when nobody
    phone: str  # E.164; "" when the number was withheld
    recordings: int  # kept recordings with something said in them
    round: int = 1  # 2 after it was opened again
    urgent: bool = False


@dataclass(frozen=True)
class RingBack:
    """A person is to be rung by the volunteer on duty: 「没留话，请回电」."""

    phone: str
    urgent: bool


@dataclass(frozen=True)
class ReturnCall:
    """A promise that the machine rings somebody with news."""

    outcome: str  # 欠着 (still owed), 已听到, 已留言, 欠上门, 告诉居委会, 作废
    due: datetime | None  # aware; None when nothing more is to be dialled


class Clock(Protocol):
    def now(self) -> datetime: ...

    def set(self, instant: datetime) -> None: ...

    def advance(self, seconds: float) -> None: ...


class Books(Protocol):
    """Lists are in the order in which things came about: the newest is last."""

    def knows(self, phone: str) -> None:
        """A resident with this number is on file."""

    def has_open(self, phone: str, matter: str) -> None:
        """This resident has an open request (办理中), with one recording."""

    def errands(self) -> list[Errand]: ...

    def ring_backs_owed(self) -> list[RingBack]: ...

    def return_calls(self) -> list[ReturnCall]: ...

    def on_duty(self) -> str:
        """Name of the volunteer on duty now; "" when nobody is."""

    def checks(self, matter: str) -> None:
        """The committee has looked up what this matter of the catalogue needs."""

    def writes_down(self, *, ready: bool) -> None:
        """There is a model; where `ready`, what was said so far is written down now."""

    def act(self, news: str, detail: str = "") -> None:
        """A volunteer's act on the newest request: 受理, 上门, 缺材料 (detail: which), 办好了."""

    def works(self) -> None:
        """The worker and the sweep do everything that is due now."""

    def words_of_sound(self, url: str) -> str:
        """Words of a recorded prompt; （自己的话） for the caller's recording."""


class House(Protocol):
    """The service under test; `company` (a fixture) is in its settings as the carrier."""

    @property
    def app(self) -> Flask: ...

    @property
    def public_url(self) -> str: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def books(self) -> Books: ...
