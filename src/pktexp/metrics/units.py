"""Families of traffic by cgroup, with its systemd unit, container and pod."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pktexp.kubernetes.pods import NO_POD, Pod, PodTable
from pktexp.metrics.births import Births
from pktexp.metrics.exposition import Series, counter, label, write
from pktexp.packet import labels
from pktexp.packet.records import U64
from pktexp.units.drops import UnitDrops
from pktexp.units.ledger import Ledger
from pktexp.units.names import Names, names_of, readable

FAMILIES = (
    ("pktexp_cgroup_packets", "IP packets that the sockets of a cgroup sent or received."),
    ("pktexp_cgroup_bytes", "Bytes of IP packets that the sockets of a cgroup sent or received."),
)


class UnitPage:
    """Writes packets and bytes by cgroup and direction; the others have the cgroup `other`."""

    def __init__(self, ledger: Ledger, pods: PodTable | None, since: float | None = None) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown."""
        self._ledger = ledger
        self._pods = pods
        self._births = Births(since)

    def __call__(self, openmetrics: bool) -> str:
        """Write the families."""
        now = time.time()
        snapshot = self._ledger.snapshot()
        pods = self._pods.by_uid if self._pods else {}
        cgroups = [cgroup_labels(lease.path, pods) for lease in snapshot.leases]
        cgroups.append(cgroup_labels(labels.OTHER, pods))
        families = [
            counter(name, text, _series(cgroups, snapshot.counts[..., unit]))
            for unit, (name, text) in enumerate(FAMILIES)
        ]
        return write(self._births.dated(families, now), openmetrics)


class UnitDropPage:
    """Writes dropped packets by cgroup and reason; a series appears with its first packet."""

    def __init__(self, drops: UnitDrops, pods: PodTable | None, since: float | None = None) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown."""
        self._drops = drops
        self._pods = pods
        self._births = Births(since)

    def __call__(self, openmetrics: bool) -> str:
        """Write the family."""
        now = time.time()
        pods = self._pods.by_uid if self._pods else {}
        series = [
            (f"{cgroup_labels(path, pods)},{label('reason', reason)}", packets)
            for (path, reason), packets in self._drops.read().items()
        ]
        text = "Packets of a cgroup's sockets that the kernel dropped, by its own reason."
        family = counter("pktexp_cgroup_dropped_packets", text, series)
        return write(self._births.dated([family], now), openmetrics)


def cgroup_labels(path: str, pods: Mapping[str, Pod]) -> str:
    """Write the labels of a cgroup, or of the others; `pods` by uid."""
    names = names_of(path)
    return _labels(readable(path), names, pods.get(names.pod_uid, NO_POD))


def _labels(cgroup: str, names: Names, pod: Pod) -> str:
    values = {
        "cgroup": cgroup,
        "unit": names.unit,
        "container": names.container,
        "pod_namespace": pod.namespace,
        "pod": pod.name,
    }
    return ",".join(label(name, value) for name, value in values.items())


def _series(cgroups: list[str], counts: U64) -> list[Series]:
    """Return a series for each cgroup and direction, from `counts` (cgroup, direction)."""
    return [
        (f'{cgroup},direction="{labels.DIRECTIONS[direction]}"', value)
        for cgroup, values in zip(cgroups, counts.tolist(), strict=True)
        for direction, value in enumerate(values)
    ]
