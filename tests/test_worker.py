"""The worker as a process: a broken model keeps nobody from keeping promises, and the model is there once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis_house
from caller import Caller
from carriers.company import Company
from carriers.door import FlaskDoor
from conftest import settings_for
from model_mirror import DEMO
from processes import end, until
from samples import SAMPLES
from sqlalchemy import select

from hotline.app import create_app
from hotline.migration import upgrade
from hotline.processes import child_environment
from hotline.runtime import Runtime, build
from tickets.models import Transcript


@pytest.fixture
def redis() -> Iterator[redis_house.RedisHouse]:
    with redis_house.running() as redis:
        yield redis


def open_house(folder: Path, company: Company, **given: Any) -> Runtime:
    settings = settings_for(
        folder, carrier_api_url=company.api_url, carrier_account=company.account, carrier_token=company.token,
        signing_secrets=(company.secret,), media_hosts=("127.0.0.1",), **given,
    )  # fmt: skip
    runtime = build(settings)
    upgrade(runtime.db)
    company.connect(FlaskDoor(create_app(runtime)), settings.public_url)
    return runtime


def leaves_a_message(company: Company) -> Caller:
    grandma = company.caller("+8613812345678").dials()
    while grandma.recorded is None:
        grandma.keeps_silent()
    return grandma.says("取药", file=SAMPLES / "ride.wav").hangs_up()


def outcomes(runtime: Runtime) -> list[tuple[str, str]]:
    with runtime.db.reading() as session:
        found = session.execute(select(Transcript.outcome, Transcript.text).order_by(Transcript.id))
        return [tuple(row) for row in found]


def test_a_worker_with_a_broken_model_still_keeps_promises(
    tmp_path: Path, company: Company, redis: redis_house.RedisHouse
) -> None:
    (tmp_path / "half" / "am").mkdir(parents=True)
    (tmp_path / "half" / "am" / "final.mdl").write_bytes(b"\0Bhalf")
    runtime = open_house(
        tmp_path / "data", company, redis_url=redis.url, HOTLINE_MODEL_PATH=tmp_path / "half"
    )
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "worker"], env=child_environment(runtime.settings), stdout=log, stderr=log
        )  # fmt: skip
    try:
        leaves_a_message(company)
        until(
            lambda: outcomes(runtime) == [("no_model", "")],
            why="the recording is kept without a text",
        )
    finally:
        assert end(worker) == 0
        runtime.close()
    assert "里面的文件不全" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("with_redis", [True, False])
def test_several_hands_write_down_what_one_parent_has_loaded(
    tmp_path: Path, company: Company, redis: redis_house.RedisHouse, with_redis: bool
) -> None:
    address = redis.url if with_redis else "unix:///nowhere/redis.sock"
    runtime = open_house(
        tmp_path, company, redis_url=address, hands=2, sweep_seconds=0.2, HOTLINE_MODEL_PATH=DEMO
    )
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "worker"], env=child_environment(runtime.settings), stdout=log, stderr=log
        )  # fmt: skip
    try:
        for _ in range(2):
            leaves_a_message(company)
        text = ("heard", "明天上午九点送我去中医院拿药")
        until(lambda: outcomes(runtime) == [text] * 2, why="both are written down")
        assert "libvosk" in Path(f"/proc/{worker.pid}/maps").read_text()
    finally:
        assert end(worker) == 0
        runtime.close()
    assert (tmp_path / "log").read_text().count(
        "no official model"
    ) == 1  # opened once, by the parent
