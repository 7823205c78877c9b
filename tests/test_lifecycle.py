"""Every act from every state: either the table says where it leads, or it is refused."""

from itertools import product

import pytest

from tickets.lifecycle import (
    ENDED,
    OPEN,
    TRANSITIONS,
    Act,
    NotPossibleError,
    State,
    after,
    possible,
)

# The rules allow these to a new request only. Here every request is assigned at once, so that nobody
# would ever find it new.
FOUND_OUT = {Act.MERGE, Act.REFER, Act.VOID}

# The table of the house's rules, written the other way round, so that a slip in one shows in the other.
LEAVES = {
    State.NEW: {Act.ASSIGN, Act.MERGE, Act.REFER, Act.WITHDRAW, Act.VOID},
    State.ASSIGNED: {Act.ACCEPT, Act.PASS_ON, Act.WITHDRAW} | FOUND_OUT,
    State.IN_HAND: {Act.ASK_MATERIALS, Act.FINISH, Act.PASS_ON, Act.REFER, Act.WITHDRAW},
    State.WAITING: {Act.RESUME, Act.WITHDRAW},
    State.DONE: {Act.CONFIRM, Act.REOPEN},
    State.CLOSED: {Act.REOPEN},
}
LEADS = {
    Act.ASSIGN: State.ASSIGNED, Act.ACCEPT: State.IN_HAND, Act.PASS_ON: State.ASSIGNED,
    Act.ASK_MATERIALS: State.WAITING, Act.RESUME: State.IN_HAND, Act.FINISH: State.DONE,
    Act.CONFIRM: State.CLOSED, Act.REOPEN: State.IN_HAND, Act.MERGE: State.MERGED,
    Act.REFER: State.REFERRED, Act.WITHDRAW: State.WITHDRAWN, Act.VOID: State.VOID,
}  # fmt: skip


@pytest.mark.parametrize(("state", "act"), list(product(State, Act)))
def test_every_act_from_every_state(state: State, act: Act) -> None:
    if act in LEAVES.get(state, set()):
        assert after(state, act) is LEADS[act]
    else:
        with pytest.raises(NotPossibleError) as refused:
            after(state, act)
        assert (refused.value.state, refused.value.act) == (state, act)


def test_the_buttons_come_from_the_table() -> None:
    for state in State:
        assert set(possible(state)) == LEAVES.get(state, set())


def test_every_state_is_open_ended_or_waiting_for_the_resident() -> None:
    assert set(State) == OPEN | ENDED | {State.DONE, State.CLOSED}
    assert not [state for state, _ in TRANSITIONS if state in ENDED]
