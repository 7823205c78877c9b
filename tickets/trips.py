"""Outings counted: what 「最多跑一次」 means for one request. Pure.

浙江省保障"最多跑一次"改革规定 art. 2: one matter needs 「全程只需一次上门或者零上门」. An outing that settled
nothing counts; one that was taken back does not. Visits to a home are no outings.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

GOAL = 1


class Went(StrEnum):
    RESIDENT = "resident"
    VOLUNTEER = "volunteer"


class Reason(StrEnum):
    """Why another outing was needed."""

    MATERIALS = "materials"  # 材料不齐
    CLOSED = "closed"  # 窗口关门
    BREAKDOWN = "breakdown"  # 系统故障
    WRONG_PLACE = "wrong_place"  # 找错地方
    IN_PERSON = "in_person"  # 需本人到场
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Outing:
    """What counts of one outing."""

    went: Went
    settled: bool
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The outings of one request, those of both sides."""

    resident: int
    volunteer: int

    @property
    def trips(self) -> int:
        return self.resident + self.volunteer

    @property
    def holds(self) -> bool:
        """Whether the goal is kept: once at most."""
        return self.trips <= GOAL


def count(outings: Sequence[Outing]) -> Count:
    """Count the outings of one request; the caller leaves out those taken back."""
    by_resident = sum(outing.went is Went.RESIDENT for outing in outings)
    return Count(by_resident, len(outings) - by_resident)


def stayed_home(counted: Count, own_count: int | None) -> bool:
    """零跑: the resident went nowhere, and does not say otherwise."""
    return counted.resident == 0 and not own_count


def differs(counted: Count, own_count: int | None) -> bool:
    """Whether the resident, once asked, counts other than what is written down of their outings."""
    return own_count is not None and own_count != counted.resident


def needs_reason(before: Sequence[Outing], *, settled: bool) -> bool:
    """Whether one more outing has to say why: it settled nothing, or nobody knows why it was needed."""
    return not settled or bool(before and before[-1].reason is None)


def reasons(outings: Sequence[Outing]) -> list[Reason]:
    """Why there was more than one outing, one reason each: the one before's, else its own.

    `outings` are in the order they were made.
    """
    return [
        before.reason or again.reason or Reason.OTHER
        for before, again in itertools.pairwise(outings)
    ]
