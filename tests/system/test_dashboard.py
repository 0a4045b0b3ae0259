"""The shipped dashboard: every query, against a real Prometheus that scrapes a real host."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator

import pytest

from support.monitoring.grafana import RANGE, Query, Series, View, panels, points, queries
from support.monitoring.scraped import FLOWS, ROOM, WHOLE, Seen, scraped
from support.patience import wait_for
from support.service.process import select, total

SPEED = 1_250_000_000  # bytes a second, as the driver of a veth tells
INGRESS = 'interface="wire",direction="ingress"'


def near(value: float) -> object:
    """As rate() estimates what came before the first and after the last scrape of a window."""
    assert value
    return pytest.approx(value, rel=0.3)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with scraped(tmp_path_factory.mktemp("dashboard")) as found:
        yield found


def told(series: Series) -> bool:
    return any(not math.isnan(float(value)) for _, value in points(series))


@pytest.mark.parametrize(
    "query", list(queries()), ids=lambda query: f"{query.panel}: {query.legend}"
)
def test_every_query_has_something_to_show(seen: Seen, query: Query) -> None:
    found = [series["metric"] for series in seen.view.ask(query, seen.time) if told(series)]
    assert found, query.expression
    for label in re.findall(r"{{(\w+)}}", query.legend):
        assert any(label in labels for labels in found), f"no series has {label}"


def test_every_variable_has_values_and_hardware_is_chosen(seen: Seen) -> None:
    address = seen.service.url.removeprefix("http://").rstrip("/")
    assert seen.view.values == {
        "job": ["pktexp"],
        "instance": [address],
        "class": ["physical"],
        "interface": ["wire"],
    }


def test_rules_and_alerts_can_be_evaluated(seen: Seen) -> None:
    for group in seen.server.ask("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", rule


def test_packets_that_cross_three_interfaces_are_shown_once(seen: Seen) -> None:
    bytes_ = seen.slope(f"pktexp_bytes_total{{{INGRESS}}}")
    packets = seen.slope(f"pktexp_packets_total{{{INGRESS}}}")
    assert seen.shown("Throughput", 0, direction="ingress") == near(8 * bytes_)
    assert seen.shown("Packets", 0, direction="ingress") == near(packets)
    assert seen.shown("Throughput by host", 0, direction="ingress") == near(8 * bytes_)
    assert seen.shown("Throughput by protocol", 0, direction="ingress") == near(8 * bytes_)
    assert seen.shown("Throughput by interface", 0, direction="ingress") == near(8 * bytes_)
    used = (bytes_ + 24 * packets) / SPEED
    assert seen.shown("Utilisation", 0, direction="ingress") == near(used)


def test_sums_are_the_same_with_more_interfaces_chosen(seen: Seen) -> None:
    everything = View(seen.server, interface=["wire", "br0", "pod"])
    assert sum_of(everything.latest("Packets by interface", seen.time)) > 1.5 * sum_of(
        seen.view.latest("Packets by interface", seen.time)
    )
    promise = "Each packet counts once"
    titles = [panel["title"] for panel in panels() if promise in panel["description"]]
    assert len(titles) > 10
    for title in titles:
        own = sum_of(seen.view.latest(title, seen.time))
        assert sum_of(everything.latest(title, seen.time)) == pytest.approx(own), title


def sum_of(shown: list[dict[frozenset[tuple[str, str]], float]]) -> float:
    return sum(value for answer in shown for value in answer.values())


def test_kinds_of_packets_are_shown_once(seen: Seen) -> None:
    panels = {
        "TCP flags": ("pktexp_tcp_flags_total", {"flag": "syn"}),
        "ICMP": ("pktexp_icmp_packets_total", {"protocol": "icmp", "type": "echo_request"}),
        "Broadcast and multicast": ("pktexp_group_packets_total", {"cast": "multicast"}),
        "Fragments and congestion": ("pktexp_fragments_total", {}),
    }
    for title, (counter, labels) in panels.items():
        matchers = "".join(f',{name}="{value}"' for name, value in labels.items())
        expected = seen.slope(f"{counter}{{{INGRESS}{matchers}}}")
        assert seen.shown(title, 0, direction="ingress", **labels) == near(expected), title
    packets = seen.slope('pktexp_packets_total{interface="wire"}')
    assert seen.shown("Packet sizes", 0, le="+Inf") == near(packets)
    small = seen.slope('pktexp_packet_size_bytes_bucket{interface="wire",le="64.0"}')
    assert seen.shown("Packet sizes", 0, le="64.0") == near(small)


def test_top_flows_and_others_sum_to_all_bytes(seen: Seen) -> None:
    total_bits = 8 * seen.slope('pktexp_bytes_total{interface="wire"}')
    named, others = (sum(found.values()) for found in seen.view.latest("Heaviest flows", seen.time))
    assert named + others == near(total_bits)
    assert 0 < named < total_bits
    flows = 'pktexp_flow_bytes_total{interface="wire"%s}'
    all_bytes = seen.slope(flows % "", WHOLE)
    other = seen.slope(flows % ',source="other"', WHOLE)
    assert 1 - seen.shown("Traffic with a name", 0) == near(other / all_bytes)


def test_top_flows_show_the_rates_of_their_counters(seen: Seen) -> None:
    flow = {"interface": "wire", "protocol": "tcp", "source": "192.0.2.1", "dest": "192.0.2.3"}
    matchers = ",".join(f'{name}="{value}"' for name, value in flow.items())
    bytes_ = seen.slope(f"pktexp_flow_bytes_total{{{matchers}}}", WHOLE)
    packets = seen.slope(f"pktexp_flow_packets_total{{{matchers}}}", WHOLE)
    title = "Heaviest flows of the whole time"
    assert seen.shown(title, 0, **flow) == near(8 * bytes_)
    assert seen.shown(title, 1, **flow) == near(packets)
    for panel, side in (("Heaviest senders", "source"), ("Heaviest receivers", "dest")):
        by_host = seen.slope(
            f'pktexp_flow_bytes_total{{interface="wire",{side}="192.0.2.1"}}', WHOLE
        )
        assert seen.shown(panel, 0, **{side: "192.0.2.1"}) == near(8 * by_host)


def test_drops_of_all_interfaces_are_shown(seen: Seen) -> None:
    harmful = seen.slope('pktexp_dropped_packets_total{reason!="queue_purge"}')
    assert seen.shown("Dropped by the kernel", 0) == near(harmful)
    assert seen.shown("Dropped by the kernel, by reason", 0) == near(harmful)
    for reason in ("no_socket", "netfilter_drop"):
        expected = seen.slope(f'pktexp_dropped_packets_total{{reason="{reason}"}}', WHOLE) * RANGE
        assert seen.shown("Dropped by the kernel, where", 0, reason=reason) == near(expected)
    again = seen.slope("pktexp_tcp_retransmitted_segments_total")
    assert seen.shown("Sent again by TCP", 0, interface="br0") == near(again)
    unparsed = seen.slope('pktexp_unparsed_packets_total{direction="ingress"}')
    assert seen.shown("Not parsed", 0, direction="ingress") == near(unparsed)


def test_exporter_panels_show_the_values_of_its_page(seen: Seen) -> None:
    page = seen.service.page()
    assert [sum(x.values()) for x in seen.view.latest("Exporters", seen.time)] == [1, 0]
    for title in ("Alerts", "Not counted", "Packets without a flow", "Files not read again"):
        assert seen.shown(title, 0) == 0
    assert seen.shown("Room for interfaces", 0) == len(select(page, "total_packets"))
    assert seen.shown("Room for interfaces", 1) == ROOM
    assert seen.shown("Room for flows", 0) > seen.shown("Room for flows", 1) == FLOWS
    assert seen.shown("Memory", 2) == total(page, "pktexp_ring_memory_bytes")
    began = 1000 * total(page, "process_start_time_seconds")
    assert seen.shown("Versions", 1) == pytest.approx(began, abs=1000)


def test_table_shows_the_properties_of_an_interface(seen: Seen) -> None:
    (hook,) = select(
        seen.service.page(), "pktexp_interface_attached", interface="wire", direction="ingress"
    )
    what, at, speed, ingress, _ = seen.view.latest("Interfaces", seen.time)
    link = seen.host.link("wire")
    (labels,) = (dict(key) for key in what)
    assert (labels["interface"], labels["class"]) == ("wire", "physical")
    assert (labels["mtu"], labels["address"]) == (str(link["mtu"]), link["address"])
    assert [dict(key)["hook"] for key in at] == [dict(hook)["hook"]]
    assert list(speed.values()) == [8 * SPEED]
    assert sum(ingress.values()) == near(8 * seen.slope(f"pktexp_bytes_total{{{INGRESS}}}"))


def test_uncounted_interfaces_are_shown(seen: Seen) -> None:
    for number in range(ROOM):
        seen.host.ip("link", "add", f"more{number}", "type", "bridge")
    there = len(seen.host.run("ls", "/sys/class/net").split())
    missing = 2 * (there - ROOM)  # directions
    wait_for(lambda: seen.view.latest("Not counted", time.time())[0] == {frozenset(): missing})
