"""Fetching a recording from the carrier: streamed, bounded, from known hosts only."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import requests

from hotline.config import Settings

BLOCK_BYTES = 65_536
REDIRECTS = 3
EXTENSIONS = {"audio/mpeg": ".mp3", "audio/ogg": ".ogg", "audio/webm": ".webm", "audio/mp4": ".m4a"}


class NotYetError(Exception):
    """The carrier has not got it ready, or cannot be reached: try again later."""


class RefusedError(Exception):
    """It must not or cannot be fetched at all; the text says why."""


def fetch(settings: Settings, url: str) -> "Fetched":
    """Open the stream of a recording.

    The token goes only to the first address: a redirect may lead to somebody else's store.
    Raises NotYetError (404 is normal for a while) and RefusedError.
    """
    secret: tuple[str, str] | None = (settings.carrier_account, settings.carrier_token)
    for _ in range(REDIRECTS + 1):
        _check_host(settings, url)
        try:
            response = requests.get(
                url,
                auth=secret,
                stream=True,
                allow_redirects=False,
                timeout=settings.carrier_timeout_seconds,
            )
        except requests.RequestException as error:
            raise NotYetError(type(error).__name__) from error
        if response.is_redirect:
            url, secret = urljoin(url, response.headers["Location"]), None
            response.close()
            continue
        if response.status_code in {404, 408, 425, 429} or response.status_code >= 500:
            raise NotYetError(f"HTTP {response.status_code}")
        if response.status_code != requests.codes.ok:
            raise RefusedError(f"HTTP {response.status_code}")
        return Fetched(response, settings.recording_max_bytes)
    raise RefusedError("too many redirects")


class Fetched:
    """The body of a recording on its way in."""

    def __init__(self, response: requests.Response, max_bytes: int) -> None:
        self._response, self._max_bytes = response, max_bytes
        self.media_type = (
            response.headers.get("Content-Type", "").partition(";")[0].strip().lower()[:40]
        )

    @property
    def extension(self) -> str:
        return EXTENSIONS.get(self.media_type, ".wav")

    def blocks(self) -> Iterator[bytes]:
        """The bytes; raises RefusedError past the bound and NotYetError where the stream breaks."""
        size = 0
        try:
            for block in self._response.iter_content(BLOCK_BYTES):
                size += len(block)
                if size > self._max_bytes:
                    raise RefusedError(f"larger than {self._max_bytes} bytes")
                yield block
        except requests.RequestException as error:
            raise NotYetError(type(error).__name__) from error
        finally:
            self._response.close()
        if size == 0:
            raise RefusedError("empty")


def _check_host(settings: Settings, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or parts.hostname not in settings.allowed_media_hosts:
        raise RefusedError(f"host not allowed: {parts.hostname}")
    if parts.scheme == "http" and not _plain_http_is_ours(settings):
        raise RefusedError("not https")


def _plain_http_is_ours(settings: Settings) -> bool:
    """Plain http only where the carrier's own interface is plain: an exchange on this machine."""
    return settings.carrier_api.startswith("http://")
