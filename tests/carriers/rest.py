"""The company's REST API on loopback: calls are created, looked up and cancelled, recordings fetched.

Basic auth with account and token; parameters beyond the common six only where the company has the
capability of that name. The answers have the fields that the twilio library reads.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from carriers.call import Call
    from carriers.company import Company

COMMON = frozenset({"To", "From", "Url", "Method", "StatusCallback", "StatusCallbackMethod"})
REQUIRED = ("To", "From", "Url")
RECORDING_TYPES = {"": "audio/x-wav", ".wav": "audio/x-wav"}


class RestServer:
    """Serves one company in a thread; port chosen by the system."""

    def __init__(self, company: Company) -> None:
        handler = type("Handler", (_Handler,), {"company": company})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.hang_up()


class _Server(ThreadingHTTPServer):
    """Hangs up on whoever keeps a connection: else a thread waits on it for ever, and holds all of its house."""

    daemon_threads = True

    def __init__(self, *where: Any) -> None:
        super().__init__(*where)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    company: Company
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its own name
        """Quiet: the tests speak."""

    def _serve(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        if parts.path.startswith("/storage/"):
            self._storage(parts.path)
            return
        if not self._known():
            self._refuse(401, 20003, "Authenticate")
            return
        if self.company.api_faults:
            fault = self.company.api_faults.pop(0)
            if fault.lost:
                self._route(method, parts.path, parts.query, body, silent=True)
                self.close_connection = True
                return
            self._refuse(fault.status, 20429 if fault.status == 429 else 20500, "not now")
            return
        self._route(method, parts.path, parts.query, body)

    def _route(self, method: str, path: str, query: str, body: bytes, silent: bool = False) -> None:
        self._silent = silent
        match = re.fullmatch(
            r"/2010-04-01/Accounts/([^/]+)/(Calls|Recordings)(?:/([^/]+?))?(\.json|\.wav)?", path
        )
        if match is None or match[1] != self.company.account:
            self._refuse(404, 20404, f"{path} was not found")
            return
        kind, sid, ending = match[2], match[3], match[4] or ""
        match (method, kind, sid):
            case ("POST", "Calls", None):
                self._create_call(_form(body))
            case ("POST", "Calls", str()):
                self._change_call(sid, _form(body))
            case ("GET", "Calls", None):
                self._list_calls(_form(query.encode()))
            case ("GET", "Calls", str()):
                self._show_call(sid)
            case ("GET", "Recordings", str()):
                self._recording(sid, ending)
            case ("DELETE", "Recordings", str()):
                self._delete_recording(sid)
            case _:
                self._refuse(405, 20004, "Method not allowed")

    def _create_call(self, form: dict[str, str]) -> None:
        unknown = sorted(form.keys() - COMMON - self.company.capabilities)
        missing = [name for name in REQUIRED if not form.get(name)]
        urls = [form[name] for name in ("Url", "StatusCallback", "FallbackUrl") if form.get(name)]
        if unknown:
            self._wrong(21600, f"{', '.join(unknown)}: this company knows no such parameter")
        elif missing:
            self._wrong(21201, f"{', '.join(missing)} missing")
        elif not re.fullmatch(r"\+[1-9]\d{6,14}", form["To"]):
            self._wrong(21211, f"To is no telephone number: {form['To']}")
        elif form["From"] != self.company.number:
            self._wrong(21212, f"From is not our number: {form['From']}")
        elif wrong := [
            url for url in urls if not re.fullmatch(r"https://[!-~]+", url) or "#" in url
        ]:
            self._wrong(21205, f"not an absolute https address: {wrong[0]}")
        else:
            self._answer(201, _call(self.company, self.company.places_call(form)))

    def _change_call(self, sid: str, form: dict[str, str]) -> None:
        call = self.company.calls.get(sid)
        if call is None:
            self._refuse(404, 20404, "no such call")
            return
        if form.get("Status") in ("completed", "canceled") and call.status in ("queued", "ringing"):
            call.status = "canceled"
        self._answer(200, _call(self.company, call))

    def _show_call(self, sid: str) -> None:
        call = self.company.calls.get(sid)
        if call is None:
            self._refuse(404, 20404, "no such call")
        else:
            self._answer(200, _call(self.company, call))

    def _list_calls(self, query: dict[str, str]) -> None:
        calls = [
            call
            for call in reversed(self.company.calls.values())
            if query.get("To", call.called) == call.called
            and query.get("From", call.caller) == call.caller
            and query.get("Status", call.status) == call.status
        ]
        shown = calls[: int(query.get("PageSize", "50"))]
        self._answer(
            200,
            {
                "calls": [_call(self.company, call) for call in shown],
                "page": 0,
                "page_size": len(shown),
                "uri": self.path,
                "first_page_uri": self.path,
                "next_page_uri": None,
                "previous_page_uri": None,
                "start": 0,
                "end": max(0, len(shown) - 1),
            },
        )

    def _recording(self, sid: str, ending: str) -> None:
        company = self.company
        recording = company.recordings.get(sid)
        if recording is None or sid in company.deleted_recordings:
            self._refuse(404, 20404, "no such recording")
        elif company.missing_fetches > 0:
            company.missing_fetches -= 1
            self._refuse(404, 20404, "not there yet")
        elif ending == ".json":
            facts = {"sid": sid, "call_sid": recording.call, "account_sid": company.account}
            self._answer(200, facts | {"duration": str(recording.seconds), "status": "completed"})
        elif company.redirects_recordings:
            self.send_response(307)
            host = self.headers.get("Host", "").replace("127.0.0.1", "localhost")
            self.send_header("Location", f"http://{host}/storage/{sid}.wav")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(200, RECORDING_TYPES[ending], recording.sound)

    def _storage(self, path: str) -> None:
        """Another host, as carriers have it: whoever shows a password there is sent away."""
        recording = self.company.recordings.get(path.removeprefix("/storage/").removesuffix(".wav"))
        self._silent = False
        if "Authorization" in self.headers:
            self.company.complaints.append("the password was shown to another host")
            self._refuse(400, 0, "only one way of authentication is allowed")
        elif recording is None:
            self._refuse(404, 0, "no such file")
        else:
            self._send(200, "audio/x-wav", recording.sound)

    def _delete_recording(self, sid: str) -> None:
        if sid not in self.company.recordings or sid in self.company.deleted_recordings:
            self._refuse(404, 20404, "no such recording")
            return
        self.company.deleted_recordings.add(sid)
        self._send(204, "application/json", b"")

    def _known(self) -> bool:
        wanted = base64.b64encode(f"{self.company.account}:{self.company.token}".encode()).decode()
        self._silent = False
        return hmac.compare_digest(self.headers.get("Authorization", ""), f"Basic {wanted}")

    def _wrong(self, code: int, message: str) -> None:
        self.company.complaints.append(f"REST: {message}")
        self._refuse(400, code, message)

    def _refuse(self, status: int, code: int, message: str) -> None:
        self._answer(status, {"code": code, "message": message, "more_info": "", "status": status})

    def _answer(self, status: int, content: Mapping[str, object]) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        if self._silent:
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _form(body: bytes) -> dict[str, str]:
    fields = parse_qs(body.decode(), keep_blank_values=True)
    return {name: " ".join(values) for name, values in fields.items()}


def _call(company: Company, call: Call) -> dict[str, object]:
    created = format_datetime(call.created)
    return {
        "sid": call.sid,
        "account_sid": company.account,
        "api_version": "2010-04-01",
        "from": call.caller,
        "to": call.called,
        "direction": call.direction,
        "status": call.status,
        "answered_by": call.answered_by or None,
        "duration": str(round(call.seconds)) if call.over else None,
        "date_created": created,
        "date_updated": created,
        "start_time": created if call.status not in ("queued", "ringing") else None,
        "end_time": created if call.over else None,
        "parent_call_sid": call.parent.sid if call.parent else None,
        "price": None,
        "uri": f"/2010-04-01/Accounts/{company.account}/Calls/{call.sid}.json",
    }
