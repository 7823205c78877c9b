"""A carrier in small: it places calls to the telephones in browsers, connects them with each other, keeps
what is recorded there, and answers the same requests as a real one. Its books are files in the data
folder, because several web processes share them."""

import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import wraps
from pathlib import Path
from typing import Any

import requests
from flask import Blueprint, Response, jsonify, request

from hotline.clock import Clock, utc
from hotline.config import CarrierKind, Settings
from hotline.web.guard import signed

FINAL = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
FORGOTTEN_AFTER = timedelta(minutes=15)  # a call whose page was closed is over by then
STRUCK_OUT_AFTER = timedelta(days=1)  # then the books need it no longer
RING_SECONDS = 50
SOUND_TYPES = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/webm": "webm", "audio/ogg": "ogg", "audio/mp4": "m4a", "video/webm": "webm", "audio/mpeg": "mp3", "audio/x-m4a": "m4a", "audio/aac": "aac", "video/mp4": "m4a", "audio/amr": "amr", "audio/3gpp": "3gp"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leg:
    """One call as this carrier keeps it; times in ISO 8601."""

    sid: str
    to: str
    caller: str
    direction: str  # inbound, outbound-api, outbound-dial
    status: str
    made_at: str
    url: str = ""
    status_callback: str = ""
    ring_seconds: int = RING_SECONDS
    seconds: int = 0
    # what its last document said of somebody to ring
    dials: str = ""
    dial_url: str = ""
    dial_seconds: int = RING_SECONDS
    parent: str = ""  # the call that this telephone was rung for
    bridged_at: str = ""  # since when the two talk with each other

    @property
    def over(self) -> bool:
        return self.status in FINAL


class Exchange:
    """The books: a file a call, two files a recording. Names are made here, never taken from outside."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._folder = settings.data_folder / "handset"
        self._clock = clock

    def begin(self, **known: Any) -> Leg:
        """A new call, in or out."""
        leg = Leg(sid=f"CA{secrets.token_hex(16)}", made_at=self._clock().isoformat(), **known)
        self._write(leg)
        return leg

    def find(self, sid: str) -> Leg | None:
        try:
            return self._aged(Leg(**json.loads(self._file(sid).read_text())))
        except (FileNotFoundError, ValueError):
            return None

    def change(self, leg: Leg, **changed: Any) -> Leg:
        changed_leg = replace(leg, **changed)
        self._write(changed_leg)
        return changed_leg

    def pick_up(self, sid: str) -> Leg | None:
        """The ringing call, for the first who picks it up only."""
        leg = self.find(sid)
        if leg is None or leg.over or leg.direction == "inbound":
            return None
        try:
            os.close(os.open(self._file(sid).with_suffix(".taken"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return None
        return self.change(leg, status="in-progress")

    def was_picked_up(self, leg: Leg) -> bool:
        return self._file(leg.sid).with_suffix(".taken").exists()

    def children(self, leg: Leg) -> list[Leg]:
        """The telephones that ring, or are off the hook, for this call."""
        return [child for child in self.calls() if child.parent == leg.sid and not child.over]

    def calls(self, to: str | None = None) -> list[Leg]:
        """The newest first."""
        legs = [leg for file in self._folder.glob("CA*.json") if (leg := self.find(file.stem))]
        for leg in legs:
            if self._age(leg) > STRUCK_OUT_AFTER:
                for kind in (".json", ".taken"):
                    self._file(leg.sid).with_suffix(kind).unlink(missing_ok=True)
        found = [leg for leg in legs if to is None or leg.to == to]
        return sorted(found, key=lambda leg: leg.made_at, reverse=True)

    def keep_sound(self, sound: bytes, media_type: str) -> str:
        """A recording; returns its identifier."""
        sid = f"RE{secrets.token_hex(16)}"
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{sid}.type").write_text(media_type)
        (self._folder / f"{sid}.sound").write_bytes(sound)
        return sid

    def sound(self, sid: str) -> tuple[bytes, str] | None:
        if not _is_name(sid, "RE"):
            return None
        try:
            media_type = (self._folder / f"{sid}.type").read_text()
            return (self._folder / f"{sid}.sound").read_bytes(), media_type
        except FileNotFoundError:
            return None

    def forget_sound(self, sid: str) -> bool:
        if self.sound(sid) is None:
            return False
        for kind in ("sound", "type"):
            (self._folder / f"{sid}.{kind}").unlink(missing_ok=True)
        return True

    def _aged(self, leg: Leg) -> Leg:
        """A call nobody picked up stops ringing; one whose page was closed ends by itself."""
        age = self._age(leg)
        if leg.status in {"queued", "ringing"} and leg.direction != "inbound":
            if age > timedelta(seconds=leg.ring_seconds):
                return self.change(leg, status="no-answer")
        elif not leg.over and age > FORGOTTEN_AFTER:
            return self.change(leg, status="completed")
        return leg

    def _age(self, leg: Leg) -> timedelta:
        return self._clock() - datetime.fromisoformat(leg.made_at)

    def _file(self, sid: str) -> Path:
        if not _is_name(sid, "CA"):
            raise FileNotFoundError(sid)
        return self._folder / f"{sid}.json"

    def _write(self, leg: Leg) -> None:
        file = self._file(leg.sid)
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(f".{secrets.token_hex(4)}")
        aside.write_text(json.dumps(asdict(leg)))
        aside.replace(file)


def make_blueprint(settings: Settings, exchange: Exchange) -> Blueprint:
    """The REST interface, as much of it as the house uses."""
    account = settings.carrier_account
    rest = Blueprint("twin", __name__, url_prefix=f"/twin/2010-04-01/Accounts/{account}")

    def hand_on() -> Response | None:
        """The same request to the exchange beside us, which knows the softphones; None where there
        is none or it is silent. In a demonstration only: elsewhere the exchange dials outside."""
        if not settings.demo or settings.carrier is not CarrierKind.EXCHANGE:
            return None
        target = request.full_path.removeprefix("/twin").rstrip("?")
        try:
            answer = requests.request(
                request.method, f"http://{settings.exchange_rest}{target}",
                data=list(request.form.items(multi=True)), auth=(account, settings.carrier_token),
                timeout=settings.carrier_timeout_seconds,
            )  # fmt: skip
        except requests.RequestException:
            return None
        kind = answer.headers.get("Content-Type", "application/json")
        return Response(answer.content, answer.status_code, content_type=kind)

    def known(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def checked(**named: str) -> Any:
            who = request.authorization
            right = who is not None and who.type == "basic" and hmac.compare_digest(
                f"{who.username}:{who.password}".encode(), f"{account}:{settings.carrier_token}".encode()
            )  # fmt: skip
            if not right or not settings.carrier_token:
                return _error(401, 20003, "Authenticate")
            found = view(**named)
            missing = isinstance(found, tuple) and found[1] == 404
            return (hand_on() or found) if missing else found

        return signed(checked)

    @rest.post("/Calls.json")
    @known
    def place() -> Any:
        form = request.form
        if not (form.get("To") and form.get("From") and form.get("Url")):
            return _error(400, 21201, "To, From and Url are needed")
        softphone = hand_on()
        if softphone is not None and softphone.status_code != 400:  # it has no way to that number
            return softphone
        ring_seconds = form.get("Timeout", "")
        leg = exchange.begin(
            to=form["To"], caller=form["From"], direction="outbound-api", status="queued",
            url=form["Url"], status_callback=form.get("StatusCallback", ""),
            ring_seconds=int(ring_seconds) if ring_seconds.isdigit() else RING_SECONDS,
        )  # fmt: skip
        return jsonify(_shown(account, leg)), 201

    @rest.get("/Calls.json")
    @known
    def calls() -> Any:
        legs = exchange.calls(request.args.get("To"))
        if since := request.args.get("StartTime>"):
            legs = [leg for leg in legs if utc(datetime.fromisoformat(leg.made_at)).replace(microsecond=0).isoformat() >= since[:19]]  # fmt: skip
        beside = hand_on()
        theirs = beside.get_json()["calls"] if beside and beside.status_code == 200 else []
        return jsonify(
            calls=[_shown(account, leg) for leg in legs[:50]] + theirs,
            page=0, page_size=50, next_page_uri=None, previous_page_uri=None,
        )  # fmt: skip

    @rest.get("/Calls/<sid>.json")
    @known
    def call(sid: str) -> Any:
        leg = exchange.find(sid)
        return jsonify(_shown(account, leg)) if leg else _error(404, 20404, "No such call")

    @rest.get("/Recordings/<name>")
    @known
    def recording(name: str) -> Any:
        sid, _, extension = name.partition(".")
        found = exchange.sound(sid)
        if found is None:
            return _error(404, 20404, "No such recording")
        if extension == "json":
            return jsonify(sid=sid, account_sid=account, status="completed", media_type=found[1])
        return Response(found[0], content_type=found[1])

    @rest.delete("/Recordings/<name>")
    @known
    def forget(name: str) -> Any:
        if not exchange.forget_sound(name.partition(".")[0]):
            return _error(404, 20404, "No such recording")
        return "", 204

    return rest


def recording_url(settings: Settings, sid: str) -> str:
    """Where the recording lies, as the carrier tells it in its webhooks."""
    base = f"{settings.carrier_api}/2010-04-01/Accounts/{settings.carrier_account}"
    return f"{base}/Recordings/{sid}"


def _shown(account: str, leg: Leg) -> dict[str, Any]:
    made_at = format_datetime(utc(datetime.fromisoformat(leg.made_at)))
    return {
        "sid": leg.sid, "account_sid": account, "to": leg.to, "from": leg.caller,
        "status": leg.status, "direction": leg.direction, "start_time": made_at,
        "date_created": made_at, "duration": str(leg.seconds) if leg.over else None,
        "api_version": "2010-04-01",
    }  # fmt: skip


def _error(status: int, code: int, message: str) -> tuple[Response, int]:
    return jsonify(code=code, message=message, status=status), status


def _is_name(sid: str, kind: str) -> bool:
    return sid.startswith(kind) and sid.isascii() and sid.isalnum()


def waiting(exchange: Exchange, number: str) -> Iterator[Leg]:
    """The calls that ring at this number, the oldest first."""
    for leg in reversed(exchange.calls(number)):
        if leg.direction != "inbound" and leg.status in {"queued", "ringing"}:
            yield leg
