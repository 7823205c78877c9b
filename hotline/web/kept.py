"""What a person had written when their session was over or their page too old: it goes with them
through the door, in the forms themselves, and is recorded by one press. No address ever holds it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, render_template, request
from flask_wtf.csrf import CSRFError

from hotline.phone import mask
from hotline.web import words
from hotline.web.letters import inside
from tickets.lifecycle import Act

LONGEST = 100_000
SECRET = frozenset({"csrf_token", "pin", "code", "kept"})
# What a form carries for itself; everything else a person has chosen or written.
OURS = frozenset(
    {"act", "seen", "seen_text", "version", "next", "back", "shown", "recording", "to"}
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A form that was sent and not recorded: where to, and its fields."""

    path: str
    fields: tuple[tuple[str, str], ...]

    def written(self) -> Iterator[str]:
        """What the person wrote, to read; a number only masked."""
        for name, value in self.fields:
            if name == "phone" or (name not in OURS and not value.isascii()):
                yield mask(words.clean(value))

    @property
    def button(self) -> str:
        act = dict(self.fields).get("act")
        return words.BUTTONS[Act(act)].words if act in list(Act) else "接着记下来"

    def __str__(self) -> str:
        return json.dumps([self.path, self.fields], ensure_ascii=False)


def from_request() -> Kept | None:
    """The form of this request, if it is one of our own pages' and small enough to go with its sender."""
    ours = request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}
    small = (request.content_length or 0) <= LONGEST
    if request.method != "POST" or not (ours and small) or request.files:
        return None
    fields = tuple((n, v) for n, v in request.form.items(multi=True) if n not in SECRET)
    return Kept(request.full_path.rstrip("?"), fields) if fields else None


def read(written: str) -> Kept | None:
    """What a form of the door has carried; None for anything else."""
    try:
        path, fields = json.loads(written)
        pairs = tuple((str(name), str(value)) for name, value in fields)
        return Kept(where, pairs) if (where := inside(str(path))) else None
    except (ValueError, TypeError):
        return None


def show(kept: Kept, *, old: bool = False) -> str:
    """One press away from being recorded."""
    return render_template("kept.html", kept=kept, old=old)


def install(app: Flask) -> None:
    @app.errorhandler(CSRFError)
    def old_form(error: CSRFError) -> Any:
        roles = getattr(app.view_functions[request.endpoint or ""], "roles", None)
        kept = from_request() if roles else None
        if kept is None:
            return render_template("error.html", code="old_form"), 400
        return show(kept, old=True), 400
