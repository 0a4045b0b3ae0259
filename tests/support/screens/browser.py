"""A service's page in a headless Chromium, inside the service's namespace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from support.patience import wait_for
from support.service.process import Service

# Debian's, else Playwright's own (dev/setup).
CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")


class Opened:
    """A page, with its errors and its requests to others than the service as `complaints`."""

    def __init__(self, browser: Browser, service: Service, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.service = service
        self.complaints: list[str] = []
        self.page = self.open()

    def open(self, address: str = "") -> Page:
        """Open a page in another tab."""
        page = self.context.new_page()
        page.on("console", lambda said: self._console(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._request(request.url))
        page.goto(address or self.service.url)
        page.wait_for_selector("#flows tbody tr, #flow-note:not([hidden])")
        return page

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _request(self, url: str) -> None:
        if not url.startswith((self.service.url, "data:")):
            self.complaints.append(f"asks {url}")

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.page.locator(selector).all_inner_texts()
        return found

    def rows(self, table: str) -> list[list[str]]:
        """Return the cells of a table's body, all of one moment."""
        script = "t => [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.textContent))"
        found: list[list[str]] = self.page.locator(table).evaluate(script)
        return found

    def wait(self, condition: str) -> None:
        """Wait for a JavaScript condition; the page's policy forbids Playwright's own waits."""
        wait_for(lambda: self.page.evaluate(condition))


@contextlib.contextmanager
def chromium(service: Service) -> Iterator[Browser]:
    binary = CHROMIUM if CHROMIUM.exists() else None
    with (
        service.namespace.entered(),
        sync_playwright() as playwright,
        contextlib.closing(
            playwright.chromium.launch(args=OPTIONS, executable_path=binary)
        ) as browser,
    ):
        yield browser


@contextlib.contextmanager
def opened(browser: Browser, service: Service, **options: Any) -> Iterator[Opened]:
    """Open a page in a fresh context; assert that there were no complaints."""
    found = Opened(browser, service, **options)
    with contextlib.closing(found.context):
        yield found
    assert found.complaints == []
