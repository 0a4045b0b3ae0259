"""Prometheus families of the traffic, from interfaces.py; served by web/.

What packets are beside their protocol is in packetmetrics.py, the flows in flowpage.py, what the
exporter says of itself in selfmetrics.py; docs/metrics.md describes each family.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pktexp.interfaces.sources import Totals
from pktexp.interfaces.totals import NO_HOOK, Snapshot
from pktexp.metrics.exposition import Family, counter, gauge, histogram, label, write
from pktexp.metrics.packets import Sites, packet_families, rows_of, sites_of
from pktexp.packet import labels
from pktexp.packet.enums import Direction, LinkClass, SizeGroup
from pktexp.packet.records import SIZE_BOUNDS, SIZE_BUCKETS, Records

BUCKETS = (*(str(float(bound)) for bound in SIZE_BOUNDS), "+Inf")
GROUP_OF_CLASS = np.array([labels.size_group(c) for c in labels.PACKET_CLASSES])
CLASS_LABELS = [
    f"{label('protocol', protocol)},{label('ip_version', version)}"
    for protocol, version in labels.PACKET_CLASSES.values()
]


class TrafficPage:
    """All families of the traffic but those of the flows."""

    def __init__(self, interfaces: Totals) -> None:
        self._interfaces = interfaces

    def __call__(self, openmetrics: bool) -> str:
        """As they are now, in either of Prometheus's formats."""
        return write(families(self._interfaces.snapshot()), openmetrics)


def families(snapshot: Snapshot) -> Iterator[Family]:
    """All of them."""
    sites = sites_of(snapshot)
    yield from traffic(snapshot, sites)
    yield packet_sizes(snapshot, sites)
    yield from packet_families(snapshot, sites)
    yield from lost_events(snapshot, sites)
    yield attached(snapshot)
    yield total_packets(snapshot)
    yield total_throughput(snapshot)


def traffic(snapshot: Snapshot, sites: Sites) -> Iterator[Family]:
    """Packets and bytes by protocol: what has been seen, and "other" also at 0."""
    tallies = snapshot.totals["classes"]
    shown = tallies["packets"] > 0
    shown[:, snapshot.directions, LinkClass.OTHER] = True
    packets = rows_of(sites, tallies["packets"], CLASS_LABELS, shown)
    yield counter("pktexp_packets", "Packets on an interface, counted in the kernel.", packets)
    bytes_ = rows_of(sites, tallies["bytes"], CLASS_LABELS, shown)
    text = "Bytes on the wire without FCS, link-layer header included."
    yield counter("pktexp_bytes", text, bytes_)


def packet_sizes(snapshot: Snapshot, sites: Sites) -> Family:
    """Sizes of all packets on an interface."""
    sizes = snapshot.totals["sizes"]
    counts = sizes.reshape(*sizes.shape[:2], len(SizeGroup), SIZE_BUCKETS).sum(axis=2).tolist()
    bytes_ = snapshot.totals["classes"]["bytes"].sum(axis=2).tolist()
    rows = ((text, counts[row][d], bytes_[row][d]) for (row, d), text in sites.items())
    text = "Size of packets on the wire without FCS."
    return histogram("pktexp_packet_size_bytes", text, BUCKETS, rows)


def lost_events(snapshot: Snapshot, sites: Sites) -> Iterator[Family]:
    """Packets that are in the totals but found no room in a ring buffer, also at 0."""
    for field in ("packets", "bytes"):
        amounts = snapshot.totals["lost"][field].tolist()
        text = f"{field.capitalize()} in the totals that no flow was told of: the ring was full."
        rows = ((text, amounts[row][direction]) for (row, direction), text in sites.items())
        yield counter(f"pktexp_event_lost_{field}", text, rows)


def attached(snapshot: Snapshot) -> Family:
    """1 for a hook that an interface is counted at; 0 and hook="none" where none could be had."""
    rows = []
    for (name, direction), hook in snapshot.hooks.items():
        way = labels.DIRECTIONS[direction]
        text = f'{label("interface", name)},direction="{way}",hook="{hook}"'
        rows.append((text, int(hook != NO_HOOK)))
    text = "Whether an interface that should be counted is, and at which hook."
    return gauge("pktexp_interface_attached", text, rows)


def total_packets(snapshot: Snapshot) -> Family:
    """Under packet-exporter's name, which is no counter's name: hence of unknown type."""
    packets = received(snapshot)["classes"]["packets"].sum(axis=1).tolist()
    names = [label("interface", lease.name) for lease in snapshot.leases]
    rows = zip(names, packets, strict=True)
    return gauge("total_packets", "Packets received on an interface (only grows).", rows, "unknown")


def total_throughput(snapshot: Snapshot) -> Family:
    """Under packet-exporter's name: sizes of packets received, by those groups that were seen."""
    totals = received(snapshot)
    sizes = totals["sizes"].reshape(len(totals), len(SizeGroup), SIZE_BUCKETS)
    bytes_ = totals["classes"]["bytes"]
    sums = np.stack(
        [bytes_[:, GROUP_OF_CLASS == g].sum(axis=1) for g in labels.SIZE_GROUPS], axis=1
    )
    rows = []
    for row, group in np.argwhere(sizes.any(axis=2)).tolist():
        name = label("interface", snapshot.leases[row].name)
        text = f'{name},protocol="{labels.SIZE_GROUPS[group]}"'
        rows.append((text, sizes[row, group].tolist(), int(sums[row, group])))
    text = "Size in bytes of packets received on an interface."
    return histogram("total_throughput", text, BUCKETS, rows)


def received(snapshot: Snapshot) -> Records:
    """Totals of ingress alone."""
    totals: Records = snapshot.totals[:, Direction.INGRESS]
    return totals
