"""A house behind a real socket with something of everything in it, and people who look at it in Chromium."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_playwright_python
from conftest import HandClock
from desk_house import PIN, DeskHouse, open_desk
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import make_server

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
PATIENCE = 20_000  # playwright counts in thousandths of a second


@contextmanager
def serving(folder: Path, clock: HandClock, **given: Any) -> Iterator["Served"]:
    """The house of `desk_house` behind a socket of its own."""
    server = make_server("127.0.0.1", 0, lambda _, __: [], threaded=True)
    url = f"http://127.0.0.1:{server.port}"
    where = {"public_url": url, "carrier_api_url": f"{url}/twin", "listen": f"127.0.0.1:{server.port}"}  # fmt: skip
    desk = open_desk(folder, clock, **{**where, **given})
    server.app = desk.app
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Served(desk, url)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        desk.runtime.close()


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                *flags,
                "--disable-background-timer-throttling",
                "--disable-backgrounding-occluded-windows",
                "--disable-renderer-backgrounding",
            ],
        )
        yield browser
        browser.close()


@dataclass
class Served:
    desk: DeskHouse
    url: str


@dataclass
class Looking:
    """One person at one browser; `complaints` is what the browser had to say against the pages."""

    context: BrowserContext
    page: Page
    served: Served
    complaints: list[str] = field(default_factory=list)

    def signs_in(self, name: str) -> "Looking":
        self.page.goto(f"{self.served.url}/door")
        self.page.get_by_label(name, exact=True).check()
        self.page.fill("#pin", PIN)
        self.page.click("text=进去")
        self.page.wait_for_selector("h1:not(:text('您是哪一位'))")
        if self.page.url.endswith("/door/code"):
            self.page.fill("#code", self.served.desk.code(name))
            self.page.click("text=进去")
            self.page.wait_for_selector("h1:not(:text('手机'))")
        return self

    def opens(self, path: str) -> bool:
        """Go there; False for what is no page, or leads to one, which is only asked for."""
        answer = self.context.request.head(self.served.url + path, max_redirects=0)
        if answer.status >= 400:
            self.complaints.append(f"{path} answers {answer.status}")
        if answer.status >= 300 or "text/html" not in answer.headers["content-type"]:
            return False
        self.page.goto(self.served.url + path)
        return True

    def posts(self, path: str, form: dict[str, str]) -> None:
        """Open what the page of a posted form says; the browser believes it posted."""
        self.page.goto(f"{self.served.url}/door")
        token = self.page.locator("[name=csrf_token]").first.get_attribute("value") or ""
        self.page.evaluate(
            """([path, form]) => {
                const sheet = document.createElement("form");
                sheet.method = "post"; sheet.action = path;
                for (const [name, value] of Object.entries(form)) {
                    const field = document.createElement("textarea");
                    field.name = name; field.value = value; sheet.append(field);
                }
                document.body.append(sheet); sheet.submit();
            }""",
            [path, {"csrf_token": token, **form}],
        )
        self.page.wait_for_url(f"**{path}")
        self.page.wait_for_load_state()

    def measured(self, width: int, letters: str, *, axe: bool = True) -> list[str]:
        self.page.set_viewport_size({"width": width, "height": 740})
        given = {"letters": letters, "axe": axe}
        found: list[str] = self.page.evaluate(MEASURE, given)
        return [f"{width} {letters}: {each}" for each in found]


MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")


@contextmanager
def looking(browser: Browser, served: Served, **how: Any) -> Iterator[Looking]:
    """A browser of one's own: 360 px wide unless told otherwise, with axe at hand."""
    context = browser.new_context(
        **{"viewport": {"width": 360, "height": 740}, "locale": "zh-CN", **how}
    )
    context.set_default_timeout(PATIENCE)
    if how.get("java_script_enabled", True):
        context.add_init_script(path=AXE)
    page = context.new_page()
    look = Looking(context, page, served)
    page.on(
        "console",
        lambda said: (
            look.complaints.append(f"console: {said.text}") if said.type == "error" else None
        ),
    )
    page.on("pageerror", lambda error: look.complaints.append(f"script: {error}"))
    page.on("request", lambda asked: _stays(look, asked.url))
    yield look
    context.close()


def _stays(look: Looking, url: str) -> None:
    asked, ours = urlsplit(url), urlsplit(look.served.url)
    if asked.scheme not in {"data", "blob"} and asked.netloc != ours.netloc:
        look.complaints.append(f"asks {url}")
