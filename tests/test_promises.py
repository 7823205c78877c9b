"""What is promised is kept: without Redis, after a kill, with two hands, with a silent carrier."""

import os
import signal
import time
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
import redis_house
from carriers.company import ApiFault, Company
from conftest import ON_BOTH, TestHouse
from sqlalchemy import func, select
from telephone import LI as GRANDMA
from telephone import leaves_a_message
from test_booth import Actor

from hotline.store import Store
from tickets import promises
from tickets.lifecycle import OPEN
from tickets.models import (
    Duty,
    Fetch,
    Promise,
    PromiseState,
    Recording,
    ReturnTry,
    Ticket,
    Transcript,
)
from tickets.suggestion import Suggestion
from worker import holders
from worker import queue as queues
from worker.sweep import release_the_dead, sweep


def states(house: TestHouse, duty: Duty) -> list[PromiseState]:
    with house.runtime.db.reading() as session:
        return list(session.scalars(select(Promise.state).where(Promise.duty == duty)))


def test_a_message_is_fetched_stored_written_down_and_forgotten_by_the_carrier(
    house: TestHouse, line: Company
) -> None:
    leaves_a_message(line)
    house.books.works()
    with house.runtime.db.reading() as session:
        recording = session.scalars(select(Recording)).one()
        assert recording.fetch is Fetch.STORED
        assert recording.key is not None
        assert recording.sha256 is not None
        with house.runtime.store.open(recording.key) as file:
            assert file.read(4) == b"RIFF"
        assert session.scalars(select(Transcript)).one().recording_id == recording.id
    assert states(house, Duty.DELETE) == [PromiseState.KEPT]
    assert line.deleted_recordings == set(line.recordings)


@ON_BOTH
def test_two_hands_do_not_keep_one_promise_twice(house: TestHouse, line: Company) -> None:
    leaves_a_message(line)
    now = house.clock.now()
    lease = timedelta(minutes=5)
    boot, _, rest = holders.draw_token().split("-", 2)
    elsewhere = f"{boot}-another container-{rest}"
    with house.runtime.db.writing() as session:
        (fetch,) = session.scalars(select(Promise.id).where(Promise.duty == Duty.FETCH))
        first = promises.take(session, fetch, now, lease, elsewhere)
        assert first is not None
        token = first.lease_token
        assert promises.take(session, fetch, now, lease, elsewhere) is None
    release_the_dead(house.hands)
    assert not house.hands.keep(fetch)  # nobody here sees whether it is dead
    house.clock.advance(301)
    assert house.hands.keep(fetch)  # the lease ran out: another may
    with house.runtime.db.writing() as session:
        assert promises.still_mine(session, fetch, token) is None
    assert states(house, Duty.FETCH) == [PromiseState.KEPT]


def test_a_worker_killed_between_fetch_and_commit_costs_nothing(
    house: TestHouse, line: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves_a_message(line)
    with house.runtime.db.reading() as session:
        (fetch,) = session.scalars(select(Promise.id).where(Promise.duty == Duty.FETCH))
    house.runtime.db.engine.dispose()
    stored = Store.put

    def store_and_die(self: Store, *args: object, **owner: object) -> None:
        stored(self, *args, **owner)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Store, "put", store_and_die)
    worker = get_context("fork").Process(target=house.hands.keep, args=(fetch,))
    worker.start()
    worker.join(30)
    assert worker.exitcode == -signal.SIGKILL
    monkeypatch.undo()
    assert not house.hands.keep(fetch)  # still in the dead hand
    release_the_dead(house.hands)
    assert house.hands.keep(fetch)
    assert states(house, Duty.FETCH) == [PromiseState.KEPT]
    assert len(list(house.runtime.store.keys())) == 1


@ON_BOTH
def test_what_was_in_hand_when_the_machine_went_down_is_free_where_there_is_one_machine(
    house: TestHouse, line: Company
) -> None:
    leaves_a_message(line)
    now, lease = house.clock.now(), timedelta(minutes=5)
    _, rest = holders.draw_token().split("-", 1)
    with house.runtime.db.writing() as session:
        (fetch,) = session.scalars(select(Promise.id).where(Promise.duty == Duty.FETCH))
        assert promises.take(session, fetch, now, lease, f"before-{rest}")
    release_the_dead(house.hands)
    assert house.hands.keep(fetch) == house.runtime.db.is_sqlite


def test_a_lease_of_an_earlier_version_disturbs_nobody(house: TestHouse, line: Company) -> None:
    leaves_a_message(line)
    with house.runtime.db.writing() as session:
        (fetch,) = session.scalars(select(Promise.id).where(Promise.duty == Duty.FETCH))
        assert promises.take(session, fetch, house.clock.now(), timedelta(minutes=5), "7f" * 16)
    release_the_dead(house.hands)
    assert not house.hands.keep(fetch)
    house.clock.advance(301)
    assert house.hands.keep(fetch)


def test_an_ear_that_dies_twice_leaves_the_recording_to_a_person(
    house: TestHouse, line: Company, tmp_path: Path
) -> None:
    tries = tmp_path / "tries"

    def die() -> None:
        with tries.open("a") as file:
            file.write("x")
        os.abort()

    leaves_a_message(line)
    house.books.hands = replace(house.hands, recognizer=Actor(die))
    house.books.works()
    assert tries.read_text() == "xx"
    with house.runtime.db.reading() as session:
        text = session.scalars(select(Transcript)).one()
        assert (text.outcome, text.text, text.trusted) == ("gave_up", "", False)
        assert session.scalars(select(Suggestion)).one().ranked == []
        result = select(Promise.result).where(Promise.duty == Duty.TRANSCRIBE)
        assert session.scalars(result).one() == "请听原音"
        assert session.scalars(select(Ticket)).one().state in OPEN


def test_a_recording_that_is_not_ready_is_asked_for_again(house: TestHouse, line: Company) -> None:
    line.missing_fetches = 3
    leaves_a_message(line)
    for _ in range(5):
        house.books.works()
        house.clock.advance(20)
    assert states(house, Duty.FETCH) == [PromiseState.KEPT]


def test_a_recording_that_never_comes_is_owed_to_a_person(house: TestHouse, line: Company) -> None:
    line.missing_fetches = 10_000
    leaves_a_message(line)
    for _ in range(60):
        house.books.works()
        house.clock.advance(3600)
    assert states(house, Duty.FETCH) == [PromiseState.OWED]
    with house.runtime.db.reading() as session:
        assert session.scalars(select(Recording)).one().fetch is Fetch.FAILED


def test_a_recording_from_a_strange_host_is_not_fetched(house: TestHouse, line: Company) -> None:
    leaves_a_message(line)
    with house.runtime.db.writing() as session:
        session.scalars(select(Recording)).one().url = "http://169.254.169.254/latest/meta-data"
    house.books.works()
    assert states(house, Duty.FETCH) == [PromiseState.OWED]


def test_nobody_is_rung_twice_when_the_carriers_answer_is_lost(
    house: TestHouse, line: Company
) -> None:
    house.books.has_open(GRANDMA, "取药")
    line.api_faults.append(ApiFault(lost=True))
    house.books.act("办好了")
    for _ in range(4):
        house.clock.advance(130)
        house.books.works()
    assert len(line.outgoing) == 1
    with house.runtime.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(ReturnTry)) == 1


def test_redis_gone_and_wiped_between_ring_and_bell(house: TestHouse, line: Company) -> None:
    """The ring goes to a Redis that dies with it; the sweep finds what it was about."""
    with redis_house.running() as redis:
        url = redis.url
        bell = queues.RedisBell(url)
        leaves_a_message(line)
        with house.runtime.db.reading() as session:
            (fetch,) = session.scalars(select(Promise.id).where(Promise.duty == Duty.FETCH))
        bell.ring(fetch)
        bell.close()
        assert queues.open_queue(queues.connect(url)).count == 1
    late = queues.RedisBell(url)
    began = time.monotonic()
    late.ring(fetch)
    assert time.monotonic() - began < 0.2  # it does not even wait for the connection to fail
    late.close()
    assert sweep(house.hands, queues.open_queue(queues.connect(url, 0.3))) > 0
    assert states(house, Duty.FETCH) == [PromiseState.KEPT]
