"""The flows' text against the Prometheus client library's own parser and writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from unittest.mock import Mock

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from pktexp.flows.table import FlowTable
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.interfaces.tracker import Interfaces
from pktexp.kubernetes.pods import Pod, PodTable
from pktexp.metrics import flowlabels
from pktexp.metrics.flows import FAMILIES, FlowPage
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS, RING_RECORD, Records

STRANGE = 'we"ird\\ \n name'


@dataclass
class OneInterface:
    """What FlowPage asks of Interfaces."""

    lease: Lease
    totals: Records

    def lease_names(self) -> dict[int, str]:
        return {self.lease.id: self.lease.name}

    def snapshot(self) -> Snapshot:
        return Snapshot([self.lease], self.totals, tuple(Direction), {})


def table_of(*flows: tuple[int, list[int], list[int], list[int]]) -> FlowTable:
    """One packet of 100 bytes each: class, source, dest, ports."""
    batch = np.zeros(len(flows), RING_RECORD)
    for row, (packet_class, source, dest, ports) in zip(batch["flow"], flows, strict=True):
        row["interface"], row["packet_class"], row["ports"] = 7, packet_class, ports
        row["saddr"][: len(source)], row["daddr"][: len(dest)] = source, dest
        row["packets"], row["bytes"] = 1, 100
    table = FlowTable(len(flows))
    table.merge(batch)
    return table


def page_of(table: FlowTable, pods: PodTable | None = None) -> FlowPage:
    totals = np.zeros((1, len(Direction)), INTERFACE_COUNTERS)
    totals["lost"]["packets"] = [[3, 4]]
    totals["lost"]["bytes"] = [[333, 444]]
    return FlowPage(cast("Interfaces", OneInterface(Lease(STRANGE, 7, 7), totals)), table, pods)


V4 = (9, [10, 0, 0, 1], [10, 0, 0, 2], [1234, 53])
V6 = (24 + 3, [0x20, 1, *[0] * 13, 1], [0xFE, 0x80, *[0] * 13, 2], [0, 0])
ARP = (1, [10, 0, 0, 9], [10, 0, 0, 8], [0, 0])
EXPECTED = {
    ("ingress", "tcp", "10.0.0.1:1234", "10.0.0.2:53"): (1, 100),
    ("ingress", "icmp", "2001::1", "fe80::2"): (1, 100),
    ("ingress", "arp", "10.0.0.9", "10.0.0.8"): (1, 100),
    ("ingress", "other", "other", "other"): (3, 333),
    ("egress", "other", "other", "other"): (4, 444),
}


class Library(Collector):
    """The same families by the library's own means."""

    def describe(self) -> tuple[Metric, ...]:
        return ()

    def collect(self) -> list[Metric]:
        names = ("interface", "direction", "protocol", "source", "dest")
        made: list[Metric] = []
        for unit, (field, text) in enumerate(FAMILIES.items()):
            family = CounterMetricFamily(f"pktexp_flow_{field}", text, labels=names)
            for labels, sums in EXPECTED.items():
                family.add_metric((STRANGE, *labels), sums[unit])
            made.append(family)
        return made


def lines_of(text: str) -> set[str]:
    """Without `.0`: the library writes whole numbers so, which is the same to all readers."""
    return {line.removesuffix(".0") for line in text.splitlines()} - {"# EOF"}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_text_equals_that_of_the_client_library(openmetrics: bool) -> None:
    registry = CollectorRegistry()
    registry.register(Library())
    written = (generate_openmetrics if openmetrics else generate_latest)(registry).decode()
    page = page_of(table_of(V4, V6, ARP))
    assert lines_of(page(openmetrics)) == lines_of(written)
    assert page(openmetrics) == page(openmetrics)  # the second time from remembered labels


def test_flow_of_a_removed_interface_is_not_shown() -> None:
    interfaces = OneInterface(Lease("eth0", 8, 0), np.zeros((1, 2), INTERFACE_COUNTERS))
    page = FlowPage(cast("Interfaces", interfaces), table_of(V4))
    assert "10.0.0.1" not in page(openmetrics=False)
    assert 'interface="eth0",protocol="other"' in page(openmetrics=False)


def owners(page: FlowPage) -> dict[str, tuple[str, ...]]:
    """Source -> whose it is, and whose the destination."""
    families = text_string_to_metric_families(page(openmetrics=False))
    names = ("source_namespace", "source_pod", "dest_namespace", "dest_pod")
    return {
        sample.labels["source"]: tuple(sample.labels[name] for name in names)
        for family in families
        for sample in family.samples
    }


def test_flow_labels_follow_the_pods_of_their_addresses() -> None:
    pods = PodTable()
    page = page_of(table_of(V4, V6, ARP), pods)
    nobody = ("",) * 4
    assert owners(page) == dict.fromkeys(("10.0.0.1:1234", "2001::1", "10.0.0.9", "other"), nobody)
    pods.put("1", Pod("shop", "web", (bytes(V4[1]), bytes(V6[1]))))
    pods.put("2", Pod("shop", "db", (bytes(V4[2]), bytes(ARP[1]))))
    named = {
        "10.0.0.1:1234": ("shop", "web", "shop", "db"),
        "2001::1": ("shop", "web", "", ""),
        "10.0.0.9": ("shop", "db", "", ""),
        "other": nobody,
    }
    assert owners(page) == named
    pods.remove("2")
    pods.put("3", Pod("other", "new", (bytes(V4[2]),)))
    named |= {"10.0.0.1:1234": ("shop", "web", "other", "new"), "10.0.0.9": nobody}
    assert owners(page) == named
    assert owners(page_of(table_of(V4), pods))["10.0.0.1:1234"] == named["10.0.0.1:1234"]


def test_labels_are_written_again_only_when_a_pod_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = Mock(wraps=flowlabels.flow_texts)
    monkeypatch.setattr(flowlabels, "flow_texts", written)
    pods, pod = PodTable(), Pod("shop", "web", (bytes(V4[1]),))
    page = page_of(table_of(V4, ARP), pods)
    for _ in range(2):  # the pod is put twice, and is new once
        pods.put("1", pod)
        page(openmetrics=False)
        page(openmetrics=True)
    assert [len(call.args[0]) for call in written.call_args_list] == [2, 0, 0, 0]
