"""Families of the traffic, written for each scrape from one snapshot of the totals."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from pktexp.interfaces.totals import NO_HOOK, Snapshot, Totals
from pktexp.metrics.births import Births
from pktexp.metrics.exposition import Family, counter, gauge, histogram, label, write
from pktexp.metrics.packets import packet_families
from pktexp.metrics.series import SiteLabels, series_of, site_labels
from pktexp.packet import labels
from pktexp.packet.enums import Direction, IpClass, LinkClass, PacketClass
from pktexp.packet.records import SIZE_BOUNDS

UNITS = ("packets", "bytes")
BUCKETS = (*(str(float(bound)) for bound in SIZE_BOUNDS), "+Inf")
GROUP_OF_CLASS = np.array([labels.size_group(c) for c in labels.PACKET_CLASSES])
# Protocols that have a series once an interface carries their IP version, by its first class.
COMMON = {
    PacketClass.IPV4: [PacketClass.IPV4 + c for c in (IpClass.TCP, IpClass.UDP, IpClass.ICMP)],
    PacketClass.IPV6: [PacketClass.IPV6 + c for c in (IpClass.TCP, IpClass.UDP, IpClass.ICMPV6)],
}
PROTOCOLS = [
    f"{label('protocol', protocol)},{label('ip_version', version)}"
    for protocol, version in labels.PACKET_CLASSES.values()
]


class TrafficPage:
    """Writes all families of the traffic but those of the flows."""

    def __init__(self, interfaces: Totals, since: float | None = None, legacy: bool = True) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown.

        `legacy`: write packet-exporter's families, too.
        """
        self._interfaces = interfaces
        self._legacy = legacy
        self._births = Births(since)

    def __call__(self, openmetrics: bool) -> str:
        """Write the families as they are now, in OpenMetrics or the text format."""
        now = time.time()
        found = families(self._interfaces.snapshot(), self._legacy)
        return write(self._births.dated(found, now), openmetrics)


def families(snapshot: Snapshot, legacy: bool = True) -> Iterator[Family]:
    """Yield every family, in the order of the page; `legacy`: packet-exporter's, too."""
    sites = site_labels(snapshot)
    active = set(np.flatnonzero(snapshot.totals[..., 0].any(axis=1)).tolist())
    busy = {site: text for site, text in sites.items() if site[0] in active}
    yield from traffic(snapshot, sites)
    yield packet_sizes(snapshot, busy)
    yield from packet_families(snapshot, busy)
    yield from lost_events(snapshot, busy)
    yield attached(snapshot)
    if legacy:
        yield total_packets(snapshot)
        yield total_throughput(snapshot)


def traffic(snapshot: Snapshot, sites: SiteLabels) -> Iterator[Family]:
    """Yield packets and bytes by protocol: those seen and, also at 0, "other" and common ones.

    Common are TCP, UDP and ICMP of each IP version that the interface carries, so that their first
    packets show as an increase.
    """
    classes = snapshot.classes
    shown = classes[..., 0] > 0
    shown[:, snapshot.directions, LinkClass.OTHER] = True
    for version, common in COMMON.items():
        carried = np.flatnonzero(shown[..., version : version + len(IpClass)].any(axis=(1, 2)))
        for direction in snapshot.directions:
            shown[carried[:, None], direction, common] = True
    packets = series_of(sites, classes[..., 0], PROTOCOLS, shown)
    yield counter("pktexp_packets", "Packets on an interface, counted in the kernel.", packets)
    bytes_ = series_of(sites, classes[..., 1], PROTOCOLS, shown)
    text = "Bytes on the wire without FCS, link-layer header included."
    yield counter("pktexp_bytes", text, bytes_)


def packet_sizes(snapshot: Snapshot, sites: SiteLabels) -> Family:
    """Build the histograms of packet sizes, whole from an interface's first packet on."""
    counts, totals = snapshot.sizes.sum(axis=2).tolist(), snapshot.totals.tolist()
    series = ((text, counts[row][d], totals[row][d][1]) for (row, d), text in sites.items())
    text = "Size of packets on the wire without FCS."
    return histogram("pktexp_packet_size_bytes", text, BUCKETS, series)


def lost_events(snapshot: Snapshot, sites: SiteLabels) -> Iterator[Family]:
    """Yield packets and bytes that are in the totals but in no flow.

    They are there, at 0, from an interface's first packet on.
    """
    lost = snapshot.lost.tolist()
    for unit, name in enumerate(UNITS):
        text = (
            f"{name.capitalize()} counted in totals but missing from flows "
            "because a ring buffer was full."
        )
        series = ((labels_, lost[row][d][unit]) for (row, d), labels_ in sites.items())
        yield counter(f"pktexp_event_lost_{name}", text, series)


def attached(snapshot: Snapshot) -> Family:
    """Build the gauge of hooks: 1 where a program is attached, 0 with hook="none" elsewhere."""
    series = []
    for (name, direction), hook in snapshot.hooks.items():
        way = labels.DIRECTIONS[direction]
        text = f'{label("interface", name)},direction="{way}",hook="{hook}"'
        series.append((text, int(hook != NO_HOOK)))
    text = "Whether an interface that should be counted is, and at which hook."
    return gauge("pktexp_interface_attached", text, series)


def total_packets(snapshot: Snapshot) -> Family:
    """Build packet-exporter's `total_packets`; of unknown type, as the name is no counter's."""
    packets = snapshot.totals[:, Direction.INGRESS, 0].tolist()
    names = [label("interface", lease.name) for lease in snapshot.leases]
    text = "Packets received on an interface (only grows)."
    return gauge("total_packets", text, zip(names, packets, strict=True), "unknown")


def total_throughput(snapshot: Snapshot) -> Family:
    """Build packet-exporter's `total_throughput`: sizes of received packets by size group."""
    sizes = snapshot.sizes[:, Direction.INGRESS]
    bytes_ = snapshot.classes[:, Direction.INGRESS, :, 1]
    sums = np.stack(
        [bytes_[:, GROUP_OF_CLASS == g].sum(axis=1) for g in labels.SIZE_GROUPS], axis=1
    )
    series = []
    for row, group in np.argwhere(sizes.any(axis=2)).tolist():
        name = label("interface", snapshot.leases[row].name)
        text = f'{name},protocol="{labels.SIZE_GROUPS[group]}"'
        series.append((text, sizes[row, group].tolist(), int(sums[row, group])))
    text = "Size in bytes of packets received on an interface."
    return histogram("total_throughput", text, BUCKETS, series)
