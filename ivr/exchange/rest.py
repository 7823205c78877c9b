"""The carrier's REST face, for the unchanged twilio client with another base URL."""

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from ivr.exchange.call import API_VERSION, rfc2822
from ivr.exchange.leg import Engine
from ivr.exchange.recordings import recording_url
from ivr.exchange.safety import NotAllowedError, same_secret
from ivr.exchange.settings import ExchangeSettings
from ivr.exchange.store import (
    CallRow,
    CallStatus,
    RecordingRow,
    Store,
    find_call,
    find_recording,
    list_calls,
)
from ivr.exchange.switchboard import Order, Switchboard

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LARGEST_FORM = 64_000
EVENTS = {"initiated", "ringing", "answered", "completed"}


class _RestError(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Rest:
    """Calls.json and Recordings, on loopback, by account and token."""

    def __init__(
        self, settings: ExchangeSettings, board: Switchboard, store: Store, engine: Engine
    ) -> None:
        self._settings, self._board, self._store, self._engine = settings, board, store, engine
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(middlewares=[self._guard], client_max_size=LARGEST_FORM)
        base = f"/{API_VERSION}/Accounts/{self._settings.account_sid}"
        app.add_routes(
            [
                web.get("/health", self._health),
                web.post(f"{base}/Calls.json", self._create),
                web.get(f"{base}/Calls.json", self._list),
                web.get(f"{base}/Calls/{{sid}}.json", self._get),
                web.post(f"{base}/Calls/{{sid}}.json", self._update),
                web.get(f"{base}/Recordings/{{sid}}.json", self._recording),
                web.get(f"{base}/Recordings/{{sid}}.wav", self._wav),
                web.get(f"{base}/Recordings/{{sid}}", self._wav),
                web.delete(f"{base}/Recordings/{{name}}", self._delete),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.rest_host, self._settings.rest_port)
        await site.start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not self._is_us(request.headers.get("Authorization", "")):
                raise _RestError(401, 20003, "Authenticate")
            return await handler(request)
        except _RestError as error:
            return _fault(error.status, error.code, str(error))
        except NotAllowedError as error:
            status = 429 if error.code == 20429 else 400
            return _fault(status, error.code, str(error))
        except web.HTTPException as error:
            return _fault(error.status, 20404 if error.status == 404 else 20001, error.reason)
        except Exception:
            log.exception("%s %s could not be carried out", request.method, request.path)
            return _fault(500, 20500, "the exchange could not do this")

    def _is_us(self, header: str) -> bool:
        kind, _, coded = header.partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            account, _, token = base64.b64decode(coded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        right = same_secret(account, self._settings.account_sid)
        return same_secret(token, self._settings.auth_token) and right

    async def _health(self, _: web.Request) -> web.Response:
        well = {"engine": self._settings.engine.value, "well": self._engine.well}
        return web.json_response({"calls": len(self._board.calls), **well})

    # Calls

    async def _create(self, request: web.Request) -> web.Response:
        form = await request.post()

        def value(name: str, default: str = "") -> str:
            return str(form.get(name, default)).strip()

        if not value("Url").startswith(("http://", "https://")):
            raise _RestError(400, 21205, "Url is not an address")
        if value("Method", "POST").upper() not in {"GET", "POST"}:
            raise _RestError(400, 21206, "Method is neither GET nor POST")
        events = [str(item) for name in ("StatusCallbackEvent",) for item in form.getall(name, [])]
        if not set(events) <= EVENTS:
            raise _RestError(400, 21626, "StatusCallbackEvent is not one of the events")
        row = await self._board.place(
            Order(
                to=value("To"),
                from_=value("From") or self._settings.our_number,
                url=value("Url"),
                method=value("Method", "POST").upper(),
                status_callback=value("StatusCallback"),
                status_method=value("StatusCallbackMethod", "POST").upper(),
                status_events=events or ["completed"],
                ring_seconds=_seconds(value("Timeout", "60")),
                fallback_url=value("FallbackUrl"),
            )
        )
        return web.json_response(self._call_json(row), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        size = int(_seconds(query.get("PageSize", "50")))
        rows = await self._store.do(
            lambda session: list_calls(
                session,
                to=query.get("To", ""),
                from_=query.get("From", ""),
                status=query.get("Status", ""),
                limit=max(1, min(size, 1000)),
            )
        )
        return web.json_response(
            {
                "calls": [self._call_json(row) for row in rows],
                "page": 0,
                "page_size": size,
                "start": 0,
                "end": max(0, len(rows) - 1),
                "uri": request.path_qs,
                "first_page_uri": request.path_qs,
                "next_page_uri": None,
                "previous_page_uri": None,
            }
        )

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._call_json(await self._find(request)))

    async def _update(self, request: web.Request) -> web.Response:
        row = await self._find(request)
        form = await request.post()
        wish = str(form.get("Status", ""))
        if wish not in {CallStatus.CANCELED, CallStatus.COMPLETED}:
            raise _RestError(400, 21218, "only Status=canceled and Status=completed are known here")
        if not await self._board.end(row.sid, CallStatus(wish)):
            raise _RestError(400, 21220, "the call is over")
        return web.json_response(self._call_json(await self._find(request)))

    async def _find(self, request: web.Request) -> CallRow:
        sid = request.match_info["sid"]
        live = self._board.calls.get(sid)
        row = live.row if live else await self._store.do(lambda s: find_call(s, sid))
        if row is None:
            raise _RestError(404, 20404, "no such call")
        return row

    def _call_json(self, row: CallRow) -> dict[str, Any]:
        base = f"/{API_VERSION}/Accounts/{self._settings.account_sid}"
        return {
            "sid": row.sid,
            "account_sid": self._settings.account_sid,
            "api_version": API_VERSION,
            "parent_call_sid": row.parent_sid or None,
            "to": row.to_number,
            "to_formatted": row.to_number,
            "from": row.from_number,
            "from_formatted": row.from_number,
            "status": row.status,
            "direction": row.direction,
            "date_created": _date(row.created_at),
            "date_updated": _date(row.ended_at or row.answered_at or row.created_at),
            "start_time": _date(row.answered_at or row.created_at),
            "end_time": _date(row.ended_at),
            "duration": str(row.duration_seconds) if row.ended_at else None,
            "answered_by": None,
            "price": None,
            "price_unit": "CNY",
            "uri": f"{base}/Calls/{row.sid}.json",
            "subresource_uris": {},
        }

    # Recordings

    async def _find_recording(self, sid: str) -> RecordingRow:
        row = await self._store.do(lambda s: find_recording(s, sid))
        if row is None or row.status != "completed":
            raise _RestError(404, 20404, "no such recording")
        return row

    async def _recording(self, request: web.Request) -> web.Response:
        row = await self._find_recording(request.match_info["sid"])
        return web.json_response(
            {
                "sid": row.sid,
                "account_sid": self._settings.account_sid,
                "call_sid": row.call_sid,
                "api_version": API_VERSION,
                "status": row.status,
                "duration": str(max(1, round(row.seconds))),
                "channels": 1,
                "source": "RecordVerb",
                "date_created": _date(row.started_at),
                "date_updated": _date(row.started_at),
                "start_time": _date(row.started_at),
                "media_url": recording_url(row.sid, self._settings),
                "uri": f"{request.path}",
            }
        )

    async def _wav(self, request: web.Request) -> web.StreamResponse:
        row = await self._find_recording(request.match_info["sid"])
        wav = self._store.wav(row.sid)
        if not wav.is_file():
            raise _RestError(404, 20404, "no such recording")
        return web.FileResponse(wav, headers={"Content-Type": "audio/x-wav"})

    async def _delete(self, request: web.Request) -> web.Response:
        sid = request.match_info["name"].removesuffix(".json").removesuffix(".wav")
        row = await self._find_recording(sid)
        self._store.wav(row.sid).unlink(missing_ok=True)
        row.status = "deleted"
        await self._store.save(row)
        return web.Response(status=204)


def _fault(status: int, code: int, message: str) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="hotline exchange"'} if status == 401 else None
    return web.json_response(
        {"code": code, "message": message, "status": status, "more_info": ""},
        status=status,
        headers=headers,
    )


def _seconds(text: str) -> float:
    try:
        return min(max(float(text), 1), 600)
    except ValueError as error:
        raise _RestError(400, 20001, "not a number") from error


def _date(instant: str | None) -> str | None:
    return rfc2822(datetime.fromisoformat(instant)) if instant else None
