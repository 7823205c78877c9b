"""Gates: mistakes that were possible twice are looked for everywhere."""

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from hotline import config
from ivr import engine, prompts
from ivr.engine import Heard, Place, Way
from ivr.flow import FLOWS
from ivr.steps import Each, End, Find, Fork, Menu, Record, Step, Tell, steps_from

ROOT = Path(__file__).parent.parent
CHINESE = re.compile(r"[\u4e00-\u9fff]")
MENU_CHARACTERS, MENU_CHOICES = 30, 3
FUNCTION_THEN_KEY = re.compile(r"[^，。]+，请按(\d)。")

STEPS = [(name, step) for name, flow in FLOWS.items() for step in flow.values()]
WAYS = [
    Heard(Way.SILENCE),
    Heard(Way.EMPTY),
    Heard(Way.SPEECH),
    Heard(Way.TAKEN),
    Heard(Way.UNTAKEN),
    Heard(Way.ENGAGED),
    Heard(Way.ADMITTED),
    Heard(Way.REFUSED),
    Heard(Way.LOCKED),
    Heard(Way.FOUND, "1001"),
    Heard(Way.UNKNOWN),
]
KEYS = [Heard(Way.KEY, key) for key in "0123456789*#"] + [
    Heard(Way.KEY, "9999999999"),
    Heard(Way.KEY, ""),
]
FACTS = [
    {"caller": caller, "situation": situation, "open_requests": count, "volunteers": volunteers, "machine": machine, "event": event, "ticket": None, "phone": None,
     "volunteer": 1, "errands": list(range(count)), "waiting": list(range(count)), "untold": list(range(count)), "contacted": machine, "occasion": occasion, "committee": volunteers > 0, "things": count > 1, "trips": volunteers > 0,
     "text": text, "looks": 3, "resident": int(volunteers > 0), "materials": ["身份证"]}
    for caller, situation, count, volunteers, machine, (event, occasion), text in product(
        ("known", "hidden", "unknown"), ("fresh", "closed", "open_request"), (1, 2), (0, 2), (False, True),
        (("done", "shift"), ("materials", "quiet_shift"), ("none", "new"), ("done", "late")), ("coming", "there", "none"),
    )
]  # fmt: skip


def chinese_literals(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and CHINESE.search(node.value)
            and id(node) not in docstrings
        ):
            yield f"{path.name}:{node.lineno} {node.value}"


def test_what_callers_hear_has_one_home() -> None:
    # settling.py writes what came of a call for the auditor; no caller hears it
    elsewhere = [
        path
        for path in (ROOT / "ivr").glob("*.py")
        if path.name not in {"prompts.py", "settling.py"}
    ]
    assert [literal for path in elsewhere for literal in chinese_literals(path)] == []


@pytest.mark.parametrize("flow", FLOWS)
def test_every_step_is_reached_and_leads_to_a_step(flow: str) -> None:
    steps = FLOWS[flow]
    reached, frontier = set(), ["ring"]
    while frontier:
        name = frontier.pop()
        if name not in reached:
            reached.add(name)
            frontier += list(steps_from(steps[name]))
    assert reached == set(steps)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("stubborn", WAYS + KEYS, ids=lambda heard: f"{heard.way}{heard.key}")
def test_doing_one_thing_for_ever_always_ends_the_call(flow: str, stubborn: Heard) -> None:
    for facts in FACTS:
        turn = engine.begin(FLOWS[flow], "ring", facts)
        for _ in range(60):
            if isinstance(FLOWS[flow][turn.place.step], End):
                break
            turn = engine.advance(FLOWS[flow], turn.place, stubborn)
        assert isinstance(FLOWS[flow][turn.place.step], End), (facts, turn.place)


@pytest.mark.parametrize(
    ("flow", "step"), STEPS, ids=lambda value: value if isinstance(value, str) else value.name
)
def test_any_answer_to_any_step_leads_on(flow: str, step: Step) -> None:
    if isinstance(step, Fork | Tell | Each):
        return
    for facts, heard in product(FACTS[:6], WAYS + KEYS):
        memory = {engine.FACT + name: value for name, value in facts.items()}
        turn = engine.advance(FLOWS[flow], Place(step.name, 7, memory), heard)
        assert turn.place.turn == 8
        engine.waits(FLOWS[flow], turn.place)


MENUS = [step for _, step in STEPS if isinstance(step, Menu)]


@pytest.mark.parametrize("menu", MENUS, ids=lambda menu: menu.name)
def test_a_menu_is_short_and_says_the_function_before_the_key(menu: Menu) -> None:
    asked = [prompts.SHEET[word] for word in menu.says if "请按" in prompts.SHEET.get(word, "")]
    words = "".join(asked)
    assert prompts.count_spoken(words) <= MENU_CHARACTERS
    spoken = FUNCTION_THEN_KEY.findall(words)
    assert words.count("请按") == len(spoken) <= MENU_CHOICES
    known = set(menu.keys) | {menu.repeats, menu.replays} | ({"1"} if "1" in menu.keys else set())
    assert set(spoken) <= known


@pytest.mark.parametrize(
    ("flow", "step"), STEPS, ids=lambda value: value if isinstance(value, str) else value.name
)
def test_zero_always_finds_a_person(flow: str, step: Step) -> None:
    if isinstance(step, Menu) and step.name != "outings":  # there it is a number
        assert step.keys.get("0") in {"person", "committee"}
    if isinstance(step, Record) and step.name != "all_busy":
        assert step.keys.get("0") == "person"
    if isinstance(step, Find):
        assert step.name in {"person", "committee"} or step.whom == "resident"


def test_every_prompt_is_used_and_every_word_is_in_the_sheet() -> None:
    used = {
        word.partition(":")[0]
        for _, step in STEPS
        if not isinstance(step, Fork | Each)
        for word in step.says
    }
    used |= {
        "I20",
        "O22",
        *prompts.NEWS.values(),
        "I32",
        "I50",
        *("O02", "O03"),
        *("I33", "D16", "D17", "D18", "D19", "D20", "D26", "D29", "V03", "V10", "S03"),
    }  # said by the engine, a whisper, the fallback, and where there are several or things have changed
    stands_for = {"NEWS", "VOICE"}
    assert {word for word in used if word.isupper()} - stands_for <= set(prompts.SHEET)
    assert set(prompts.SHEET) == used - stands_for - {word for word in used if word.islower()}


@pytest.mark.parametrize("words", list(prompts.SHEET.values()))
def test_no_word_of_the_office(words: str) -> None:
    assert not re.search("工单|系统|业务|转接中|有误|井号键|栋", words)


def test_the_readme_lists_the_settings_as_they_are() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", readme, re.MULTILINE)
    written = [(name, default.strip("`"), help_text) for name, default, help_text in rows]
    assert written == config.table()


@pytest.mark.parametrize(
    "path",
    [
        path
        for room in ("hotline", "ivr", "asr", "tickets", "worker")
        for path in (ROOT / room).rglob("__init__.py")
    ],
    ids=str,
)
def test_a_room_has_no_code_in_its_door(path: Path) -> None:
    assert len(ast.parse(path.read_text(encoding="utf-8")).body) <= 1


def test_nobody_else_reads_the_environment() -> None:
    rooms = [
        path
        for room in ("hotline", "ivr", "asr", "tickets", "worker")
        for path in (ROOT / room).rglob("*.py")
        if path.parent != ROOT / "asr" / "model"  # the workshop that made the model is no service
    ]
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in rooms
        if re.search(r"os\.environ|getenv", path.read_text(encoding="utf-8"))
    }
    assert readers <= {
        "hotline/config.py",
        "hotline/processes.py",
    }  # which hands it on to its children


def test_one_place_says_what_is_a_test() -> None:
    """Whoever counts or lists asks `tickets.real`, so that nothing counts what another leaves out."""
    askers = {
        path.relative_to(ROOT).as_posix()
        for room in ("hotline", "ivr", "tickets", "worker")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\.test(\.is_\(| == (True|False))", path.read_text(encoding="utf-8"))
    }
    assert askers == {"tickets/real.py"}
