"""The families of docs/metrics.md, with types and labels, are those that pktexp writes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pktexp.bpf import runtime
from pktexp.commands.serve import run
from pktexp.commands.serve.files import Files
from pktexp.flows.networks import NamedNetworks
from pktexp.flows.networksums import NetworkSums
from pktexp.flows.table import FlowTable
from pktexp.interfaces.attacher import Attachment
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.kubernetes.pods import PodTable
from pktexp.netlink import linkstats
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS, Records
from pktexp.pipeline import Pipeline
from pktexp.units.leases import Lease as CgroupLease
from pktexp.units.ledger import UnitCounts
from support.service.samples import link

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
NAMES = r"((?:`\w+`(?:,\s|\sand\s)?)+)"
FLOWS = ("pktexp_flow_packets_total", "pktexp_flow_bytes_total")
KIND = r"(?i:(counter|gauge|histogram|unknown)s?)"

Families = dict[str, tuple[str, set[str]]]
"""name of a sample -> type, labels"""


class Figure(float):
    """Stands in for any object with figures: its attributes are numbers, mappings and methods."""

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Figure:
        return self

    def __call__(self, *_: object) -> Figure:
        return self

    def __getitem__(self, name: str) -> int:
        return 0

    def keys(self) -> list[str]:
        return ["a"]


class OneInterface(Figure):
    """Stands in for Interfaces: an interface whose counters are all 1."""

    classes = np.zeros(1, np.uint8)
    attachment = Attachment(
        dataclasses.replace(link("eth0"), kind="veth"),
        {Direction.EGRESS: "tcx-egress"},
        Lease("eth0", 1, 0),
    )

    def links(self) -> list[Link]:
        return [link("eth0")]

    def active(self) -> list[str]:
        return ["eth0"]

    def attachments(self) -> list[Attachment]:
        return [self.attachment]

    def lease_names(self) -> dict[int, str]:
        return {1: "eth0"}

    def snapshot(self) -> Snapshot:
        counters = np.zeros((1, len(Direction)), INTERFACE_COUNTERS)
        counters.view(np.uint64)[:] = 1
        hooks = {("eth0", Direction.INGRESS): "tcx-ingress"}
        return Snapshot([Lease("eth0", 1, 0)], counters, tuple(Direction), hooks)


class Facts(Figure):
    """Stands in for InterfaceFacts: the interface has a speed and drops."""

    def peers(self, _: object) -> dict[int, str]:
        return {}

    pods = peers

    def speeds(self, _: object) -> dict[str, int]:
        return {"eth0": 1}

    def statistics(self) -> Records:
        rows = np.zeros(1, linkstats.LINK_STATISTICS)
        rows["ifindex"] = link("eth0").ifindex
        return rows


class Watch(Figure):
    """Stands in for PodWatch."""

    pods = PodTable()


class OneCgroup(Figure):
    """Stands in for Ledger: one cgroup beside the others."""

    def snapshot(self) -> UnitCounts:
        leases = [CgroupLease("/system.slice/a.service", 0)]
        return UnitCounts(leases, np.ones((2, len(Direction), 2), np.uint64))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run times of programs are measured."""
    monkeypatch.setattr(runtime, "is_measured", lambda: True)


def written(*, pods: bool) -> Families:
    """Return the families of a page from which nothing is missing; `pods`: with --kubernetes."""
    parts: dict[str, Any] = dict.fromkeys(Pipeline.__dataclass_fields__, Figure()) | {
        "lib": SimpleNamespace(version="1.5"),
        "interfaces": OneInterface(),
        "facts": Facts(),
        "drops": SimpleNamespace(usual=lambda _: [("eth0", "no_socket")], read=dict, misses=0),
        "retransmits": SimpleNamespace(read=dict),
        "cgroups": OneCgroup(),
        "unit_drops": SimpleNamespace(read=lambda: {("/a.service", "socket_rcvbuff"): 1}),
        "pods": Watch() if pods else None,
        "flows": FlowTable(1),
        "networks": NetworkSums(NamedNetworks(Path()), OneInterface.classes),
        "attribution": SimpleNamespace(readers=[Figure()], drainer=Figure()),
    }
    reloader = SimpleNamespace(files={"web": Figure()})
    files = Files(cast("Any", reloader), cast("Any", Figure()), None)
    source = run._source(Pipeline(**parts), files, cast("Any", Figure()))  # noqa: SLF001
    pages = "".join(page(True) for page in (*source.pages, *source.independent))
    text = pages + generate_latest(source.registry).decode()
    families = [f for f in text_string_to_metric_families(text) if f.name[:8] != "process_"]
    assert all(family.samples for family in families)
    return {
        family.name + "_total" * (family.type == "counter"): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for family in families
    }


def named(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def documented() -> Families:
    """Return the families that have a heading, and those in tables."""
    found: Families = {}
    for section in re.split(r"^###+ ", PAGE, flags=re.MULTILINE):
        title, _, text = section.partition("\n")
        if title.startswith("`"):
            [(kind, labels)] = re.findall(rf"\A{KIND}\b.*?; {NAMES}", text, re.DOTALL)
            found |= {name: (kind.lower(), named(labels)) for name in named(title)}
        common = "".join(re.findall(rf"^All by {NAMES}", text, re.MULTILINE))
        rows = re.findall(rf"^\| (`.*?) \| {KIND}\b.*? \| (.*) \|$", text, re.MULTILINE)
        for names, kind, meaning in rows:
            labels = common + "".join(re.findall(rf"\bby {NAMES}", meaning))
            found |= {name: (kind, named(labels)) for name in named(names)}
    return found


@pytest.mark.usefixtures("measured")
def test_documented_families_are_those_written() -> None:
    (of_pods,) = re.findall(rf"every flow series has the labels {NAMES}", PAGE)
    expected = documented()
    for name in FLOWS:
        kind, labels = expected[name]
        expected[name] = (kind, labels | named(of_pods))
    assert written(pods=True) == expected


@pytest.mark.usefixtures("measured")
def test_flows_have_labels_of_pods_only_with_kubernetes() -> None:
    found, expected = written(pods=False), documented()
    assert {name: found[name] for name in FLOWS} == {name: expected[name] for name in FLOWS}
