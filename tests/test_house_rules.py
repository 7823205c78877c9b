"""What a committee changes on the page holds at once, everywhere, and is remembered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ON_BOTH, DeafBell, HandClock, settings_for
from desk_house import PEOPLE, DeskHouse, open_desk
from sqlalchemy import event, text

from hotline.cli import main
from hotline.processes import child_environment
from hotline.runtime import build
from tickets import house_rules, roster, watch
from tickets.house_rules import LOOK_SECONDS, RULES, Rules, WrongRuleError, tidy


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock, database_url: str) -> Iterator[DeskHouse]:
    house = open_desk(tmp_path, clock, database_url=database_url)
    yield house
    house.runtime.close()


HOURS = {
    "group": "值班时间",
    "shift_hours": "8点半－11点半，19：00～24：00",
    "shift_hours_rest": "",
}


@ON_BOTH
def test_new_hours_hold_in_every_process_without_a_restart(desk: DeskHouse, tmp_path: Path) -> None:
    hands = build(
        settings_for(tmp_path, database_url=desk.runtime.settings.database_url),
        desk.clock.now,
        DeafBell(),
    )  # another process of this house
    admin = desk.visit("管理员").opens("/settings")
    assert ">08:30-11:30\n14:00-17:00</textarea>" in admin.page.text
    admin.posts("/settings", **HOURS, seen="0")
    assert "改好了：值班时间。马上就算数" in admin.text
    assert (
        "工作日的班 ：08:30-11:30，14:00-17:00 改成 08:30-11:30，19:00-24:00。管理员，今天上午9:10"
        in admin.text
    )
    assert "11月24日（星期二）19:00–24:00没人值班" in desk.visit("吴队长").opens("/rota").text
    hands.rules.look(now=True)
    with hands.db.reading() as session:
        assert len(roster.duty_hours(session, hands.settings).working) == 2
        assert roster.duty_hours(session, hands.settings).rest == []
        assert watch.problems(session, hands.settings, desk.clock.now().date(), 1).gaps == []
    hands.close()
    admin.posts("/settings", group="值班时间", back="yes", seen="2")
    assert desk.runtime.settings.shift_hours == ("08:30-11:30", "14:00-17:00")
    assert [line.facts["written"] for line in desk.ledger("change_rule")] == ["08:30-11:30,19:00-24:00", "", None, None]  # fmt: skip


def test_who_was_slower_is_told_and_loses_nothing(desk: DeskHouse) -> None:
    slow = desk.visit("管理员")
    desk.visit("管理员").posts("/settings", group="多久要办", accept_within_minutes="45", seen="0")
    slow.posts("/settings", group="多久要办", accept_within_minutes="50", seen="0")
    assert slow.status == 409
    assert "刚才管理员改过这里" in slow.text
    assert 'value="50"' in slow.page.text
    assert desk.runtime.settings.accept_within_minutes == 45


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("shift_hours", "早上"), ("shift_hours", "08:30"), ("return_hours", "14:00-08:00"),
        ("accept_within_minutes", "3"), ("accept_within_minutes", "半小时"), ("accept_within_minutes", ""),
        ("return_calls_a_day", "6"), ("return_calls_a_day", "-1"), ("keep_ledger_days", "179"),
        ("keep_audio_months", "9" * 5000), ("ring_volunteers", "也许"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused(name: str, typed: str) -> None:
    with pytest.raises(WrongRuleError):
        tidy(RULES[name], typed)


def test_wrong_values_change_nothing_and_stay_in_the_form(desk: DeskHouse) -> None:
    admin = desk.visit("管理员")
    admin.posts("/settings", group="留多久", keep_audio_months="6", keep_ledger_days="30", seen="0")
    assert "请写一个数字，最少 180" in admin.text
    assert 'value="30"' in admin.page.text
    assert desk.runtime.settings.keep_audio_months == 12
    admin.posts(
        "/settings", group="告诉志愿者", ring_volunteers="true", notice_urls="x:// 不是", seen="0"
    )
    assert "地址像 wecombot://" in admin.text


def test_an_address_of_a_group_is_kept_and_never_shown(desk: DeskHouse) -> None:
    admin = desk.visit("管理员")
    secret = "json://127.0.0.1/geheim"
    admin.posts(
        "/settings", group="告诉志愿者", ring_volunteers="false", notice_urls=secret, seen="0"
    )
    assert desk.runtime.settings.notice_urls == (secret,)
    assert "现在有 1 个" in admin.text
    admin.posts("/settings", group="告诉志愿者", ring_volunteers="true", notice_urls="", seen="1")
    assert desk.runtime.settings.notice_urls == (secret,)
    assert "geheim" not in admin.opens("/settings").page.text + str([line.facts for line in desk.ledger("change_rule")])  # fmt: skip
    admin.posts("/settings", group="告诉志愿者", notice_urls="", none="yes", seen="2")
    assert desk.runtime.settings.notice_urls == ()


def test_what_the_machine_decides_is_shown_and_cannot_be_changed(
    tmp_path: Path, clock: HandClock
) -> None:
    redis = "redis://house:p:w@127.0.0.1:1/0"
    desk = open_desk(tmp_path, clock, return_tries=5, redis_url=redis)
    admin = desk.visit("管理员").opens("/settings")
    assert "HOTLINE_RETURN_TRIES 里写死了" in admin.text
    assert "a token" not in admin.page.text
    assert "redis://house:***@127.0.0.1:1/0" in admin.text
    admin.posts(
        "/settings", group="给居民回电话", return_tries="2", return_calls_a_day="3", seen="0"
    )
    assert (desk.runtime.settings.return_tries, desk.runtime.settings.return_calls_a_day) == (5, 3)
    given = child_environment(desk.runtime.settings)
    assert given["HOTLINE_RETURN_TRIES"] == "5"
    assert "HOTLINE_RETURN_CALLS_A_DAY" not in given  # or the children could not change it
    assert all(
        desk.visit(name).opens("/settings").status == 403 for name in PEOPLE if name != "管理员"
    )
    desk.runtime.close()


def test_a_day_off_that_nobody_published(desk: DeskHouse) -> None:
    admin = desk.visit("管理员")
    assert "请选一个日子" in admin.posts("/settings/day", day="明天", kind="rest").text
    assert "请点一下是休息还是上班" in admin.posts("/settings/day", day="2026-11-24").text
    admin.posts("/settings/day", day="2026-11-24", kind="rest", name="停电")
    assert "11月24日 （ 停电 ）：休息" in admin.text
    admin.posts("/settings/day", day="2026-11-24", kind="published")
    assert "停电" not in admin.text
    assert len(desk.ledger("override_day")) == 2


def test_the_database_is_asked_every_few_seconds_at_most(desk: DeskHouse) -> None:
    asked, seconds = [], [0.0]
    rules = Rules(desk.runtime.db, desk.runtime.settings, lambda: seconds[0])
    event.listen(desk.runtime.db.engine.pool, "checkout", lambda *a: asked.append(a))
    for _ in range(1000):
        rules.look()
    assert len(asked) == 1
    seconds[0] += LOOK_SECONDS
    rules.look()
    assert len(asked) == 2


def test_a_house_without_its_tables_keeps_the_settings_it_has(
    tmp_path: Path, clock: HandClock
) -> None:
    runtime = build(settings_for(tmp_path), clock.now, DeafBell())
    runtime.rules.look(now=True)
    assert runtime.settings.accept_within_minutes == 30
    runtime.close()


def test_every_rule_is_a_setting() -> None:
    assert RULES.keys() <= type(settings_for(Path())).model_fields.keys()
    assert RULES.keys() >= house_rules.SECRET


def test_the_commands_go_by_the_changed_settings(
    desk: DeskHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.visit("管理员").posts("/settings", group="多久要办", accept_within_minutes="45", seen="0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOTLINE_DATA_FOLDER", str(tmp_path))
    with desk.runtime.db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    assert "HOTLINE_ACCEPT_WITHIN_MINUTES=45" in CliRunner().invoke(main, ["config"]).output
    monkeypatch.setenv("HOTLINE_ACCEPT_WITHIN_MINUTES", "20")
    assert "HOTLINE_ACCEPT_WITHIN_MINUTES=20" in CliRunner().invoke(main, ["config"]).output
