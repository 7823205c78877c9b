"""How a webhook reaches the service: straight into the Flask app, or over HTTP to a process."""

import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from flask import Flask

TIMEOUT_SECONDS = 15  # what a webhook has


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    seconds: float


class Door(Protocol):
    def send(
        self, method: str, url: str, form: dict[str, str], headers: dict[str, str]
    ) -> Answer: ...


class FlaskDoor:
    """The app itself, without a socket; the host and path are those of the public address."""

    def __init__(self, app: Flask) -> None:
        self._client = app.test_client(use_cookies=False)

    def send(self, method: str, url: str, form: dict[str, str], headers: dict[str, str]) -> Answer:
        began = time.monotonic()
        with self._client.open(url, method=method, data=form or None, headers=headers) as response:
            body = response.get_data()
            seconds = time.monotonic() - began
            return Answer(
                response.status_code, response.headers.get("Content-Type", ""), body, seconds
            )


class HttpDoor:
    """A running server at `base_url` that stands behind the public address (as behind a proxy)."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, method: str, url: str, form: dict[str, str], headers: dict[str, str]) -> Answer:
        parts = urlsplit(url)
        target = self._base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        forwarded = {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme}
        request = urllib.request.Request(
            target,
            data=urlencode(form).encode() if method == "POST" else None,
            headers=headers | forwarded,
            method=method,
        )
        began = time.monotonic()
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                status, body = response.status, response.read()
                kind = response.headers.get("Content-Type", "")
        except urllib.error.HTTPError as error:
            with error:
                status, body = error.code, error.read()
                kind = error.headers.get("Content-Type", "")
        return Answer(status, kind, body, time.monotonic() - began)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None
