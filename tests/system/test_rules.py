"""The shipped recording rules: by promtool, and by a Prometheus beside a host with a pod."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from support.monitoring.prometheus import Prometheus, prometheus, promtool
from support.netns.hosts import host_with_pod
from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.onbus import on_bus
from support.service.process import Page, select, serving, total

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
CASE = Path(__file__).with_name("rules_test.yml")
RULE = "instance:pktexp_bytes:rate5m"
WIRE, ALL_THREE = "test:wire:rate5m", "test:all_three:rate5m"

PING = ("ping", "-q", "-i", "0.01", "-c", "20", "-s", "1000")
PING_SIZE = 14 + 20 + 8 + 1000

Make = Callable[[], Namespace]


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", str(RULES))


def test_documentation_shows_the_shipped_rule() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    section = text.partition("### Counting once")[2]
    expression = section.partition("```promql\n")[2].partition("```")[0]
    assert expression.split()
    assert " ".join(expression.split()) in " ".join(RULES.read_text().split())


def test_rules_count_a_changing_physical_interface_once() -> None:
    promtool("test", "rules", str(CASE))


def test_packets_through_wire_bridge_and_pod_count_once(namespaces: Make, tmp_path: Path) -> None:
    outside, middle, pod = host_with_pod(namespaces)
    with serving(middle, prefix=on_bus(tmp_path, "wire")) as service:
        classes = {name: class_of(service.page(), name) for name in ("wire", "br0", "pod", "lo")}
        expected = ("physical", "virtual", "virtual", "loopback")
        assert tuple(classes.values()) == expected
        port = int(service.url.rstrip("/").rsplit(":", 1)[1])
        rounds = itertools.count(1)
        with prometheus(middle, tmp_path, port, with_references(tmp_path)) as server:

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


def with_references(folder: Path) -> Path:
    """The shipped rules, and behind them rates of known interfaces.

    In one group, as what a rule did not see yet, a later query may: a scrape can begin before the
    rule is evaluated and be stored after it.
    """
    document = yaml.safe_load(RULES.read_text())
    for record, interfaces in ((WIRE, "wire"), (ALL_THREE, "wire|br0|pod")):
        rate = f'rate(pktexp_bytes_total{{interface=~"{interfaces}"}}[5m])'
        rule = {"record": record, "expr": f"sum by (direction) ({rate})"}
        document["groups"][0]["rules"].append(rule)
    path = folder / "rules.yml"
    path.write_text(yaml.safe_dump(document))
    return path


def agrees(server: Prometheus) -> bool:
    """Whether in both directions the rule recorded the wire's rate, of all three a third."""
    found, wire, all_three = (recorded(server, name) for name in (RULE, WIRE, ALL_THREE))
    agreed = {
        direction
        for (direction, at), value in found.items()
        if value == pytest.approx(wire.get((direction, at)))
        and all_three.get((direction, at), 0) > 2.5 * value > 0
    }
    return agreed == {"ingress", "egress"}


def recorded(server: Prometheus, name: str) -> dict[tuple[str, float], float]:
    """(direction, time) -> value, of the last moments."""
    return {
        (series["metric"]["direction"], at): float(value)
        for series in server.query(f"{name}[20s]")
        for at, value in series["values"]
    }
