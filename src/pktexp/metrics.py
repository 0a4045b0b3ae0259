"""Prometheus families of the traffic, from interfaces.py; served by web/.

`TrafficCollector` goes into a registry that is passed in. The flows are in flowpage.py, what the
exporter says of itself in selfmetrics.py; docs/metrics.md describes each family.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

from pktexp import labels
from pktexp.interfaces import NO_HOOK, Snapshot
from pktexp.kernel.records import (
    SIZE_BOUNDS,
    SIZE_BUCKETS,
    Direction,
    LinkClass,
    Records,
)
from pktexp.sources import Totals

INGRESS = labels.DIRECTIONS[Direction.INGRESS]
BUCKETS = (*(str(float(bound)) for bound in SIZE_BOUNDS), "+Inf")
TRAFFIC_LABELS = ("interface", "direction", "protocol", "ip_version")
GROUP_OF_CLASS = np.array([labels.size_group(c) for c in labels.CLASSES])


class TrafficCollector(Collector):
    """Collects afresh for each scrape, in the caller's thread."""

    def __init__(self, interfaces: Totals) -> None:
        self._interfaces = interfaces

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families but those of the flows."""
        snapshot = self._interfaces.snapshot()
        yield from traffic(snapshot)
        yield packet_sizes(snapshot)
        yield unparsed(snapshot)
        yield from lost_events(snapshot)
        yield attached(snapshot)
        yield total_packets(snapshot)
        yield total_throughput(snapshot)


def traffic(snapshot: Snapshot) -> Iterator[Metric]:
    """Packets and bytes by protocol: what has been seen, and "other" also at 0."""
    packets = CounterMetricFamily(
        "pktexp_packets", "Packets on an interface, counted in the kernel.", labels=TRAFFIC_LABELS
    )
    bytes_ = CounterMetricFamily(
        "pktexp_bytes",
        "Bytes on the wire without FCS, link-layer header included.",
        labels=TRAFFIC_LABELS,
    )
    shown = snapshot.totals["classes"]["packets"] > 0
    shown[:, LinkClass.OTHER] = True
    for row, packet_class in np.argwhere(shown).tolist():
        tally = snapshot.totals["classes"][row, packet_class]
        name = (snapshot.leases[row].name, INGRESS, *labels.CLASSES[packet_class])
        packets.add_metric(name, int(tally["packets"]))
        bytes_.add_metric(name, int(tally["bytes"]))
    yield packets
    yield bytes_


def packet_sizes(snapshot: Snapshot) -> Metric:
    """Sizes of all packets on an interface."""
    family = HistogramMetricFamily(
        "pktexp_packet_size_bytes",
        "Size of packets on the wire without FCS.",
        labels=("interface", "direction"),
    )
    for lease, totals in zip(snapshot.leases, snapshot.totals, strict=True):
        counts = totals["sizes"].reshape(-1, SIZE_BUCKETS).sum(axis=0)
        _add_histogram(family, (lease.name, INGRESS), counts, totals["classes"]["bytes"].sum())
    return family


def unparsed(snapshot: Snapshot) -> Metric:
    """Packets that could not be parsed to their end, by reason; they passed all the same."""
    family = CounterMetricFamily(
        "pktexp_unparsed_packets",
        "Packets whose headers could not be read to the end; they pass unharmed.",
        labels=("interface", "direction", "reason"),
    )
    for row, reason in np.argwhere(snapshot.totals["unparsed"] > 0).tolist():
        name = (snapshot.leases[row].name, INGRESS, labels.UNPARSED[reason])
        family.add_metric(name, int(snapshot.totals["unparsed"][row, reason]))
    return family


def lost_events(snapshot: Snapshot) -> Iterator[Metric]:
    """Packets that are in the totals but found no room in a ring buffer, also at 0."""
    for field in ("packets", "bytes"):
        family = CounterMetricFamily(
            f"pktexp_event_lost_{field}",
            f"{field.capitalize()} in the totals that no flow was told of: the ring was full.",
            labels=("interface", "direction"),
        )
        for lease, amount in zip(snapshot.leases, snapshot.totals["lost"][field], strict=True):
            family.add_metric((lease.name, INGRESS), int(amount))
        yield family


def attached(snapshot: Snapshot) -> Metric:
    """1 for the hook an interface is counted at; 0 and hook="none" where none could be had."""
    family = GaugeMetricFamily(
        "pktexp_interface_attached",
        "Whether an interface that should be counted is, and at which hook.",
        labels=("interface", "hook"),
    )
    for name, hook in snapshot.hooks.items():
        family.add_metric((name, hook), int(hook != NO_HOOK))
    return family


def total_packets(snapshot: Snapshot) -> Metric:
    """Under packet-exporter's name, which is no counter's name: hence of unknown type."""
    family = UnknownMetricFamily(
        "total_packets", "Packets received on an interface (only grows).", labels=("interface",)
    )
    for lease, totals in zip(snapshot.leases, snapshot.totals, strict=True):
        family.add_metric((lease.name,), int(totals["classes"]["packets"].sum()))
    return family


def total_throughput(snapshot: Snapshot) -> Metric:
    """Under packet-exporter's name: sizes of packets received, by those groups that were seen."""
    family = HistogramMetricFamily(
        "total_throughput",
        "Size in bytes of packets received on an interface.",
        labels=("interface", "protocol"),
    )
    for lease, totals in zip(snapshot.leases, snapshot.totals, strict=True):
        sizes = totals["sizes"].reshape(-1, SIZE_BUCKETS)
        for group in np.flatnonzero(sizes.any(axis=1)).tolist():
            sum_ = totals["classes"]["bytes"][GROUP_OF_CLASS == group].sum()
            _add_histogram(family, (lease.name, labels.SIZE_GROUPS[group]), sizes[group], sum_)
    return family


def _add_histogram(
    family: HistogramMetricFamily, name: tuple[str, ...], counts: Records, sum_: int
) -> None:
    cumulated = np.cumsum(counts).tolist()
    family.add_metric(name, buckets=list(zip(BUCKETS, cumulated, strict=True)), sum_value=int(sum_))
