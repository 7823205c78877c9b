"""What a change of the roster would do: done in a session that keeps nothing, and looked at."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session

from hotline.clock import SHANGHAI
from hotline.config import Settings
from tickets import fairness, watch
from tickets.fairness import Share
from tickets.models import Shift


@dataclass(frozen=True, slots=True)
class Part:
    """One person's part before and after."""

    before: Share
    after: Share


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of a trial: its own sentence, new troubles, troubles that are gone, whose part changed."""

    said: str
    worse: Sequence[str]
    better: Sequence[str]
    parts: Sequence[Part]


def effect(
    session: Session, settings: Settings, first: date, days: int, change: Callable[[], str]
) -> Effect:
    """Do it, and compare these days with what they were. The session must keep nothing."""
    before, troubles = _shares(session, first, days), _troubles(session, settings, first, days)
    said = change()
    session.flush()
    session.expire_all()
    after, left = _shares(session, first, days), _troubles(session, settings, first, days)
    return Effect(
        said,
        [words for words in left if words not in troubles],
        [words for words in troubles if words not in left],
        [
            Part(before[person], share)
            for person, share in after.items()
            if person in before and share != before[person]
        ],
    )


def seal(shifts: Sequence[Shift]) -> str:
    """A short mark of who has what, to know whether a second thought thinks the same."""
    said = [f"{s.starts_at.isoformat()} {s.ends_at.isoformat()} {s.volunteer_id} {s.substitute_id}" for s in shifts]  # fmt: skip
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def _shares(session: Session, first: date, days: int) -> dict[int, Share]:
    begins = datetime.combine(first, time.min, SHANGHAI)
    shares = fairness.shares(session, begins, begins + timedelta(days=days))
    return {share.volunteer_id: share for share in shares}


def _troubles(session: Session, settings: Settings, first: date, days: int) -> list[str]:
    return [notice.words for notice in watch.problems(session, settings, first, days).notices]
