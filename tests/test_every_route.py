"""Every address of the house, asked by everybody: who may, what a press without its token does, what a page never holds."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from conftest import HandClock
from desk_house import BASE, LI, PEOPLE, DeskHouse, Visit, open_desk
from page_examples import NASTY, POSTED, QUERIES, examples, seed
from sqlalchemy import func, select

from hotline.web import guard
from tickets.models import LedgerLine

NOBODY = "nobody"
DEMO_ONLY = {"/phone/sooner"}  # no real house leaves waiting out
# What a form may hold in any field, wanted or not.
RUBBISH = (NASTY, "字" * 4000, "-1", "9" * 30, "\x00", "2026-13-45", "1,2,x")
FIELDS = [
    "act",
    "seen",
    "why",
    "text",
    "seen_text",
    "who",
    "code",
    "pin",
    "name",
    "phone_id",
    "phone",
    "building",
    "do",
    "day",
    "starts",
    "seal",
    "sha256",
    "went",
    "place",
    "settled",
    "reason",
    "taken",
    "matter",
    "finding",
    "note",
    "month",
    "group",
    "size",
    "back",
    "to",
    "materials",
    "missing",
    "q",
    "kind",
    "resident",
    "take",
    "version",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskHouse]:
    desk = open_desk(tmp_path_factory.mktemp("house"), HandClock())
    seed(desk)
    yield desk
    desk.runtime.close()


@pytest.fixture(scope="module")
def visits(house: DeskHouse) -> dict[str, Visit]:
    return {NOBODY: house.visit(), **{name: house.visit(name) for name in PEOPLE}}


def addresses(house: DeskHouse) -> Iterator[tuple[str, str, str]]:
    """Method, address and endpoint of everything that a person's browser may ask for."""
    known = examples(house)
    with house.app.test_request_context():
        adapter = house.app.url_map.bind("")
        for rule in house.app.url_map.iter_rules():
            if rule.rule.startswith(guard.MACHINES) or rule.endpoint == "static":
                continue
            names = sorted(rule.arguments)
            given = next(
                product(*(known.get(f"{rule.endpoint} {n}") or known.get(n, [1]) for n in names))
            )
            values = dict(zip(names, given, strict=True))
            for method in sorted({"GET", "POST"} & (rule.methods or set())):
                yield method, adapter.build(rule.endpoint, values, method=method), rule.endpoint


def test_everybody_gets_exactly_what_their_role_may(
    house: DeskHouse, visits: dict[str, Visit]
) -> None:
    wrong, asked = [], 0
    for (method, path, endpoint), (name, visit) in product(addresses(house), visits.items()):
        roles = getattr(house.app.view_functions[endpoint], "roles", None)
        if not roles or path in DEMO_ONLY:
            continue
        asked += 1
        answer = visit.client.open(path, method=method, base_url=BASE, headers={guard.OWN_HEADER: "1"})  # fmt: skip
        at_the_door = (
            answer.status_code == 401
            if method == "POST"
            else answer.headers.get("Location", "").startswith("/door?next=")
        )
        if name == NOBODY:
            right = at_the_door
        elif guard.may(PEOPLE[name], *roles):  # a press without its token is the next test's
            right = answer.status_code != 403 and not at_the_door
        else:
            right = answer.status_code == 403
        if not right:
            wrong.append(f"{name}: {method} {path} {answer.status_code}")
    assert asked > 400
    assert wrong == []


def test_no_press_without_its_token_changes_anything(
    house: DeskHouse, visits: dict[str, Visit]
) -> None:
    def lines() -> int:
        with house.runtime.db.reading() as session:
            return session.scalar(select(func.count()).select_from(LedgerLine)) or 0

    before, admin = lines(), visits["管理员"].client
    taken = [
        (path, status)
        for method, path, endpoint in addresses(house)
        if method == "POST"
        and (status := admin.post(path, base_url=BASE).status_code)
        != (403 if getattr(house.app.view_functions[endpoint], "asks_header", False) else 400)
    ]
    assert taken == []
    assert lines() == before


def test_no_rubbish_in_a_form_is_an_error_of_ours(tmp_path: Path, clock: HandClock) -> None:
    desk = open_desk(tmp_path, clock)
    seed(desk)
    broken = []
    for name, (method, path, endpoint) in product(("王秀兰", "管理员"), list(addresses(desk))):
        if endpoint == "door.leave":
            continue
        visit = desk.visit(name)
        token = visit.token()
        for rubbish in RUBBISH:
            if method == "POST":
                form = {**dict.fromkeys(FIELDS, rubbish), "csrf_token": token}
                answer = visit.client.post(path, data=form, base_url=BASE)
            else:
                short = dict.fromkeys(FIELDS, rubbish[:100])  # the server takes no longer address
                answer = visit.client.get(path, query_string=short, base_url=BASE)
            if answer.status_code >= 500:
                broken.append(f"{name}: {method} {path} {rubbish[:12]!r} {answer.status_code}")
    assert broken == []
    desk.runtime.close()


def test_no_page_holds_a_whole_number_and_each_is_closed_to_the_outside(
    house: DeskHouse, visits: dict[str, Visit]
) -> None:
    national = LI.removeprefix("+86")
    told, open_ = [], []
    asked = [(path, endpoint) for method, path, endpoint in addresses(house) if method == "GET"]
    asked += [(path, "") for _, path in QUERIES]
    for (path, endpoint), (name, visit) in product(asked, visits.items()):
        answer = visit.client.get(path, base_url=BASE)
        if national.encode() in answer.data.replace(b" ", b""):
            told.append(f"{name}: {path}")
        if any(answer.headers.get(header) is None for header in guard.HEADERS):
            open_.append(path)
        if not endpoint.startswith("door.") and answer.headers.get("Cache-Control") is None:
            open_.append(path)
    assert told == []
    assert open_ == []


def test_no_refused_press_holds_a_whole_number(house: DeskHouse) -> None:
    shown = {"call", "a whole number"}  # written down first
    visits = {name: house.visit(name) for name in PEOPLE}
    for what, (name, path, form) in POSTED.items():
        visits[name].posts(path, **form)
        held = LI.removeprefix("+86") in visits[name].page.get_data(as_text=True).replace(" ", "")
        assert held == (what in shown), what


def test_the_folder_of_templates_and_settings_is_not_served(house: DeskHouse) -> None:
    client = house.visit("管理员").client
    for path in ("/static/../config.py", "/static/%2e%2e/config.py", "/hotline.env", "/.git/config", "/static/"):  # fmt: skip
        assert client.get(path, base_url=BASE).status_code == 404, path
    assert not list(Path(house.app.static_folder or "").rglob("*.py"))


def test_a_stranger_who_sends_too_much_is_told_so(house: DeskHouse) -> None:
    sent = {"text": "字" * 400_000}
    answer = house.visit().client.post("/recording/1/text", data=sent, base_url=BASE)
    assert answer.status_code == 413
