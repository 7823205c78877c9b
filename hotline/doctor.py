"""Looks a house over: one plain line a check, nothing changed."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import requests
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from twilio.request_validator import RequestValidator

from hotline import backup, clock, ear
from hotline.config import CarrierKind, Settings, WrongSettingsError
from hotline.db import Database
from hotline.exchange import furnish
from hotline.store import Store
from ivr import studio
from tickets.models import Fetch, LedgerLine, Recording
from tickets.roster import next_shift, on_duty
from worker.queue import connect

ANSWER_SECONDS = 5
LEAST_FREE_BYTES = 1_000_000_000  # some thousand messages of a minute
ENOUGH_FREE_BYTES = 5_000_000_000
BACKUP_AGE, FIRST_BACKUP = timedelta(days=2), timedelta(days=3)
NAMED = 3  # so many orphans are named, the rest counted


class Health(StrEnum):
    WELL = "好"
    MIND = "留意"
    ILL = "不行"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: its key, how bad it is, and a sentence for the installer."""

    key: str
    health: Health
    sentence: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check in turn; none of them raises."""
    yield check_settings(settings)
    with suppress(WrongSettingsError):  # just said
        settings = furnish(settings)
    db = Database(settings.database, synchronous=settings.sqlite_synchronous)
    try:
        tables = check_database(db)
        yield tables
        yield check_redis(settings)
        yield check_model(settings)
        yield check_public_address(settings)
        yield check_signature(settings)
        if tables.health is Health.WELL:
            yield check_recordings(db, Store(settings.recordings))
            yield check_roster(db)
            yield check_backup(db, settings)
            yield check_prompts(db, settings)
        yield check_disk(settings)
        if settings.carrier is CarrierKind.EXCHANGE:
            yield check_exchange(settings)
            yield check_speech()
            yield check_own_call()
    finally:
        db.close()


def check_settings(settings: Settings) -> Finding:
    try:
        furnish(settings)
    except WrongSettingsError as error:
        return _ill("settings", "还缺设置：" + "；".join(str(error).splitlines()))
    return _well("settings", "设置齐全")


def check_database(db: Database) -> Finding:
    from hotline import migration  # alembic is slow to load, and no page but this one needs it

    try:
        head = migration.at_head(db)
    except SQLAlchemyError as error:
        return _ill("database", f"数据库连不上（{type(error).__name__}）")
    if not head:
        return _ill("database", "数据库的表不是这一版的，请运行 hotline db upgrade")
    return _well("database", "数据库是最新的")


def check_redis(settings: Settings) -> Finding:
    try:
        with connect(settings.redis, ANSWER_SECONDS) as connection:
            connection.ping()
    except (RedisError, OSError):
        # the line answers without it, and the sweep finds every promise
        return _mind(
            "redis", "Redis 没有应答：热线照常接电话，办事会慢几秒（hotline serve 会自己启动它）"
        )
    return _well("redis", "Redis 有应答")


def check_model(settings: Settings) -> Finding:
    heard = ear.listen(settings)
    say = _ill if heard.broken else _well if heard.official else _mind
    return say("model", heard.sentence)


def check_public_address(settings: Settings) -> Finding:
    """The fallback document is fetched as the carrier would: without a signature."""
    key = "public_url"
    if not settings.public_url:
        return _ill(key, "没有设置公网地址")
    try:
        answer = requests.get(f"{settings.public_url}/ivr/fallback", timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        return _ill(key, f"公网地址连不上（{type(error).__name__}）")
    if answer.status_code != 200 or "<Response>" not in answer.text:
        return _ill(key, f"公网地址那里不是这条热线（HTTP {answer.status_code}）")
    return _well(key, "公网地址通到这条热线")


def check_signature(settings: Settings) -> Finding:
    """A word about a call that does not exist: with our signature it is taken, without it refused."""
    key = "signature"
    if not settings.public_url or not settings.secrets:
        return _ill(key, "没有公网地址或签名密钥，验签查不了")
    url = f"{settings.public_url}/ivr/status"
    form = {"CallSid": "doctor", "CallStatus": "in-progress"}
    signature = sign(settings, url, form)
    try:
        signed = _post(url, form, {settings.signature_header: signature})
        unsigned = _post(url, form, {})
        forged = _post(url, form, {settings.signature_header: signature[::-1]})
    except requests.RequestException as error:
        return _ill(key, f"验签查不了：公网地址连不上（{type(error).__name__}）")
    if signed != 200:
        return _ill(
            key, f"有签名的请求没有被接受（HTTP {signed}）：公网地址和代理转来的地址可能不一样"
        )
    if {unsigned, forged} != {403}:
        return _ill(key, f"没有签名的请求没有被拒绝（HTTP {unsigned}、{forged}）")
    return _well(key, "有签名的请求被接受，没有签名的被拒绝")


def check_recordings(db: Database, store: Store) -> Finding:
    """Files without a row, and rows without their file."""
    with db.reading() as session:
        kept = session.scalars(select(Recording.key).where(Recording.fetch == Fetch.STORED))
        rows = {key for key in kept if key}
    try:
        files = {key for key in store.keys() if not key.endswith(".part")}  # noqa: SIM118
    except OSError as error:
        return _ill("recordings", f"录音存放处打不开（{type(error).__name__}）")
    lost, strange = sorted(rows - files), sorted(files - rows)
    if lost:
        return _ill("recordings", f"{len(lost)} 段录音有登记、没有文件：{_named(lost)}")
    if strange:
        return _mind("recordings", f"{len(strange)} 个文件没有登记：{_named(strange)}")
    return _well("recordings", f"{len(rows)} 段录音都对得上")


def check_roster(db: Database, now: clock.Clock = clock.now) -> Finding:
    at = now()
    with db.reading() as session:
        if on_duty(session, at):
            return _well("roster", "现在有人值班")
        shift = next_shift(session, at)
    if shift is None or shift.starts_at > at + timedelta(days=7):
        return _mind("roster", "一周之内没有人值班，请运行 hotline roster fill")
    return _well("roster", f"现在不是值班时间，下一班 {shift.starts_at:%m-%d %H:%M}")


def check_prompts(db: Database, settings: Settings) -> Finding:
    with db.reading() as session:
        standings = studio.standings(session, settings)
    spoken, outdated, of = studio.count(standings)
    files = set(Store(settings.prompts).keys())
    lost = [s for s, each in standings.items() if each.take and each.take.sound_key not in files]
    if lost:
        return _ill(
            "prompts", f"有 {len(lost)} 句在用的录音文件不见了，请从备份里放回 prompts 文件夹"
        )
    told = f"提示语 {of} 句，真人录了 {spoken} 句，别的由机器念"
    if outdated:
        return _mind("prompts", f"{told}；有 {outdated} 句的词改过了，要重录")
    return _well("prompts", told)


def check_disk(settings: Settings) -> Finding:
    folder = settings.data_folder.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    sentence = f"数据文件夹所在的盘还有 {free / 1e9:.1f} GB"
    if free < LEAST_FREE_BYTES:
        return _ill("disk", sentence + "，太少了")
    return _well("disk", sentence) if free >= ENOUGH_FREE_BYTES else _mind("disk", sentence)


def check_backup(db: Database, settings: Settings, now: clock.Clock = clock.now) -> Finding:
    """How old the last one is; a house is given three days to make its first."""
    key = "backup"
    try:
        made = backup.finished(backup.folder(settings))
    except (OSError, ValueError, KeyError) as error:
        return _ill(key, f"备份打不开（{type(error).__name__}）")
    if not made:
        with db.reading() as session:
            begun = session.scalar(select(LedgerLine.at).order_by(LedgerLine.sequence).limit(1))
        said = "还没有备份过：每天夜里两点半会备份，也可以运行 hotline backup"
        return _mind(key, said) if begun and now() - begun > FIRST_BACKUP else _well(key, said)
    newest = made[-1]
    said = (
        f"最近一次备份是 {newest.at:%m-%d %H:%M}，{newest.sounds} 段录音，一共留着 {len(made)} 份"
    )
    if now() - newest.at > BACKUP_AGE:
        return _mind(key, f"{said}。两天多没有备份了，请看一看硬盘和日志")
    if newest.damaged:
        return _mind(key, f"{said}；有 {newest.damaged} 个文件和自己的指纹对不上，没有备份进去")
    return _well(key, said)


def check_exchange(settings: Settings) -> Finding:
    """The exchange's own word about its engine; ours to ask, by account and token."""
    key = "exchange"
    try:
        answer = requests.get(
            f"http://{settings.exchange_rest}/health", timeout=ANSWER_SECONDS,
            auth=(settings.carrier_account, settings.carrier_token),
        )  # fmt: skip
        answer.raise_for_status()
        state = answer.json()
    except requests.RequestException as error:
        return _ill(
            key, f"交换台没有应答（{type(error).__name__}）：hotline serve --exchange 会启动它"
        )
    if not state["well"]:
        return _ill(key, f"引擎 {state['engine']} 没有连上（Asterisk 没有应答，或线路上没登记成）")
    return _well(key, f"引擎 {state['engine']} 在工作，现在有 {state['calls']} 个电话")


def check_speech() -> Finding:
    if shutil.which("espeak-ng") is None:
        return _ill("speech", "没有安装 espeak-ng：没录过音的提示语放不出来")
    return _well("speech", "没录过音的提示语由 espeak-ng 来念")


def check_own_call() -> Finding:
    """A call to ourselves and back, on loopback: SIP, sound both ways, keys, recording, webhooks."""
    from ivr.exchange import selftest  # a SIP engine the web server has no other use for

    findings = asyncio.run(selftest.run())
    failed = "、".join(f"{each.name}（{each.figure}）" for each in findings if not each.passed)
    if failed:
        return _ill("own_call", f"自己打给自己，不对的有：{failed}")
    return _well("own_call", "自己打给自己：接通、放音、按键、录音都对")


def sign(settings: Settings, url: str, form: dict[str, str]) -> str:
    """The signature our own door expects of the carrier."""
    compute: Callable[..., str] = RequestValidator(settings.secrets[0]).compute_signature
    return compute(url, form, settings.signature_scheme)


def _post(url: str, form: dict[str, str], headers: dict[str, str]) -> int:
    return requests.post(url, form, headers=headers, timeout=ANSWER_SECONDS).status_code


def _named(keys: list[str]) -> str:
    shown = [key.rpartition("/")[2][:16] for key in keys[:NAMED]]
    return "、".join(shown) + ("……" if len(keys) > NAMED else "")


def _well(key: str, sentence: str) -> Finding:
    return Finding(key, Health.WELL, sentence)


def _mind(key: str, sentence: str) -> Finding:
    return Finding(key, Health.MIND, sentence)


def _ill(key: str, sentence: str) -> Finding:
    return Finding(key, Health.ILL, sentence)
