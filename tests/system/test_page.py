"""The live page in a browser, beside real traffic, against the metrics of the same service."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from support.netns.namespace import Namespace, connect
from support.patience import wait_for
from support.screens.browser import Opened, chromium, opened
from support.service.api import ask, frames, interface
from support.service.process import Service, select, serving, total

SOURCES, TIMES = 30, 7
ALIAS = "<img src=x onerror=\"document.title='had'\">"
OURS = ("10.99.", "198.18.")
LABELS = ("source", "dest", "protocol", "interface", "direction")
BAD = ("serious", "critical")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """After 210 datagrams from thirty addresses came by `vb`, and five pings."""
    a, b = Namespace(), Namespace()
    try:
        connect(a, b, "va", "vb")
        a.ip("address", "add", "10.99.0.1/24", "dev", "va")
        b.ip("address", "add", "10.99.0.2/24", "dev", "vb")
        b.ip("link", "set", "vb", "alias", ALIAS)
        b.ip("link", "add", "idle", "type", "veth", "peer", "idle2")
        with serving(b, "--interfaces", "vb", "--interfaces", "idle*") as service:
            # Nobody asks for addresses later, which would be counted between two looks.
            for here, name, there, host in ((a, "va", b.link("vb"), 2), (b, "vb", a.link("va"), 1)):
                neighbour = (f"10.99.0.{host}", "lladdr", there["address"], "nud", "permanent")
                here.ip("neighbour", "replace", *neighbour, "dev", name)
            for name in ("vb", "idle"):
                service.wait_until_attached(name)
            a.send("va", frames(SOURCES) * TIMES)
            a.run("ping", "-qnc", "5", "-i", "0.01", "10.99.0.2")
            wait_for(lambda: ask(service, "flows?view=flows&search=198.18")["matched"] == SOURCES)
            yield service
    finally:
        a.remove()
        b.remove()


@pytest.fixture(scope="module")
def browser(service: Service) -> Iterator[Browser]:
    with chromium(service) as browser:
        yield browser


@pytest.fixture
def view(browser: Browser, service: Service) -> Iterator[Opened]:
    with opened(browser, service) as view:
        yield view


def test_page_numbers_agree_with_the_metrics(view: Opened, service: Service) -> None:
    view.page.select_option("#flow-view", "flows")
    view.page.select_option("#flow-top", "50")
    view.wait("document.querySelectorAll('#flows tbody tr').length > 30")
    view.wait("!document.querySelector('#flows thead').textContent.includes('To source')")
    page = service.page()
    shown = {
        (source, dest, protocol, *place.split()): int(packets)
        for source, dest, *_, packets, protocol, place in view.rows("#flows")
        if source.startswith(OURS)
    }
    told = {
        tuple(dict(labels)[name] for name in LABELS): packets
        for labels, packets in select(page, "pktexp_flow_packets_total").items()
        if dict(labels)["source"].startswith(OURS)
    }
    assert shown == told
    assert len([key for key in shown if key[0].startswith("198.18")]) == SOURCES
    sizes = [row[1] for row in view.rows("#sizes")]
    assert sum(map(int, sizes)) == total(page, "pktexp_packets_total", direction="ingress")
    reasons = {(row[0], row[1]): int(row[3]) for row in view.rows("#drops")}
    for key, dropped in select(page, "pktexp_dropped_packets_total", interface="vb").items():
        if dropped:  # the usual reasons are there at 0, too
            assert reasons[dict(key)["reason"], "vb"] == dropped
    assert reasons


def test_the_page_shows_hooks_and_health(view: Opened, service: Service) -> None:
    hooks = {row[0]: row[8] for row in view.rows("#interfaces")}
    assert hooks == dict.fromkeys(("vb", "idle", "idle2"), "tcx-ingress, tcx-egress")
    health = dict(
        zip(view.texts("#health dt"), view.texts("#health dd"), strict=True),
    )
    assert health["State"] == "attached and reading"
    assert health["Lost by flows"] == "0 packets, 0 B"
    version = ask(service, "status")["version"]
    assert f"version {version}" in health["Running"]


def test_rates_appear_in_table_and_chart_during_traffic(view: Opened, service: Service) -> None:
    view.page.locator("#interfaces button", has_text="vb").click()
    ping = service.namespace.command("ping", "-qn", "-c", "60", "-i", "0.05", "10.99.0.1")
    service.namespace.run(*ping[4:])
    view.wait("/received [1-9]/.test(document.querySelector('#bytes-text').textContent)")
    view.wait("/sent [1-9]/.test(document.querySelector('#packets-text').textContent)")
    label = view.page.locator("#packets-chart").get_attribute("aria-label")
    assert label
    assert "pps" in label


def names(view: Opened) -> list[str]:
    return [row[0] for row in view.rows("#interfaces")]


def test_headers_sort_the_interfaces(view: Opened) -> None:
    header = view.page.locator("#interfaces th", has_text="Interface")
    header.locator("button").click()
    view.wait("document.querySelector('#interfaces th').ariaSort === 'ascending'")
    assert names(view) == ["idle", "idle2", "vb"]
    header.locator("button").focus()
    view.page.keyboard.press("Enter")
    view.wait("document.querySelector('#interfaces th').ariaSort === 'descending'")
    assert names(view) == ["vb", "idle2", "idle"]


def test_filters_find_interfaces_and_flows(view: Opened) -> None:
    view.page.fill("#interface-search", "idle")
    view.wait("document.querySelectorAll('#interfaces tbody tr').length === 2")
    view.page.fill("#flow-search", "198.18.0.7")
    view.wait("document.querySelectorAll('#flows tbody tr').length === 1")
    ((source, *_),) = view.rows("#flows")
    assert source == "198.18.0.7"
    view.page.fill("#flow-search", "")
    view.page.select_option("#flow-view", "flows")
    view.page.select_option("#flow-protocol", "icmp")
    view.page.select_option("#flow-direction", "egress")
    view.wait("document.querySelectorAll('#flows tbody tr').length === 1")
    assert [row[0] for row in view.rows("#flows")] == ["10.99.0.2"]


def test_conversation_is_one_row_with_both_directions(view: Opened, service: Service) -> None:
    view.page.select_option("#flow-protocol", "icmp")
    view.wait("document.querySelectorAll('#flows tbody tr').length === 1")
    ((source, dest, *_, packets, protocol, place),) = view.rows("#flows")
    assert {source, dest} == {"10.99.0.1", "10.99.0.2"}
    assert (protocol, place) == ("icmp", "vb")
    sent = total(service.page(), "pktexp_flow_packets_total", protocol="icmp")
    assert int(packets) == sent >= 10  # five requests and their answers, and those of other tests


def test_rows_that_are_not_shown_and_untracked_traffic_are_two_lines(
    browser: Browser, service: Service
) -> None:
    script = """async () => {
      const rates = (n) => ({ packets: n, bytes: n, packets_per_second: n, bytes_per_second: n });
      const row = { interface: "vb", protocol: "udp", source: "a", dest: "b", share: 0.4 };
      const flows = {
        view: "conversations", matched: 801, total: rates(100),
        flows: [{ ...row, ...rates(40), forward: rates(30), backward: rates(10) }],
        more: { flows: 800, ...rates(35) }, other: rates(25),
      };
      const { Talkers } = await import("./page/talkers.js");
      const values = { view: "conversations", by: "bytes_per_second" };
      const selection = { get: (name) => values[name] ?? "", set: () => {} };
      document.querySelector("#flows").tBodies[0].replaceChildren();
      new Talkers(selection).show(flows, []);
      const rows = [...document.querySelector("#flows").tBodies[0].rows];
      return rows.map((row) => [...row.cells].map((cell) => cell.textContent));
    }"""
    with opened(browser, service) as view:
        view.page.click("#pause")  # nothing else writes to the table
        found = view.page.evaluate(script)
    more, untracked = found[-2:]
    assert (more[0], more[2], more[5]) == ("800 more conversations", "280 bit/s", "35 %")
    assert (untracked[0], untracked[2], untracked[5]) == ("untracked", "200 bit/s", "25 %")
    assert found[0][:6] == ["a", "b", "320 bit/s", "240 bit/s", "80 bit/s", "40 %"]


def test_chart_has_a_point_for_each_full_second_only(view: Opened) -> None:
    script = """async () => {
      const { Past } = await import("./page/past.js");
      const past = new Past();
      const of = (n) => ({ protocols: { tcp: { bytes: n, packets: n } } });
      const rows = (n) => [{ ingress: of(n), egress: null }];
      for (const [now, second, n] of [
        [100.02, 50, 0], [100.9, null, 90], [101.2, 51, 100], [101.46, null, 126], [104.1, 53, 300],
      ]) past.add({ now, second }, rows(n));
      return [past.times.map((x) => x - past.times[0]), past.values.bytes.ingress.tcp];
    }"""
    assert view.page.evaluate(script) == [[0, 2], [100, 100]]


def test_chart_has_no_fall_where_history_and_stream_meet(view: Opened, service: Service) -> None:
    script = """async () => {
      const { Past } = await import("./page/past.js");
      const past = new Past();
      await past.load(["vb"]);
      const stream = new EventSource("api/v1/stream?interface=vb");
      const events = [];
      await new Promise((done) => stream.addEventListener("sample", (event) => {
        events.push(JSON.parse(event.data));
        if (events.length === 6) done();
      }));
      stream.close();
      for (const event of events) past.add(event, event.interfaces.filter((x) => x.name === "vb"));
      return [past.times, past.values.packets.ingress.icmp];
    }"""
    ping = service.namespace.command("ping", "-qn", "-i", "0.05", "10.99.0.1")
    with subprocess.Popen(ping, stdout=subprocess.DEVNULL) as pinging:
        try:
            wait_for(lambda: rate_of(service, "icmp") > 10)
            view.page.wait_for_timeout(2500)  # so that the history ends with traffic
            times, values = view.page.evaluate(script)
        finally:
            pinging.kill()
    tail = values[-6:]
    assert all(value for value in tail), tail
    assert all(after - before >= 0.999 for before, after in itertools.pairwise(times))


def rate_of(service: Service, protocol: str) -> float:
    protocols = interface(service, "vb")["ingress"]["protocols"]
    return protocols.get(protocol, {}).get("packets_per_second") or 0


def test_a_link_keeps_the_selection_and_back_restores_it(view: Opened) -> None:
    view.page.select_option("#flow-protocol", "icmp")
    view.page.locator("#interfaces button", has_text="idle2").click()
    view.wait("document.querySelector('#scope').value === 'if:idle2'")
    other = view.open(view.page.url)
    wait_for(lambda: other.input_value("#scope") == "if:idle2")
    assert other.input_value("#flow-protocol") == "icmp"
    view.page.go_back()
    view.wait("document.querySelector('#scope').value === 'virtual'")
    assert view.page.input_value("#flow-protocol") == "icmp"
    view.page.go_back()
    view.wait("document.querySelector('#flow-protocol').value === ''")


def test_a_paused_page_reads_nothing_until_resumed(view: Opened, service: Service) -> None:
    view.page.click("#pause")
    assert view.texts("#state") == ["paused"]
    wait_for(lambda: ask(service, "status")["stream"]["readers"] == 0)
    before = view.page.evaluate("document.body.dataset.samples")
    service.wait_for_samples(2)
    assert view.page.evaluate("document.body.dataset.samples") == before
    view.page.click("#pause")
    view.wait(f"document.body.dataset.samples > {before}")
    assert view.texts("#state") == ["live"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_are_accessible(browser: Browser, service: Service, theme: str) -> None:
    with opened(browser, service) as view:
        view.page.select_option("#theme", theme)
        view.page.reload()
        view.page.wait_for_selector("#flows tbody tr")
        assert view.page.input_value("#theme") == theme
        paper = view.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 22, 26)"}[theme]
        found = Axe().run(view.page).response["violations"]
        assert [(x["id"], x["nodes"][0]["html"]) for x in found if x["impact"] in BAD] == []


def test_the_theme_defaults_to_the_system(browser: Browser, service: Service) -> None:
    with opened(browser, service, color_scheme="dark") as view:
        paper = view.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(20, 22, 26)"


@pytest.mark.parametrize("width", [360, 1920])
def test_the_page_fits_the_window(browser: Browser, service: Service, width: int) -> None:
    with opened(browser, service, viewport={"width": width, "height": 900}) as view:
        view.wait("document.querySelectorAll('.uplot').length >= 2")
        assert view.page.evaluate("document.documentElement.scrollWidth") == width
        for chart in view.page.locator(".charts .uplot").all():
            box = chart.bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


def test_foreign_names_are_shown_as_text(view: Opened) -> None:
    (about,) = [row[-1] for row in view.rows("#interfaces") if row[0] == "vb"]
    assert ALIAS in about
    assert view.page.locator("main img").count() == 0
    assert view.page.title() == "pktexp"


def test_numbers_have_three_figures_and_a_unit(view: Opened) -> None:
    script = """async () => {
      const f = await import("./page/format.js");
      return [f.bits(0), f.bits(1), f.bits(124.99), f.bits(125e6), f.packets(999.96),
              f.packets(0.2),
              f.count(12345678), f.count(999), f.bytes(4.2e12), f.memory(3 << 20), f.memory(null),
              f.percent(0.25), f.percent(101.4), f.duration(59), f.duration(90061), f.duration(0)];
    }"""
    assert view.page.evaluate(script) == [
        *("0 bit/s", "8 bit/s", "1.00 kbit/s", "1.00 Gbit/s", "1.00 kpps", "0.20 pps"),
        *("12.3 M", "999", "4.20 TB", "3.00 MiB", "\N{EN DASH}"),
        *("0.3 %", "101 %", "59 s", "1 d 1 h", "0 s"),
    ]
