"""The live page where nobody looked for a while, or it lies elsewhere, or has no place left."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route

from pktexp.live.readers import MOST
from support.netns.namespace import Namespace, connect
from support.patience import wait_for
from support.screens.browser import Opened, chromium, opened
from support.service.api import Reader, ask, frames
from support.service.process import Service, serving

BURST = 900  # packets
DEVICES = 105
PLACE = "behind/a/proxy/"
# The page asks the document, which is the only one to know.
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
# Of the pixel that the line covers most; a copy, as the browser warns of reading what it draws on.
COLOUR = """() => {
  const line = document.querySelector("#interfaces canvas");
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [line.width, line.height];
  const drawing = copy.getContext("2d", { willReadFrequently: true });
  drawing.drawImage(line, 0, 0);
  const { data } = drawing.getImageData(0, 0, copy.width, copy.height);
  let most = 3;
  for (let i = 3; i < data.length; i += 4) if (data[i] > data[most]) most = i;
  return [...data.slice(most - 3, most)];
}"""
# What the chart tells as the pointer goes over it.
TOLD = """() => {
  const chart = document.querySelector("#packets-chart .u-over");
  const { left, top, width } = chart.getBoundingClientRect();
  return Array.from({ length: Math.floor(width) }, (_, x) => {
    const at = { clientX: left + x, clientY: top + 5, bubbles: true };
    chart.dispatchEvent(new MouseEvent("mousemove", at));
    return document.querySelector("#packets-text").textContent;
  });
}"""
LIGHT, DARK = (0x00, 0x72, 0xB2), (0x56, 0xB4, 0xE9)  # of TCP, in page.css


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    a, b = Namespace(), Namespace()
    try:
        connect(a, b, "va", "vb")
        for number in range(DEVICES):
            b.ip("link", "add", f"quiet{number:03}", "type", "bridge")
        yield a, b
    finally:
        a.remove()
        b.remove()


@pytest.fixture(scope="module")
def service(pair: tuple[Namespace, Namespace]) -> Iterator[Service]:
    with serving(pair[1], "--interfaces", "vb", "--interfaces", "quiet*") as service:
        service.wait_until_attached("vb")
        pair[0].send("va", frames(10))
        yield service


@pytest.fixture(scope="module")
def browser(service: Service) -> Iterator[Browser]:
    with chromium(service) as browser:
        yield browser


@pytest.fixture
def view(browser: Browser, service: Service) -> Iterator[Opened]:
    with opened(browser, service) as view:
        yield view


def readers(service: Service) -> int:
    count: int = ask(service, "status")["stream"]["readers"]
    return count


def drawn(view: Opened) -> float:
    """Packets received in the seconds that the chart shows, as it tells them under the pointer."""
    told = set(view.page.evaluate(TOLD))
    values = [re.search(r"received ([0-9.]+) (k?)pps", text) for text in told]
    return sum(float(value[1]) * (1000 if value[2] else 1) for value in values if value)


def turn(view: Opened, away: str, *, gone: bool) -> None:
    if away == "hidden":
        view.page.evaluate(HIDE, gone)
    else:
        view.page.click("#pause")


@pytest.mark.parametrize("away", ["hidden", "paused"])
def test_traffic_during_a_pause_is_drawn_afterwards(
    browser: Browser, service: Service, pair: tuple[Namespace, Namespace], away: str
) -> None:
    with opened(browser, service, viewport={"width": 400, "height": 800}) as view:
        view.page.goto(f"{service.url}?of=if:vb")
        view.wait("document.body.dataset.samples > 1")
        before = drawn(view)
        turn(view, away, gone=True)
        wait_for(lambda: readers(service) == 0)
        pair[0].send("va", frames(30) * (BURST // 30))
        service.wait_for_samples(5)
        samples = view.page.evaluate("document.body.dataset.samples")
        assert readers(service) == 0
        turn(view, away, gone=False)
        view.wait(f"document.body.dataset.samples > {samples}")
        assert drawn(view) >= before + 0.9 * BURST


def test_a_paused_page_still_filters_and_sorts(view: Opened) -> None:
    view.page.select_option("#flow-view", "flows")
    view.wait("!document.querySelector('#flows thead').textContent.includes('To source')")
    view.page.click("#pause")
    assert len(view.rows("#flows")) > 5
    view.page.fill("#flow-search", "198.18.0.7")
    assert [row[0] for row in view.rows("#flows")] == ["198.18.0.7"]
    view.page.select_option("#flow-direction", "egress")
    assert view.rows("#flows") == []
    assert view.texts("#state") == ["paused"]


def test_sparklines_follow_the_theme_at_once(view: Opened) -> None:
    view.page.click("#pause")
    for theme, colour in {"dark": DARK, "light": LIGHT}.items():
        view.page.select_option("#theme", theme)
        wait_for(lambda: view.page.evaluate(COLOUR)[2] - colour[2] in range(-4, 5))  # noqa: B023
        assert view.page.evaluate(COLOUR) == pytest.approx(colour, abs=4)


def test_a_hundred_interfaces_are_drawn_and_others_are_found(view: Opened) -> None:
    assert view.texts("#interface-note") == [f"{DEVICES + 1} of {DEVICES + 1}, 100 shown"]
    assert len(view.rows("#interfaces")) == 100
    view.page.fill("#interface-search", f"quiet{DEVICES - 1}")
    assert [row[0] for row in view.rows("#interfaces")] == [f"quiet{DEVICES - 1}"]


def test_requests_stay_below_the_path_of_a_proxy(browser: Browser, service: Service) -> None:
    """The browser's own interception is the proxy: it takes the path away."""

    def forward(route: Route) -> None:
        route.continue_(url=route.request.url.replace(PLACE, "", 1))

    with opened(browser, service) as view:
        view.context.route(f"**/{PLACE}**", forward)
        asked: list[str] = []
        view.context.on("request", lambda request: asked.append(urlsplit(request.url).path))
        view.page.goto("about:blank")
        del asked[:]
        page = view.open(service.url + PLACE)
        wait_for(lambda: page.inner_text("#state") == "live")
        assert {f"/{PLACE}{path}" for path in ("", "page/main.js", "api/v1/stream")} <= set(asked)
        assert [path for path in asked if not path.startswith((f"/{PLACE}", ","))] == []  # "data:,"
        links = page.eval_on_selector_all("footer a", "all => all.map(a => a.href)")
        assert links[0] == f"{service.url}{PLACE}metrics"
        assert all(link.startswith(service.url + PLACE) for link in links)


def test_a_full_stream_is_reported_and_retried(view: Opened, service: Service) -> None:
    view.page.click("#pause")
    wait_for(lambda: readers(service) == 0)
    with contextlib.ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(contextlib.closing(Reader(service, "?top=1")))
        wait_for(lambda: readers(service) == MOST)
        view.page.click("#pause")
        view.wait("document.querySelector('#state').textContent.includes('maximum')")
        assert view.texts("#state") == [
            f"the stream has its maximum of {MOST} readers, trying again"
        ]
    view.wait("document.querySelector('#state').textContent === 'live'")
    assert {text for text in view.complaints if "503" not in text} == set()
    view.complaints.clear()
