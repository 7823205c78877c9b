"""Larger letters, for whoever wants them: a cookie of the browser, so that it holds before signing in too."""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, redirect, request

from hotline.web.guard import open_to_all

COOKIE = "hotline_letters"
SIZES = ("", "big", "huge")  # 20, 24 and 30 px; the stylesheet knows these classes


def install(app: Flask) -> None:
    room = Blueprint("letters", __name__)

    @room.post("/letters")
    @open_to_all("how large the letters are is nobody's secret")
    def change() -> Any:
        response = redirect(inside(request.form.get("back", "")) or "/")
        size = request.form.get("size", "")
        if size in SIZES:
            response.set_cookie(COOKIE, size, max_age=31_536_000, httponly=True, samesite="Lax")
        return response

    @app.context_processor
    def letters() -> dict[str, Any]:
        now = request.cookies.get(COOKIE, "")
        at = SIZES.index(now) if now in SIZES else 0
        return {
            "letters": SIZES[at],
            "larger": SIZES[at + 1] if at + 1 < len(SIZES) else None,
            "smaller": SIZES[at - 1] if at else None,
        }

    app.register_blueprint(room)


def inside(where: str) -> str | None:
    """The page to go to, if it is one of ours."""
    ours = where.startswith("/") and not where.startswith("//") and "\\" not in where
    return where if ours and where.isprintable() and len(where) < 300 and not urlsplit(where).netloc else None  # fmt: skip
