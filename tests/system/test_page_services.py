"""The services on the live page, in a browser, beside real traffic of cgroups."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from support.kernel.cgroups import MOUNTED, Cgroup, making, script
from support.netns.namespace import Namespace
from support.patience import wait_for
from support.screens.browser import Opened, chromium, opened
from support.service.process import Service, serving

SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
while True:
    s.sendto(bytes(int(sys.argv[1])), s.getsockname())
    s.recv(65535)
    time.sleep(0.05)
"""
OPTIONS = ("--interfaces", "lo", "--flows", "sockets")
SERVICES = "document.querySelectorAll('#services tbody tr').length"


@pytest.fixture(scope="module")
def own() -> Iterator[Cgroup]:
    with making() as cgroup:
        yield cgroup


@pytest.fixture(scope="module")
def service(own: Cgroup) -> Iterator[Service]:
    namespace = Namespace()
    large, small = own.make("system.slice/zz-large.service"), own.make("system.slice/small.service")
    try:
        with (
            serving(namespace, *OPTIONS, prefix=MOUNTED) as service,
            large.running(*namespace.command(*script(SENDER, 9000))),
            small.running(*namespace.command(*script(SENDER, 10))),
        ):
            yield service
    finally:
        namespace.remove()


@pytest.fixture(scope="module")
def browser(service: Service) -> Iterator[Browser]:
    with chromium(service) as browser:
        yield browser


@pytest.fixture
def view(browser: Browser, service: Service, own: Cgroup) -> Iterator[Opened]:
    with opened(browser, service) as view:
        view.page.fill("#service-search", own.path)
        view.wait(f"{SERVICES} === 2")
        yield view


def names(view: Opened) -> list[str]:
    return [row[0] for row in view.rows("#services")]


def test_services_are_sorted_by_what_they_send(view: Opened) -> None:
    wait_for(lambda: all("bit/s" in cell for row in view.rows("#services") for cell in row[1:3]))
    assert names(view) == ["zz-large.service", "small.service"]
    view.page.locator("#services thead button", has_text="Service").click()
    assert names(view) == ["small.service", "zz-large.service"]


def test_search_finds_units_and_is_kept_in_the_address(view: Opened) -> None:
    view.page.fill("#service-search", "LARGE")
    view.wait(f"{SERVICES} === 1")
    assert names(view) == ["zz-large.service"]
    assert "service-find=LARGE" in view.page.url


def test_last_minute_has_a_line(view: Opened) -> None:
    view.wait("document.querySelectorAll('#services .spark canvas').length === 2")


def test_a_click_shows_the_conversations_of_a_service(view: Opened) -> None:
    view.page.locator("#services button", has_text="small.service").click()
    view.wait("document.querySelector('#flow-search').value === 'small.service'")

    def only_its_own() -> bool:
        ends = [cell for row in view.rows("#flows") for cell in row[:2]]
        return bool(ends) and all(cell.endswith("small.service") for cell in ends)

    wait_for(only_its_own)
