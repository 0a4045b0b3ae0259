"""Families of the traffic between named networks, written for each scrape."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from pktexp.flows.networksums import INTERFACE_CLASSES, NetworkSums, Sums
from pktexp.interfaces.totals import Snapshot, Totals
from pktexp.metrics.births import Births
from pktexp.metrics.exposition import counter, label, write
from pktexp.packet.labels import DIRECTIONS

FAMILIES = {
    "packets": "Packets from one named network to another.",
    "bytes": "Bytes from one named network to another.",
}


class NetworkPage:
    """Writes both families; packets missing from the records are from `other` to `other`."""

    def __init__(
        self,
        interfaces: Totals,
        sums: NetworkSums,
        classes: npt.NDArray[np.uint8],
        since: float | None = None,
    ) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown."""
        self._births = Births(since)
        self._interfaces = interfaces
        self._sums = sums
        self._classes = classes
        self._lost: dict[int, Sums] = {}
        self._lost_before = np.zeros((len(INTERFACE_CLASSES), len(DIRECTIONS), 2), np.uint64)

    def __call__(self, openmetrics: bool) -> str:
        """Write the families; sums are read before the totals, so that they are never ahead."""
        now = time.time()
        names, sums = self._sums.snapshot()
        sums[:, :, 0, 0] += self._lost_events(self._interfaces.snapshot())
        shown = np.argwhere(sums[..., 0] > 0).tolist()
        texts = [_text(names, *place) for place in shown]
        families = [
            counter(
                f"pktexp_network_{field}",
                text,
                zip(texts, (int(sums[(*place, unit)]) for place in shown), strict=True),
            )
            for unit, (field, text) in enumerate(FAMILIES.items())
        ]
        return write(self._births.dated(families, now), openmetrics)

    def _lost_events(self, snapshot: Snapshot) -> Sums:
        """Sum lost packets and bytes: (class, direction, unit), also of ended leases."""
        now = {}
        for lease, lost in zip(snapshot.leases, snapshot.lost, strict=True):
            of_class = np.zeros_like(self._lost_before)
            of_class[self._classes[lease.slot]] = lost
            now[lease.id] = of_class
        for ended in self._lost.keys() - now.keys():
            self._lost_before += self._lost[ended]
        self._lost = now
        return sum(now.values(), self._lost_before.copy())


def _text(names: tuple[str, ...], kind: int, direction: int, source: int, dest: int) -> str:
    ends = f"{label('dest_network', names[dest])},{label('source_network', names[source])}"
    return f'class="{INTERFACE_CLASSES[kind]}",direction="{DIRECTIONS[direction]}",{ends}'
