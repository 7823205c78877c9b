"""Deny by default: a view that does not say who may use it is used by nobody.

A mark is the attribute `guard` of the view function: "needs: …" (a role), "open: …" (with the
reason), or "signed" (the view checks a signature or a secret by itself, and no browser is behind it).
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, abort, redirect, request, url_for
from flask_login import current_user
from flask_wtf import CSRFProtect

from tickets.models import Role

View = TypeVar("View", bound=Callable[..., Any])

SIGNED = "signed"
OWN_HEADER = "X-Telephone"
MACHINES = ("/ivr/", "/twin/")  # no browser is behind these: no session, no token, no page
# Who may do what another role may. A committee member reads a volunteer's pages; whether a button
# is theirs to press is asked at the request itself.
INCLUDES = {
    Role.VOLUNTEER: frozenset({Role.VOLUNTEER}),
    Role.LEAD: frozenset({Role.VOLUNTEER, Role.LEAD}),
    Role.COMMITTEE: frozenset({Role.VOLUNTEER, Role.LEAD, Role.COMMITTEE}),
    Role.ADMIN: frozenset(Role),
}
# All an administrator without a second factor may open.
SETS_UP = frozenset({"door.own_second", "door.keep_second"})

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "media-src": "'self' blob:",  # the browser telephone plays back what it has recorded
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def needs(*roles: Role) -> Callable[[View], View]:
    """Only for people of one of these roles, or of a role that includes one."""

    def mark(view: View) -> View:
        view.guard = f"needs: {', '.join(roles)}"  # type: ignore[attr-defined]
        view.roles = frozenset(roles)  # type: ignore[attr-defined]
        return view

    return mark


def open_to_all(reason: str) -> Callable[[View], View]:
    """For everybody, with the reason why that does no harm."""

    def mark(view: View) -> View:
        view.guard = f"open: {reason}"  # type: ignore[attr-defined]
        return view

    return mark


def open_to_scripts(reason: str) -> Callable[[View], View]:
    """For everybody's browser, but asked by a script of our own pages only.

    A header of one's own is what no form and no foreign page can send. A token would not do: it
    changes when somebody signs in in another window, in the middle of a call.
    """

    def mark(view: View) -> View:
        view.asks_header = True  # type: ignore[attr-defined]
        return open_to_all(reason)(view)

    return mark


def signed(view: View) -> View:
    """The view itself refuses whoever does not know the carrier's secret."""
    view.guard = SIGNED  # type: ignore[attr-defined]
    return view


def unmarked(app: Flask) -> list[str]:
    """The endpoints that nobody can reach because nobody said who may."""
    return sorted(name for name, view in app.view_functions.items() if not _mark(view))


def install(app: Flask, csrf: CSRFProtect, *, second_factor: bool) -> None:
    """Ask before every request who may; set the headers after it."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # asked here, where the marks are known
    open_to_all("stylesheet, scripts and marks hold no word of anybody")(
        app.view_functions["static"]
    )

    @app.before_request
    def may_pass() -> Any:
        if request.endpoint is None:
            return None  # no such page: the 404 tells nothing
        view = app.view_functions[request.endpoint]
        mark = _mark(view)
        if not mark:
            abort(403)
        if mark == SIGNED or request.path.startswith(MACHINES):
            return None
        if roles := getattr(view, "roles", None):
            if not current_user.is_authenticated:
                if request.method != "GET":
                    abort(
                        401
                    )  # a page, not the door: it shows what was typed, so that it is not lost
                return redirect(url_for("door.open_door", next=request.full_path.rstrip("?")))
            if not may(current_user.role, *roles):
                abort(403)
            alone = second_factor and current_user.role is Role.ADMIN and not current_user.second
            if alone and request.endpoint not in SETS_UP:
                return redirect(url_for("door.own_second"))
        if not getattr(view, "asks_header", False):
            csrf.protect()
        elif request.method != "GET" and OWN_HEADER not in request.headers:
            abort(403)
        return None

    @app.after_request
    def closed(response: Response) -> Response:
        if request.path.startswith(MACHINES):
            return response  # no browser reads it
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def may(role: Role, *roles: Role) -> bool:
    """Whether a person of `role` may do what one of `roles` may."""
    return not INCLUDES[role].isdisjoint(roles)


def _mark(view: Callable[..., Any]) -> str:
    return str(getattr(view, "guard", ""))
