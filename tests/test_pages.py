"""Every page, in a real browser: what a person of 65 can read, press and reach, and what it asks of others."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from browsers import Looking, Served, chromium, looking, serving
from conftest import HandClock
from desk_house import PEOPLE
from page_examples import POSTED, QUERIES, examples, seed

from tickets.models import Role

WIDTHS = (320, 360, 1024)
LETTERS = ("", "huge")
STATIC = Path(__file__).parent.parent / "hotline" / "static"
PERSON = {role: name for name, role in reversed(PEOPLE.items())}
WALK_BEGINS = (Path(__file__).parent / "walk.js").read_text(encoding="utf-8")
OWN = {
    "bench.js",
    "handset.js",
    "hotline.css",
    "mark.svg",
    "desk.js",
    "prompts.js",
}  # a vendored file needs a lock
MACHINES = {"ivr", "twin"}  # no browser reads them


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("house"), HandClock(), demo=True) as house:
        seed(house.desk)
        yield house


def pages(served: Served) -> Iterator[tuple[str, str | None]]:
    """Every address a browser may open, and who of the least power may open it (None: anybody)."""
    app = served.desk.app
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            view = app.view_functions[rule.endpoint]
            if "GET" not in (rule.methods or ()) or rule.endpoint == "static":
                continue
            if rule.endpoint.partition(".")[0] in MACHINES or getattr(view, "asks_header", False):
                continue
            roles = getattr(view, "roles", None)
            least = next(role for role in Role if role in roles) if roles else None
            every = list(filled(rule.endpoint, rule.arguments, examples(served.desk)))
            for values in every if rule.endpoint == "desk.one" else every[:3]:
                path = app.url_map.bind("").build(rule.endpoint, values)
                yield path, PERSON[least] if least else None
    yield from ((path, person) for person, path in QUERIES)


def filled(
    endpoint: str, arguments: set[str], known: Mapping[str, list[Any]]
) -> Iterator[dict[str, Any]]:
    """Every combination of the examples of a route's arguments; a new argument needs an example."""
    names = sorted(arguments)
    for values in product(*(known.get(f"{endpoint} {name}") or known[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def test_every_page_can_be_read_pressed_and_reached(browser: Any, served: Served) -> None:
    wrong: dict[str, list[str]] = {}
    walked: set[str] = set()  # one page of a kind is enough
    asked = list(pages(served))
    assert len(asked) > 20
    for person in {who: None for _, who in asked}:
        with looking(browser, served) as look:
            if person:
                look.signs_in(person)
            for path in (path for path, who in asked if who == person):
                if look.opens(path):
                    look.complaints += all_sizes(look)
                    if (kind := re.sub(r"\d+", "", path)) not in walked:
                        look.complaints += reached_by_keyboard(look)
                        walked.add(kind)
                note(wrong, f"{person}: {path}", look)
    nothing_wrong(wrong)


def test_what_a_refused_press_shows_is_measured_too(browser: Any, served: Served) -> None:
    wrong: dict[str, list[str]] = {}
    for person in {who: None for who, _, _ in POSTED.values()}:
        with looking(browser, served) as look:
            look.signs_in(person)
            for name, (who, path, form) in POSTED.items():
                if who == person:
                    look.posts(path, form)
                    look.complaints = [c for c in look.complaints if "status of 4" not in c]
                    look.complaints += all_sizes(look)
                    note(wrong, name, look)
    nothing_wrong(wrong)


def all_sizes(look: Looking) -> list[str]:
    """What is wrong at any width with any letters: one load, six looks at it."""
    return [
        said
        for width, letters in product(WIDTHS, LETTERS)
        for said in look.measured(width, letters)
    ]


def reached_by_keyboard(look: Looking) -> list[str]:
    """Tab goes through all that can be pressed, in the order it is read, and shows where it is."""
    look.page.set_viewport_size({"width": 360, "height": 740})
    stops = look.page.evaluate(WALK_BEGINS)
    for _ in range(stops):
        look.page.keyboard.press("Tab")
    found: list[str] = look.page.evaluate("() => window.walkEnds()")
    return found


def nothing_wrong(wrong: Mapping[str, list[str]]) -> None:
    assert not wrong, "\n".join(f"{where}\n  " + "\n  ".join(all_) for where, all_ in wrong.items())


def note(wrong: dict[str, list[str]], where: str, look: Looking) -> None:
    if look.complaints:
        wrong[where] = list(dict.fromkeys(look.complaints))
        look.complaints.clear()


def test_what_browsers_load_is_small_and_our_own() -> None:
    """What scripts each page loads is counted in measure.js, where the page is open."""
    assert sum(f.stat().st_size for f in STATIC.glob("*.css")) <= 12_288
    assert {f.name for f in STATIC.rglob("*") if f.is_file()} <= OWN
