"""The life of a ticket: which act leads from which state to which. Everything that changes a
ticket's state, and every button of the pages, comes from this one table."""

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
    (State.ASSIGNED, Act.WITHDRAW): State.WITHDRAWN,
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


def after(state: State, act: Act) -> State:
    """The state that the act leads to; raises NotPossibleError."""
    try:
        return TRANSITIONS[state, act]
    except KeyError:
        raise NotPossibleError(state, act) from None


def possible(state: State) -> tuple[Act, ...]:
    """The acts that leave this state, in the table's order."""
    return tuple(act for (origin, act) in TRANSITIONS if origin is state)
