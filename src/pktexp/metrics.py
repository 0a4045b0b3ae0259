"""Prometheus families of the traffic, from interfaces.py; served by web/.

`TrafficCollector` goes into a registry that is passed in. What packets are beside their protocol is
in packetmetrics.py, the flows in flowpage.py, what the exporter says of itself in selfmetrics.py;
docs/metrics.md describes each family.
"""

from __future__ import annotations

import itertools
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
from pktexp.kernel.enums import Direction, LinkClass
from pktexp.kernel.records import SIZE_BOUNDS, SIZE_BUCKETS, Records
from pktexp.packetmetrics import packet_families
from pktexp.sources import Totals

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
        yield from packet_families(snapshot)
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
    shown[:, snapshot.directions, LinkClass.OTHER] = True
    for row, direction, packet_class in np.argwhere(shown).tolist():
        tally = snapshot.totals["classes"][row, direction, packet_class]
        labels_of_class = labels.CLASSES[packet_class]
        name = (snapshot.leases[row].name, labels.DIRECTIONS[direction], *labels_of_class)
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
    sizes = snapshot.totals["sizes"]
    counts = sizes.reshape(*sizes.shape[:2], -1, SIZE_BUCKETS).sum(axis=2)
    bytes_ = snapshot.totals["classes"]["bytes"].sum(axis=2)
    for row, direction in sites(snapshot):
        name = (snapshot.leases[row].name, labels.DIRECTIONS[direction])
        _add_histogram(family, name, counts[row, direction], int(bytes_[row, direction]))
    return family


def lost_events(snapshot: Snapshot) -> Iterator[Metric]:
    """Packets that are in the totals but found no room in a ring buffer, also at 0."""
    for field in ("packets", "bytes"):
        family = CounterMetricFamily(
            f"pktexp_event_lost_{field}",
            f"{field.capitalize()} in the totals that no flow was told of: the ring was full.",
            labels=("interface", "direction"),
        )
        for row, direction in sites(snapshot):
            name = (snapshot.leases[row].name, labels.DIRECTIONS[direction])
            family.add_metric(name, int(snapshot.totals["lost"][field][row, direction]))
        yield family


def attached(snapshot: Snapshot) -> Metric:
    """1 for a hook that an interface is counted at; 0 and hook="none" where none could be had."""
    family = GaugeMetricFamily(
        "pktexp_interface_attached",
        "Whether an interface that should be counted is, and at which hook.",
        labels=("interface", "direction", "hook"),
    )
    for (name, direction), hook in snapshot.hooks.items():
        family.add_metric((name, labels.DIRECTIONS[direction], hook), int(hook != NO_HOOK))
    return family


def total_packets(snapshot: Snapshot) -> Metric:
    """Under packet-exporter's name, which is no counter's name: hence of unknown type."""
    family = UnknownMetricFamily(
        "total_packets", "Packets received on an interface (only grows).", labels=("interface",)
    )
    for lease, totals in zip(snapshot.leases, received(snapshot), strict=True):
        family.add_metric((lease.name,), int(totals["classes"]["packets"].sum()))
    return family


def total_throughput(snapshot: Snapshot) -> Metric:
    """Under packet-exporter's name: sizes of packets received, by those groups that were seen."""
    family = HistogramMetricFamily(
        "total_throughput",
        "Size in bytes of packets received on an interface.",
        labels=("interface", "protocol"),
    )
    for lease, totals in zip(snapshot.leases, received(snapshot), strict=True):
        sizes = totals["sizes"].reshape(-1, SIZE_BUCKETS)
        for group in np.flatnonzero(sizes.any(axis=1)).tolist():
            sum_ = totals["classes"]["bytes"][GROUP_OF_CLASS == group].sum()
            _add_histogram(family, (lease.name, labels.SIZE_GROUPS[group]), sizes[group], sum_)
    return family


def sites(snapshot: Snapshot) -> Iterator[tuple[int, Direction]]:
    """Row and direction of all totals that count."""
    return itertools.product(range(len(snapshot.leases)), snapshot.directions)


def received(snapshot: Snapshot) -> Records:
    """Totals of ingress alone."""
    totals: Records = snapshot.totals[:, Direction.INGRESS]
    return totals


def _add_histogram(
    family: HistogramMetricFamily, name: tuple[str, ...], counts: Records, sum_: int
) -> None:
    cumulated = np.cumsum(counts).tolist()
    family.add_metric(name, buckets=list(zip(BUCKETS, cumulated, strict=True)), sum_value=int(sum_))
