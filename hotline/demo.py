"""`hotline demo`: the whole house on one machine, with invented people and a carrier in small."""

import json
import secrets
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import requests

import asr
from hotline import logs, migration, past_months, seeds
from hotline.config import CarrierKind, Settings
from hotline.exchange import exchange_settings
from hotline.household import Household, alone_in
from hotline.processes import commands
from hotline.runtime import build
from hotline.web import visitors
from tickets import house_rules

MARK = "demonstration.json"  # the file that says: this folder is a demonstration's
FIRST_PORT, PORTS = 8080, 20
SIP_PORT = 5070  # a softphone on this machine has 5060
LINE_NUMBER = "+8657988880000"
COMMITTEE_PHONE = "+8657988880009"
MODEL = Path(next(iter(asr.__path__))) / "model" / "demo-cn"
LOOK_SECONDS = 0.1

Say = Callable[[str], object]


class NotOursError(Exception):
    """The folder, or a database in it, was not made by a demonstration."""


def run(*, listen: str, sip: str, folder: Path, keep: bool, say: Say) -> None:
    """Until Ctrl-C or SIGTERM; raises NotOursError before anything is touched."""
    signal.signal(signal.SIGTERM, _interrupted)  # also while the people are still being invented
    folder = folder.absolute()
    claim(folder)
    try:
        with alone_in(folder):
            demonstrate(
                listen or _free_address(FIRST_PORT), sip or _free_sip(), folder, keep=keep, say=say
            )
    except KeyboardInterrupt:
        pass  # how a demonstration ends
    finally:
        if not keep:
            shutil.rmtree(folder)
            _remove_if_empty(folder.parent)
    say(f"演示结束，数据留在 {folder}。" if keep else "演示结束，什么也没有留下。")


def claim(folder: Path) -> None:
    """Take a folder that is new, empty or a demonstration's; what an ended one left goes."""
    if not (folder / MARK).is_file():
        if folder.exists() and any(folder.iterdir()):
            raise NotOursError(str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text("{}")


def demonstrate(listen: str, sip: str, folder: Path, *, keep: bool, say: Say) -> None:
    """Make the house, start its processes and say where it is."""
    remembered = json.loads((folder / MARK).read_text())
    if not remembered.get("keep"):  # left by one that was killed
        for leftover in folder.iterdir():
            if leftover.name not in {MARK, "household.lock"}:
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        remembered = {"token": secrets.token_hex(16), "account": f"AC{secrets.token_hex(16)}"}
    settings = make_settings(
        listen, folder, remembered["account"], remembered["token"], sip, _free_address()
    )
    has_exchange = settings.carrier is CarrierKind.EXCHANGE
    if has_exchange:
        exchange_settings(settings)  # raises for an address that is none
    house = commands(settings, exchange=has_exchange)
    runtime = build(settings)
    try:
        migration.upgrade(runtime.db)
        runtime.rules.look(now=True)
        if is_new := "pins" not in remembered:
            remembered["pins"] = seeds.people(runtime)
            seeds.rules(runtime)
            seeds.residents(runtime)
            seeds.roster(runtime)
            seeds.matters(runtime)
        seeds.roster(runtime)
        at_the_telephone = seeds.on_duty_now(runtime)
    finally:
        runtime.close()
    (folder / MARK).write_text(json.dumps(remembered | {"keep": keep}))
    logs.start()

    inventing = threading.Lock()

    def announce() -> None:
        if _serves(settings.public_url):
            if is_new:  # nobody waits for it: the first page is there
                with inventing:
                    past_months.live(settings)
            say(welcome(settings, remembered["pins"], at_the_telephone))

    Household(house).run(announce)
    # Whoever ends it at once waits a moment: nothing is written into a folder that goes.
    with inventing:
        pass


def make_settings(
    listen: str, folder: Path, account: str, token: str, sip: str, rest: str
) -> Settings:
    """A demonstration's settings. Every one is given, so that the machine's own are not read."""
    host, _, port = listen.rpartition(":")
    url = f"http://{'127.0.0.1' if host in {'0.0.0.0', ''} else host}:{port}"  # noqa: S104
    given: dict[str, Any] = {
        "data_folder": folder, "listen": f"{host or '127.0.0.1'}:{port}", "demo": True,
        "public_url": url, "line_number": LINE_NUMBER, "committee_phone": COMMITTEE_PHONE,
        "carrier": CarrierKind.EXCHANGE if sip else CarrierKind.TWILIO, "carrier_api_url": f"{url}/twin",
        "exchange_listen": sip, "exchange_rest": rest, "exchange_peers": (_neighbours(sip),),
        "carrier_account": account, "carrier_token": token, "sweep_seconds": 1.0,
    }  # fmt: skip
    everything = {name: field.default for name, field in Settings.model_fields.items()} | given
    del everything["model_path"]  # read by its name in the environment only
    everything["HOTLINE_MODEL_PATH"] = MODEL if MODEL.is_dir() else None
    everything["_env_file"] = None
    settings = Settings(**everything)
    # given only so that the machine's own are not read: what may be changed on a page is the page's
    settings.model_fields_set.difference_update(house_rules.RULES)
    return settings


def welcome(settings: Settings, pins: dict[str, str], on_duty: str) -> str:
    """What is printed once the first page is there."""
    rows = "\n".join(f"    {name}  密码 {pin}" for name, pin in pins.items())
    softphone = (
        f"拨 sip:hotline@{settings.exchange_listen}（不用登记；用户名写电话号码，写别的就算李桂芳打来）"
        if settings.carrier is CarrierKind.EXCHANGE
        else "没有安装 espeak-ng，打不进来"
    )
    ear = (
        "演示用的语音模型，只听得懂现成的录音，听不懂真人"
        if settings.model_path
        else "没有语音模型，每段录音由人来听"
    )
    return f"""
{settings.line_name} · 演示（人名、电话都是编的，电话打不到外面）

  打电话      {settings.public_url}/phone{"（手机扫这一页上的码也能打）" if visitors.net_address(settings.listen) else ""}
  软电话      {softphone}
  志愿者的页  {settings.public_url}/
  居委会的页  {settings.public_url}/office

{rows}

  值班表今天起排满了一周，每个钟头都有人。现在值班：{on_duty}。
  {ear}。
  按 Ctrl-C 结束。
"""


def _free_sip() -> str:
    """Where softphones ring; nowhere without a voice for the prompts."""
    return _free_address(SIP_PORT, socket.SOCK_DGRAM) if shutil.which("espeak-ng") else ""


def _neighbours(sip: str) -> str:
    """Who may ring: this machine, or the net of the address that was asked for."""
    return f"{sip.rpartition(':')[0] or '127.0.0.1'}/24"


def _free_address(first: int = 0, kind: int = socket.SOCK_STREAM) -> str:
    """On loopback, at this port or one of the next; any free one where no first is named."""
    for port in (*range(first, first + PORTS if first else 0), 0):
        with socket.socket(type=kind) as door:
            if kind == socket.SOCK_STREAM:
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                door.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{door.getsockname()[1]}"
    raise OSError("no free port")


def _serves(url: str) -> bool:
    """Wait for the first page, as long as it takes: whatever keeps it away is in the log."""
    pause = threading.Event()
    while True:
        try:
            requests.get(f"{url}/door", timeout=5)
        except requests.RequestException:
            pause.wait(LOOK_SECONDS)
        else:
            return True


def _remove_if_empty(folder: Path) -> None:
    if folder.name == "data" and not any(folder.iterdir()):
        folder.rmdir()


def _interrupted(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
