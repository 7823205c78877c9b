"""The life of a ticket: which act leads from which state to which. Everything that changes a
ticket's state, and every button of the pages, comes from this one table."""

from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    NEW = "new"  # 已登记
    ASSIGNED = "assigned"  # 已派单
    IN_HAND = "in_hand"  # 办理中
    WAITING = "waiting"  # 待补材料
    DONE = "done"  # 已办结(待回访)
    CLOSED = "closed"  # 已回访
    WITHDRAWN = "withdrawn"  # 已撤销
    VOID = "void"  # 无效
    MERGED = "merged"  # 已并单
    REFERRED = "referred"  # 已转办


class Act(StrEnum):
    ASSIGN = "assign"
    ACCEPT = "accept"
    PASS_ON = "pass_on"
    ASK_MATERIALS = "ask_materials"
    RESUME = "resume"
    FINISH = "finish"
    CONFIRM = "confirm"
    REOPEN = "reopen"
    MERGE = "merge"
    REFER = "refer"
    WITHDRAW = "withdraw"
    VOID = "void"


OPEN = frozenset({State.NEW, State.ASSIGNED, State.IN_HAND, State.WAITING})
ENDED = frozenset({State.WITHDRAWN, State.VOID, State.MERGED, State.REFERRED})

TRANSITIONS: dict[tuple[State, Act], State] = {
    (State.NEW, Act.ASSIGN): State.ASSIGNED,
    (State.NEW, Act.MERGE): State.MERGED,
    (State.NEW, Act.REFER): State.REFERRED,
    (State.NEW, Act.WITHDRAW): State.WITHDRAWN,
    (State.NEW, Act.VOID): State.VOID,
    (State.ASSIGNED, Act.ACCEPT): State.IN_HAND,
    (State.ASSIGNED, Act.PASS_ON): State.ASSIGNED,
    # A request is given to somebody the moment it is opened: that it is the same as another, for
    # somebody else, or no request at all is found out by whoever got it.
    (State.ASSIGNED, Act.MERGE): State.MERGED,
    (State.ASSIGNED, Act.REFER): State.REFERRED,
    (State.ASSIGNED, Act.WITHDRAW): State.WITHDRAWN,
    (State.ASSIGNED, Act.VOID): State.VOID,
    (State.IN_HAND, Act.ASK_MATERIALS): State.WAITING,
    (State.IN_HAND, Act.FINISH): State.DONE,
    (State.IN_HAND, Act.PASS_ON): State.ASSIGNED,
    (State.IN_HAND, Act.REFER): State.REFERRED,
    (State.IN_HAND, Act.WITHDRAW): State.WITHDRAWN,
    (State.WAITING, Act.RESUME): State.IN_HAND,
    (State.WAITING, Act.WITHDRAW): State.WITHDRAWN,
    (State.DONE, Act.CONFIRM): State.CLOSED,
    (State.DONE, Act.REOPEN): State.IN_HAND,
    (State.CLOSED, Act.REOPEN): State.IN_HAND,
}


class NotPossibleError(Exception):
    """The act does not leave this state; carries both, for a sentence to the person."""

    def __init__(self, state: State, act: Act) -> None:
        super().__init__(f"{act} is not possible from {state}")
        self.state, self.act = state, act


class ChangedError(Exception):
    """Somebody acted since the page was read: who (as the ledger names them) did what, when.

    `undone` says that they took this act back.
    """

    def __init__(
        self, state: State, did: Act, person: str, at: datetime, *, undone: bool = False
    ) -> None:
        super().__init__(f"{did} by {person} at {at:%Y-%m-%d %H:%M}; it is {state} now")
        self.state, self.did, self.person, self.at, self.undone = state, did, person, at, undone


class IncompleteError(ValueError):
    """Something was not said that has to be: `lacks` names it, such as `why`, `to` or `reason`."""

    def __init__(self, lacks: str) -> None:
        super().__init__(f"{lacks} is missing")
        self.lacks = lacks


class TooLateReason(StrEnum):
    """Why something is not taken back."""

    NOTHING = "nothing"  # there is nothing of this person's to take back
    LATE = "late"  # longer ago than may be
    TOLD = "told"  # the resident's telephone has rung already
    BUILT_ON = "built_on"  # somebody went on from there


class TooLateError(Exception):
    """It stays as it is; carries why."""

    def __init__(self, why: TooLateReason) -> None:
        super().__init__(why)
        self.why = why


def after(state: State, act: Act) -> State:
    """The state that the act leads to; raises NotPossibleError."""
    try:
        return TRANSITIONS[state, act]
    except KeyError:
        raise NotPossibleError(state, act) from None


def possible(state: State) -> tuple[Act, ...]:
    """The acts that leave this state, in the table's order."""
    return tuple(act for (origin, act) in TRANSITIONS if origin is state)
