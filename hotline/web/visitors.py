"""A visitor's own telephone as a resident's: who of the net may, for a day, by a code on the page."""

import ipaddress
import socket

from flask import Request
from itsdangerous import BadData, URLSafeTimedSerializer

COOKIE = "hotline_visitor"
ONE_DAY_SECONDS = 24 * 3600
ELSEWHERE = "192.0.2.1"  # no such host (RFC 5737): only the way to it is asked, nothing is sent


def token(key: str) -> str:
    return URLSafeTimedSerializer(key, salt=COOKIE).dumps("visitor")


def may_enter(request: Request, key: str) -> bool:
    """From this machine always; from the net with the code of the last day."""
    if ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104
        return True
    brought = request.args.get("visit") or request.cookies.get(COOKIE, "")
    try:
        URLSafeTimedSerializer(key, salt=COOKIE).loads(brought, max_age=ONE_DAY_SECONDS)
    except BadData:
        return False
    return True


def net_address(listen: str) -> str | None:
    """host:port under which others of the net reach us; None where we listen to this machine only."""
    host, _, port = listen.rpartition(":")
    if host in {"0.0.0.0", "[::]", "::", ""}:  # noqa: S104
        host = _own_address() or ""
    try:
        is_near = not host or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_near = host == "localhost"
    return None if is_near else f"{host}:{port}"


def _own_address() -> str | None:
    with socket.socket(type=socket.SOCK_DGRAM) as way:
        try:
            way.connect((ELSEWHERE, 9))
        except OSError:  # no net at all
            return None
        return str(way.getsockname()[0])
