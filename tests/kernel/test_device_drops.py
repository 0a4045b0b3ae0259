"""Drops reported by devices after real drops, compared with the kernel's statistics in sysfs."""

from __future__ import annotations

import contextlib
import json
import resource
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.registry import Collector

from pktexp.interfaces.facts import InterfaceFacts
from pktexp.metrics import figures
from pktexp.metrics.exporter import ExporterCollector, Group
from pktexp.metrics.interfaces import InterfaceCollector
from pktexp.netlink import linkstats
from pktexp.netlink.links import LinkMonitor
from support.netns.namespace import Namespace
from support.netns.tun import tun
from support.packets.cases import ETHER, V4
from support.service.process import Page, select, serving

Pair = tuple[Namespace, Namespace]
Make = Callable[[], Namespace]
FAMILY = "pktexp_interface_dropped_packets_total"
FRAME = bytes(ETHER / V4)
FIELDS = {
    ("ingress", "dropped"): "rx_dropped",
    ("ingress", "missed"): "rx_missed_errors",
    ("ingress", "fifo"): "rx_fifo_errors",
    ("ingress", "errors"): "rx_errors",
    ("ingress", "nohandler"): "rx_nohandler",
    ("egress", "dropped"): "tx_dropped",
    ("egress", "fifo"): "tx_fifo_errors",
    ("egress", "errors"): "tx_errors",
}


def drops(page: Page, interface: str) -> dict[tuple[str, str], int]:
    found = {}
    for key, value in select(page, FAMILY, interface=interface).items():
        labels = dict(key)
        found[labels["direction"], labels["kind"]] = int(value)
    return found


def sysfs(namespace: Namespace, interface: str) -> dict[str, int]:
    folder = f"/sys/class/net/{interface}/statistics"
    lines = namespace.run("grep", "-r", "", folder).splitlines()
    return {path.rsplit("/", 1)[1]: int(value) for path, value in (x.split(":") for x in lines)}


def expected(namespace: Namespace, interface: str) -> dict[tuple[str, str], int]:
    """Drops in sysfs, without the kinds that pktexp shows only from 1 on."""
    told = sysfs(namespace, interface)
    values = {key: told[field] for key, field in FIELDS.items()}
    return {key: value for key, value in values.items() if value or key[1] == "dropped"}


def test_idle_interface_shows_zero_drops(pair: Pair) -> None:
    _, b = pair
    with serving(b) as service:
        page = service.page()
        assert drops(page, "vb") == {("ingress", "dropped"): 0, ("egress", "dropped"): 0}


def test_oversized_frames_are_dropped_at_both_ends(pair: Pair) -> None:
    a, b = pair
    b.ip("link", "set", "vb", "mtu", "1000")
    with serving(a) as near, serving(b) as far:
        with a.packet_socket("va") as raw:
            for _ in range(9):
                with contextlib.suppress(OSError):  # newer kernels report it to the sender
                    raw.send(FRAME.ljust(1400))
        sent, received = drops(near.page(), "va"), drops(far.page(), "vb")
    assert sent == expected(a, "va")
    assert received == expected(b, "vb")
    assert sent["egress", "dropped"] == 9
    assert received["ingress", "dropped"] == 9


def test_full_queue_of_a_tun_device_drops_packets(namespaces: Make) -> None:
    b = namespaces()
    with tun(b, "tun7"), serving(b) as service:
        b.ip("link", "set", "tun7", "txqueuelen", "4")
        with b.packet_socket("tun7") as raw:
            for _ in range(30):
                raw.send(bytes(V4))
        counts = drops(service.page(), "tun7")
        assert counts == expected(b, "tun7")
        assert counts["egress", "dropped"] >= 20


def test_device_statistics_match_sysfs(pair: Pair) -> None:
    a, b = pair
    a.send("va", [FRAME] * 5 + [FRAME.ljust(9000)] * 2)
    with b.entered():
        (row,) = [x for x in linkstats.read() if x["ifindex"] == b.link("vb")["ifindex"]]
    told = sysfs(b, "vb")
    assert {field: int(row[field]) for field in linkstats.FIELDS} == {
        field: told[field] for field in linkstats.FIELDS
    }
    assert told["rx_packets"] == 7


def test_device_statistics_cover_every_interface(namespaces: Make) -> None:
    b = namespaces()
    for number in range(200):  # more than a datagram holds
        b.ip("link", "add", f"br{number}", "type", "bridge")
    with b.entered():
        rows = linkstats.read()
    assert sorted(rows["ifindex"]) == sorted(x["ifindex"] for x in json.loads(b.ip("-j", "link")))


@contextlib.contextmanager
def without_files() -> Iterator[None]:
    """Prevent this process from opening files and sockets."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def collectors(pair: Pair) -> list[Collector]:
    """Collectors of the second namespace's interfaces, and of the failures to ask."""
    _, b = pair
    with b.entered():
        monitor = LinkMonitor()
    monitor.close()
    links = list(monitor.links.values())
    assert any(link.link_netnsid is not None for link in links)
    facts = InterfaceFacts()
    exporter = ExporterCollector("", "", [Group(figures.FACTS, facts)])
    return [InterfaceCollector(lambda: links, facts), exporter]


def test_refused_netlink_queries_are_counted_and_other_families_remain(
    collectors: list[Collector], caplog: pytest.LogCaptureFixture
) -> None:
    for scrape in (1, 2):
        with without_files():
            families = {x.name: x for collector in collectors for x in collector.collect()}
        assert "pktexp_interface_info" in families
        assert "pktexp_interface_dropped_packets" not in families
        (failures,) = families["pktexp_netlink_query_failures"].samples
        assert failures.value == 2 * scrape  # names of namespaces, and statistics
    assert caplog.text.count("Too many open files") == 1
