"""What writing a page of flows takes, by the client library and by flowpage.py; for scrape.py."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

import report
from pktexp.flows.table import FlowTable
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.interfaces.tracker import Interfaces
from pktexp.metrics.flows import FAMILIES, FlowPage
from pktexp.packet import labels
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS, RING_RECORD

FLOWS, TIMES, ID = 1000, 50, 7
NAMES = ("interface", "direction", "protocol", "source", "dest")


class OneInterface:
    """What a FlowPage asks of Interfaces."""

    def lease_names(self) -> dict[int, str]:
        """The only one."""
        return {ID: "eth0"}

    def snapshot(self) -> Snapshot:
        """Nothing lost."""
        totals = np.zeros((1, len(Direction)), INTERFACE_COUNTERS)
        return Snapshot([Lease("eth0", ID, 0)], totals, tuple(Direction), {})


class Library(Collector):
    """The same families by the library's own means."""

    def __init__(self, table: FlowTable) -> None:
        self._table = table

    def describe(self) -> tuple[Metric, ...]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Both."""
        flows = self._table.snapshot([ID])
        for field, sums in zip(FAMILIES, (flows.packets, flows.bytes), strict=True):
            family = CounterMetricFamily(f"pktexp_flow_{field}", FAMILIES[field], labels=NAMES)
            for key, value in zip(flows.keys, sums, strict=True):
                family.add_metric(("eth0", "ingress", "udp", *labels.endpoints(key)), int(value))
            yield family


def milliseconds(write: Callable[[], object]) -> float:
    """The median."""
    times = []
    for _ in range(TIMES):
        started = time.perf_counter()
        write()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def table() -> str:
    """Both, over the same flows."""
    batch = np.zeros(FLOWS, RING_RECORD)
    batch["flow"]["interface"], batch["flow"]["packet_class"] = ID, 10
    batch["flow"]["saddr"][:, :4] = np.arange(FLOWS, dtype="u4").view("u1").reshape(FLOWS, 4)
    batch["flow"]["packets"] = 1
    flows = FlowTable(FLOWS)
    flows.merge(batch)
    registry = CollectorRegistry()
    registry.register(Library(flows))
    write, _ = choose_encoder("application/openmetrics-text;version=1.0.0")
    page = FlowPage(cast("Interfaces", OneInterface()), flows)
    rows = [
        ("client library", f"{milliseconds(lambda: write(registry)):.1f}"),
        ("flowpage.py", f"{milliseconds(lambda: page(openmetrics=True)):.1f}"),
    ]
    return report.table((f"writing {FLOWS:,} flows", "median ms"), rows)
