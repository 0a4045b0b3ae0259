"""The shipped recording rules: by promtool, and by a Prometheus beside a host with a pod."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from support.hosts import host_with_pod
from support.netns import Namespace
from support.onbus import on_bus
from support.patience import wait_for
from support.prometheus import Prometheus, prometheus, promtool
from support.service import Page, select, serving, total

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
CASE = Path(__file__).with_name("rules_test.yml")
RULE = "instance:pktexp_bytes:rate5m"

PING = ("ping", "-q", "-i", "0.01", "-c", "20", "-s", "1000")
PING_SIZE = 14 + 20 + 8 + 1000

Make = Callable[[], Namespace]


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", str(RULES))


def test_the_documentation_shows_the_rule_that_is_shipped() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    section = text.partition("### Counting once")[2]
    expression = section.partition("```promql\n")[2].partition("```")[0]
    assert expression.split()
    assert " ".join(expression.split()) in " ".join(RULES.read_text().split())


def test_the_rules_count_physical_interfaces_once_also_while_one_changes() -> None:
    promtool("test", "rules", str(CASE))


def test_what_goes_through_wire_bridge_and_pod_is_counted_once(
    namespaces: Make, tmp_path: Path
) -> None:
    outside, middle, pod = host_with_pod(namespaces)
    with serving(middle, prefix=on_bus(tmp_path, "wire")) as service:
        classes = {name: class_of(service.page(), name) for name in ("wire", "br0", "pod", "lo")}
        expected = ("physical", "virtual", "virtual", "loopback")
        assert tuple(classes.values()) == expected
        port = int(service.url.rstrip("/").rsplit(":", 1)[1])
        rounds = itertools.count(1)
        with prometheus(middle, tmp_path, port, RULES) as server:

            def counted_once() -> bool:
                for place, number in ((outside, 3), (outside, 2), (pod, 2)):
                    place.run(*PING, f"192.0.2.{number}")
                next(rounds)
                return agrees(server)

            wait_for(counted_once)
        wire = {"interface": "wire", "direction": "ingress", "protocol": "icmp"}
        sent = 40 * (next(rounds) - 1)  # requests of both that the outside sends
        assert total(service.page(), "pktexp_packets_total", **wire) == sent
        assert total(service.page(), "pktexp_bytes_total", **wire) == sent * PING_SIZE


def class_of(page: Page, interface: str) -> str:
    (labels,) = select(page, "pktexp_interface_info", interface=interface)
    return dict(labels)["class"]


def agrees(server: Prometheus) -> bool:
    """Whether the rates that the rule recorded last are the wire's, of all three a third.

    Nearly, as a scrape may begin before the rule is evaluated and be stored after it.
    """
    recorded = server.query(f"{RULE}[20s]")
    return bool(recorded) and all(
        any(once(server, series["metric"]["direction"], *point) for point in series["values"])
        for series in recorded
    )


def once(server: Prometheus, direction: str, time: float, value: str) -> bool:
    def rate(interfaces: str) -> float:
        selector = f'direction="{direction}",interface=~"{interfaces}"'
        query = f"sum(rate(pktexp_bytes_total{{{selector}}}[5m]))"
        found = server.query(query, time=str(time))
        return float(found[0]["value"][1]) if found else 0.0

    wire, all_three = rate("wire"), rate("wire|br0|pod")
    return float(value) == pytest.approx(wire, rel=0.3) and all_three > 2.5 * wire > 0
