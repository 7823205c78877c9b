"""Return calls over histories nobody thought of: clocks that jump, hands that die, calls that end
in any way and any order. Never outside the hours, never too often, and nothing is forgotten."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_returns import RULES, at, within

from tickets.returns import PROVEN, UNDISTURBING, Outcome, Verdict, after, may_ring
from tickets.summons import ROUNDS, Asked, next_to_ask

HISTORIES = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
LIVES = 1000
AT_ONCE = 100  # drawing costs more than living: 1,000 draws are 100,000 histories
OUTCOMES = list(Outcome)
JUMPS = (
    timedelta(minutes=-90), timedelta(seconds=1), timedelta(minutes=7), timedelta(hours=1),
    timedelta(hours=5), timedelta(days=1), timedelta(days=9),
)  # fmt: skip


@dataclass
class News:
    """One promise as its row would be: due, outcomes of the tries that brought it, its end."""

    due_at: datetime
    outcomes: list[Outcome] = field(default_factory=list)
    verdict: Verdict = Verdict.AGAIN

    @property
    def is_open(self) -> bool:
        return self.verdict is Verdict.AGAIN


@dataclass
class Person:
    """One resident with several numbers, some news at a time, and every call that rang."""

    news: list[News] = field(default_factory=list)
    rung: list[tuple[datetime, Outcome]] = field(default_factory=list)

    def look(self, now: datetime, outcome: Outcome, ends: datetime) -> None:
        """A hand takes what is due, as `return_calls.begin` and `finish_try` do it."""
        due = [news for news in self.news if news.is_open and news.due_at <= now]
        if not due:
            return
        earliest = may_ring(now, self.disturbed_on(now), RULES)
        assert earliest >= now
        if earliest > now:
            for news in due:
                news.due_at = earliest
            return
        self.rung.append((now, outcome))
        for news in self.news:
            if news.is_open:  # one call brings all
                news.outcomes.append(outcome)
                next_ = after(news.outcomes, ends, RULES)
                news.verdict, news.due_at = next_.verdict, next_.due_at or ends

    def disturbed_on(self, now: datetime) -> int:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return sum(rang >= midnight and how not in UNDISTURBING for rang, how in self.rung)

    def was_never_bothered(self) -> None:
        assert all(within(rang) for rang, _ in self.rung)
        days = Counter(rang.date() for rang, how in self.rung if how not in UNDISTURBING)
        assert max(days.values(), default=0) <= RULES.calls_a_day

    def is_owed_nothing_unexplained(self) -> None:
        for news in self.news:
            disturbing = [how for how in news.outcomes if how not in UNDISTURBING]
            assert len(disturbing) <= RULES.tries
            assert news.verdict is not Verdict.AGAIN
            assert (news.verdict is Verdict.SETTLED) == (news.outcomes[-1] in PROVEN)


@settings(HISTORIES, max_examples=LIVES)
@given(st.integers(0, 2**48).map(Random))
def test_a_hundred_thousand_residents_are_rung_as_the_rules_say(chance: Random) -> None:
    for _ in range(AT_ONCE):
        person, now = Person(), _somewhen(chance)
        for _ in range(chance.randint(1, 12)):
            if chance.random() < 0.4:
                person.news.append(News(now))
            now = max(now + chance.choice(JUMPS), at("01-01 00:00"))
            how = chance.choice(OUTCOMES)
            person.look(now, how, now + timedelta(seconds=chance.choice((0, 50, 400, 90_000))))
        # whatever came before: from here on the clock goes on, and an end comes
        for _ in range(60):
            waiting = [news.due_at for news in person.news if news.is_open]
            if not waiting:
                break
            now = max(now, min(waiting))
            person.look(now, chance.choice(OUTCOMES), now + timedelta(seconds=50))
        person.was_never_bothered()
        person.is_owed_nothing_unexplained()


@settings(HISTORIES, max_examples=100)
@given(st.integers(0, 2**48).map(Random))
def test_each_of_a_hundred_thousand_volunteers_is_asked_in_turn(chance: Random) -> None:
    """And then the lead hears of it."""
    for _ in range(1_000):
        order = chance.sample(range(1, 6), chance.randint(1, 4))
        is_asked_in_turn(order, chance.choices(OUTCOMES, k=chance.randint(1, 24)))


def is_asked_in_turn(order: list[int], outcomes: Sequence[Outcome]) -> None:
    tries: list[Asked] = []
    now = at("11-23 09:00")
    for outcome in outcomes:
        ask = next_to_ask(order, tries, now)
        if ask is None:
            break
        assert ask.at >= now
        now = ask.at
        tries.append(Asked(ask.who, now, outcome))
    rung = Counter(attempt.who for attempt in tries if attempt.outcome is not Outcome.FAULT)
    assert max(rung.values(), default=0) <= ROUNDS
    counted = [attempt.who for attempt in tries if attempt.outcome is not Outcome.FAULT]
    assert counted == (order * ROUNDS)[: len(counted)]
    assert len(tries) <= ROUNDS * len(order) + 3 * (ROUNDS * len(order) + 1)


def _somewhen(chance: Random) -> datetime:
    return at("01-01 00:00") + timedelta(seconds=chance.randrange(364 * 24 * 3600))
