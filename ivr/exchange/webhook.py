"""The application as the carrier sees it: asked and told by signed requests."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from ivr.exchange.settings import ExchangeSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

LARGEST_DOCUMENT = 256_000  # bytes read of an answer; TwiML itself may have 64,000 characters
LARGEST_SOUND = 10_000_000
CONNECT_SECONDS = 5.0
# A web server that died is started anew within seconds: so long a caller waits before the fallback.
PATIENCE_SECONDS, LOOK_SECONDS = 8.0, 0.2

Form = Mapping[str, str]


class WebhookError(Exception):
    """The application gave no usable answer. `code` is Twilio's number for such a fault."""

    def __init__(self, code: int, url: str, reason: str) -> None:
        super().__init__(f"{reason} ({urlsplit(url).path})")
        self.code = code
        self.url = url


class NotThereError(WebhookError):
    """Nobody listens there, or whoever did is gone: perhaps for a moment only."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file of the application."""

    status: int
    body: bytes
    etag: str
    last_modified: str
    cache_control: str


class WebApp:
    """Signed requests to the application, over connections that are kept open."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self._settings = settings
        self._signer = RequestValidator(settings.auth_token)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=self._settings.webhook_seconds, sock_connect=CONNECT_SECONDS
            ),
            # More than the busiest moment needs: a queue here would be silence on the line.
            connector=aiohttp.TCPConnector(limit=4 * self._settings.max_calls),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "hotline-exchange"},
            auto_decompress=True,
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, url: str, method: str, form: Form, *, patient: bool = True) -> str:
        """The document that answers; raises WebhookError.

        An application that is not there may be starting anew: it is asked again for a while. What
        it heard it may hear twice; every webhook may.
        """
        sending = partial(self._send, url, method, form)
        status, body, kind = await (self._patiently(sending) if patient else sending())
        if status >= 400:
            raise WebhookError(11200, url, f"HTTP {status}")
        if status == 204 or not body.strip():
            return "<Response/>"
        if kind.split(";")[0].strip().lower() not in {"text/xml", "application/xml", "text/html"}:
            raise WebhookError(12300, url, f"{kind!r} is no TwiML")
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise WebhookError(12100, url, "not UTF-8") from error

    async def _patiently(self, send: Callable[[], Awaitable[T]]) -> T:
        """Again and again while nobody is there, but not for ever."""
        clock = asyncio.get_running_loop().time
        until = clock() + min(PATIENCE_SECONDS, self._settings.webhook_seconds)
        while True:
            try:
                return await send()
            except NotThereError:
                if clock() > until:
                    raise
                await asyncio.sleep(LOOK_SECONDS)

    async def tell(self, url: str, method: str, form: Form) -> int:
        """The HTTP status that a report was answered with; raises WebhookError if none was."""
        return (await self._send(url, method, form))[0]

    async def _send(self, url: str, method: str, form: Form) -> tuple[int, bytes, str]:
        if method == "GET":
            url = str(URL(url, encoded=True).update_query(dict(form)))
        headers = {"X-Twilio-Signature": self._sign(url, form if method == "POST" else {})}
        body = None
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()  # aiohttp's own way costs as much as all the rest
        try:
            async with self._opened.request(
                method,
                self._inside(url),
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                document = await answer.content.read(LARGEST_DOCUMENT)
                if 300 <= answer.status < 400:
                    raise WebhookError(11200, url, "redirects are not followed")
                return answer.status, document, answer.headers.get("Content-Type", "")
        except TimeoutError as error:
            raise WebhookError(11205, url, "no answer in time") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise NotThereError(11200, url, type(error).__name__) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise WebhookError(11200, url, type(error).__name__) from error

    async def fetch(self, url: str, etag: str = "", last_modified: str = "") -> Fetched:
        """A sound; status 304 when it has not changed. Raises WebhookError."""
        return await self._patiently(partial(self._fetch, url, etag, last_modified))

    async def _fetch(self, url: str, etag: str, last_modified: str) -> Fetched:
        headers = {"X-Twilio-Signature": self._sign(url, {})}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        try:
            async with self._opened.get(
                self._inside(url), headers=headers, allow_redirects=False
            ) as answer:
                if answer.status not in {200, 304}:
                    raise WebhookError(11200, url, f"HTTP {answer.status}")
                body = bytearray()
                async for block in answer.content.iter_chunked(65536):
                    body += block
                    if len(body) > LARGEST_SOUND:
                        raise WebhookError(11750, url, "the sound is too large")
                return Fetched(
                    answer.status,
                    bytes(body),
                    answer.headers.get("ETag", ""),
                    answer.headers.get("Last-Modified", ""),
                    answer.headers.get("Cache-Control", ""),
                )
        except TimeoutError as error:
            raise WebhookError(11205, url, "no answer in time") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise NotThereError(11200, url, type(error).__name__) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise WebhookError(11200, url, type(error).__name__) from error

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            raise ValueError("the exchange is closing")
        return self._session

    def _sign(self, url: str, form: Form) -> str:
        signature: str = self._signer.compute_signature(url, dict(form))
        return signature

    def _inside(self, url: str) -> URL:
        """Where the address is reached from here: signed as the world sees it, sent inside."""
        public, internal = self._settings.public_base, self._settings.internal_base
        if public and url.startswith(public):
            url = internal + url[len(public) :]
        return URL(url, encoded=True)  # as it was signed: aiohttp must not write it anew


def absolute(base: str, url: str) -> str:
    """An address of a document, which may be written relative to the document's own."""
    return urljoin(base, url) if url else base
