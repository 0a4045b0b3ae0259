"""A transfer from a pod through a bridge out of the host is the same number everywhere, once."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.monitoring.prometheus import Prometheus, prometheus
from support.netns.namespace import Namespace, connect, run
from support.patience import wait_for
from support.screens.browser import chromium, opened
from support.service.api import ask
from support.service.onbus import on_bus
from support.service.process import Service, serving, total

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
OUTSIDE, POD, PORT = "192.0.2.1", "192.0.2.11", 4000
DATAGRAMS, SIZE = 400, 14 + 20 + 8 + 1000
SENT = DATAGRAMS * SIZE
WINDOW = 300  # seconds, of the documented queries
# rate() extrapolates by up to a scrape interval at each end of a series, here a short one; packets
# that counted twice would double the value.
TOLERANCE = 0.15


@dataclass
class Host:
    """A host with the physical interface `wire` and three pods on br0; the first one sent."""

    namespace: Namespace
    service: Service
    server: Prometheus


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    with contextlib.ExitStack() as stack:

        def make() -> Namespace:
            namespace = Namespace()
            stack.callback(namespace.remove)
            return namespace

        here, pod, outside = built(make)
        service = stack.enter_context(serving(here, prefix=on_bus(folder, "wire")))
        for name in ("wire", "br0", "veth1", "veth2", "veth3"):
            service.wait_until_attached(name)
        port = int(service.url.rstrip("/").rsplit(":", 1)[1])
        server = stack.enter_context(prometheus(here, folder, port))
        transfer(pod, outside, server)
        yield Host(here, service, server)


def built(make: Callable[[], Namespace]) -> tuple[Namespace, Namespace, Namespace]:
    """Return the host, its first pod, and the namespace behind `wire`."""
    here, outside, *pods = (make() for _ in range(5))
    here.ip("link", "add", "br0", "up", "type", "bridge")
    here.ip("address", "add", "192.0.2.2/24", "dev", "br0")
    connect(here, outside, "wire", "eth0")
    outside.ip("address", "add", f"{OUTSIDE}/24", "dev", "eth0")
    for number, pod in enumerate(pods, 1):
        connect(here, pod, f"veth{number}", "eth0")
        pod.ip("address", "add", f"192.0.2.{10 + number}/24", "dev", "eth0")
        here.ip("link", "set", f"veth{number}", "master", "br0")
    here.ip("link", "set", "wire", "master", "br0")
    return here, pods[0], outside


def transfer(pod: Namespace, outside: Namespace, server: Prometheus) -> None:
    """Send the datagrams, and wait until Prometheus has them."""
    pod.run("ping", "-c", "1", "-W", "10", OUTSIDE)  # both know each other's MAC address
    with outside.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with pod.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flow = f'pktexp_flow_packets_total{{interface="wire",source="{POD}",protocol="udp"}}'
    with contextlib.closing(receiver), contextlib.closing(sender):
        receiver.bind((OUTSIDE, PORT))
        sender.sendto(bytes(1000), (OUTSIDE, PORT))  # the series has to be there before
        wait_for(lambda: server.query(f"count_over_time({flow}[1m]) >= 2"))
        for _ in range(DATAGRAMS):
            sender.sendto(bytes(1000), (OUTSIDE, PORT))
            time.sleep(0.01)
        wait_for(lambda: server.query(f"{flow} == {DATAGRAMS + 1}"))
        wait_for(lambda: server.query(f"count_over_time(({flow} == {DATAGRAMS + 1})[1m:1s]) > 3"))


# Labels that exist only with --kubernetes or --networks, whose queries are tested with these.
ELSEWHERE = ("source_pod", "pod_namespace", "source_network")


def expressions() -> list[str]:
    """The queries of metrics.md that sum flows or interfaces."""
    blocks = re.findall(r"```promql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    summing = [block for block in blocks if "flow_bytes" in block or 'class="physical"' in block]
    return [block for block in summing if not any(label in block for label in ELSEWHERE)]


@pytest.mark.parametrize("expression", expressions(), ids=lambda x: " ".join(x.split())[:60])
def test_documented_query_counts_the_transfer_once(host: Host, expression: str) -> None:
    found = host.server.query(expression)
    assert found
    if expression.startswith("1 -"):  # a share
        assert float(found[0]["value"][1]) > 0.99
        return
    assert sent_in(found) == pytest.approx(SENT, rel=TOLERANCE)


def sent_in(found: list[dict[str, Any]]) -> float:
    """The bytes of the window that a query's result has for the transfer."""
    wanted = {"source": POD, "direction": "egress", "protocol": "udp"}
    rows = [
        row
        for row in found
        if all(row["metric"].get(name, value) == value for name, value in wanted.items())
    ]
    assert len(rows) == 1
    return float(rows[0]["value"][1]) * WINDOW


def test_api_has_one_conversation_at_the_outer_interface(host: Host) -> None:
    document = ask(host.service, "flows?protocol=udp&search=192.0.2")
    (row,) = document["flows"]
    assert (row["source"], row["dest"], row["interface"]) == (POD, OUTSIDE, "wire")
    assert row["bytes"] == SENT + SIZE
    assert document["matched"] == 1


def test_class_totals_count_the_transfer_once_a_direction(host: Host) -> None:
    classes = ask(host.service, "status")["classes"]
    page = host.service.page()
    for name, direction, interfaces in (
        ("physical", "egress", ("wire",)),
        ("virtual", "ingress", ("veth1", "veth2", "veth3")),  # not br0
    ):
        wanted = sum(
            total(page, "pktexp_bytes_total", interface=interface, direction=direction)
            for interface in interfaces
        )
        shown = classes[name][direction]["bytes"]
        assert SENT < shown <= wanted < SENT * 1.1


def test_page_shows_the_transfer_once(host: Host) -> None:
    with chromium(host.service) as browser, opened(browser, host.service) as view:
        view.page.select_option("#flow-protocol", "udp")
        view.page.fill("#flow-search", OUTSIDE)
        view.wait("document.querySelectorAll('#flows tbody tr').length === 1")
        ((source, dest, *_, amount, packets, _, place),) = view.rows("#flows")
        assert (source, dest, place) == (POD, OUTSIDE, "wire")
        assert (amount, packets) == ("418 kB", str(DATAGRAMS + 1))


def test_top_shows_the_transfer_once(host: Host) -> None:
    top = (sys.executable, "-m", "pktexp", "top", "--once", "--url", host.service.url)
    lines = [line.split() for line in run(*host.namespace.command(*top)).splitlines()]
    (row,) = [line for line in lines if POD in line and "udp" in line]
    assert row[row.index(POD) + 1] == OUTSIDE
    assert row[-1] == "wire"
    assert ["418", "kB"] == row[row.index("kB") - 1 : row.index("kB") + 1]
