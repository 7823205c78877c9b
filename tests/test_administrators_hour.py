"""The administrator's first hour in a house that has just been opened, on a telephone, without scripts."""

import re
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from browsers import chromium
from duty_house import xlsx
from playwright.sync_api import Page, expect
from sqlalchemy import select
from werkzeug.serving import make_server

from hotline import clock, demo, migration, seeds
from hotline.app import create_app
from hotline.runtime import Runtime, build
from tickets.models import LedgerLine, Resident, Volunteer


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[str, Runtime, dict[str, str]]]:
    """A demonstration as it is just after `hotline demo`, behind a socket of its own."""
    server = make_server("127.0.0.1", 0, lambda _, __: [], threaded=True)
    settings = demo.make_settings(f"127.0.0.1:{server.port}", tmp_path, "AC" + "0" * 32, "t", "", "")  # fmt: skip
    runtime = build(settings)
    migration.upgrade(runtime.db)
    pins = seeds.people(runtime)
    for seed in (seeds.rules, seeds.residents, seeds.roster, seeds.matters):
        seed(runtime)
    server.app = create_app(runtime)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield settings.public_url, runtime, pins
    server.shutdown()
    thread.join()
    server.server_close()
    runtime.close()


def test_from_the_door_to_a_house_that_is_ready(
    opened: tuple[str, Runtime, dict[str, str]],
) -> None:
    url, runtime, pins = opened
    next_month = date(clock.now().year + clock.now().month // 12, clock.now().month % 12 + 1, 1)
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": 360, "height": 740}, java_script_enabled=False
        )
        page = context.new_page()
        page.goto(f"{url}/door")
        page.get_by_label("管理员", exact=True).check()
        page.fill("#pin", pins["管理员（管理员）"])
        page.click("text=进去")
        residents_come_from_excel(page)
        somebody_joins(page)
        the_month_is_shared_out(page, url, next_month)
        the_hours_are_set(page)
        all_is_well(page)
        context.close()
    with runtime.db.reading() as session:
        assert session.scalar(select(Resident).where(Resident.name == "汪素珍"))
        assert session.scalar(select(Volunteer).where(Volunteer.name == "胡爱珠"))
        acts = set(session.scalars(select(LedgerLine.act).where(LedgerLine.person != "system")))
        assert {"import_residents", "add_person", "generate_roster", "change_rule"} <= acts
    assert runtime.settings.return_hours == ("09:00-11:30", "14:30-18:00")


def residents_come_from_excel(page: Page) -> None:
    page.click("text=管理")
    page.click("text=居民")
    page.click("text=从 Excel 来")
    rows: list[list[object]] = [
        ["姓名", "幢", "单元", "室", "电话"],
        ["汪素珍", 2, 1, "三楼", "123"],
    ]
    for corrected in (False, True):
        if corrected:
            rows[1][3:] = [301, "13800000031"]
            page.click("text=换一个文件")
        page.set_input_files("#sheet", {"name": "名册.xlsx", "mimeType": "", "buffer": xlsx(rows)})
        page.get_by_role("button", name="看一看").click()
        expect(page.get_by_text("一行都不会收")).to_have_count(0 if corrected else 1)
    page.click("text=看好了，全都收下")
    expect(page.get_by_role("status")).to_contain_text("居民都收下了：新1行")
    page.fill("#who", "wsz")
    page.get_by_role("button", name="找", exact=True).click()
    expect(page.get_by_role("heading", name="汪素珍")).to_be_visible()
    page.click("text=返回管理")


def somebody_joins(page: Page) -> None:
    page.click("a:text-is('志愿者')")
    page.click("summary")
    page.fill("#name", "胡爱珠")
    page.fill("#phone", "13800000032")
    page.click("text=加上，给一个密码")
    expect(page.locator(".big")).to_have_text(re.compile(r"^\d{3} \d{3}$"))
    page.click("text=抄好了")
    expect(page.get_by_role("heading", name="胡爱珠，志愿者")).to_be_visible()
    page.click("text=返回管理")


def the_month_is_shared_out(page: Page, url: str, month: date) -> None:
    page.click("a:text-is('排班')")
    page.click("text=看下个月")
    page.click("text=自动排空着的班")
    expect(page.get_by_text(re.compile(r"胡爱珠：\d+ 班"))).to_be_visible()
    page.click("text=看好了，就这样排")
    page.click(f"text=看{month.month}月的排班")
    expect(page.get_by_text("没人值班")).to_have_count(0)
    page.click("text=改这一班 >> nth=0")
    page.click("button:has-text('来不了')")
    expect(page.get_by_text("来顶班")).to_be_visible()
    page.click("text=就这样，改好")
    page.click("text=刚才换错了")
    page.click("text=就这样，改好")
    page.click("text=返回排班")
    page.click("text=返回今天的事")
    page.click("text=管理")


def the_hours_are_set(page: Page) -> None:
    page.click("text=设置")
    page.fill("#return_hours", "9点-11点半，半夜")
    page.click("button:has-text('记下来：给居民回电话')")
    expect(page.get_by_role("alert")).to_contain_text("您写的还在")
    page.fill("#return_hours", "9点－11点半，14：30－18：00")
    page.click("button:has-text('记下来：给居民回电话')")
    expect(page.get_by_role("status")).to_contain_text("改好了：给居民回电话")
    page.click("text=返回管理")


def all_is_well(page: Page) -> None:
    page.click("text=一切都好吗")
    for words in ("还没有备份过", "数据库是最新的", "还没有人打进来过", "没有没看过的毛病"):
        expect(page.get_by_text(words)).to_be_visible()
