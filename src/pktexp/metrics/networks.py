"""The families of named networks as text (exposition.py), beside flowpage.py."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pktexp.flows.networksums import INTERFACE_CLASSES, NetworkSums, Sums
from pktexp.interfaces.sources import Totals
from pktexp.interfaces.totals import Snapshot
from pktexp.metrics.exposition import counter, label, write
from pktexp.packet.labels import DIRECTIONS

FAMILIES = {
    "packets": "Packets from one named network to another.",
    "bytes": "Bytes from one named network to another.",
}


class NetworkPage:
    """Both families; what no record told of is between `other` and `other`."""

    def __init__(
        self, interfaces: Totals, sums: NetworkSums, classes: npt.NDArray[np.uint8]
    ) -> None:
        self._interfaces = interfaces
        self._sums = sums
        self._classes = classes
        self._lost: dict[int, Sums] = {}
        self._lost_before = np.zeros((len(INTERFACE_CLASSES), len(DIRECTIONS), 2), np.uint64)

    def __call__(self, openmetrics: bool) -> str:
        """In either of Prometheus's formats. Sums are taken before the totals: never ahead."""
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
        return write(families, openmetrics)

    def _lost_events(self, snapshot: Snapshot) -> Sums:
        """(class, direction, packets or bytes): also of interfaces whose counters have ended."""
        lost = snapshot.totals["lost"]
        now = {}
        for row, lease in enumerate(snapshot.leases):
            of_class = np.zeros_like(self._lost_before)
            of_class[self._classes[lease.slot]] = np.stack(
                [lost[row]["packets"], lost[row]["bytes"]], axis=-1
            )
            now[lease.id] = of_class
        for ended in self._lost.keys() - now.keys():
            self._lost_before += self._lost[ended]
        self._lost = now
        return sum(now.values(), self._lost_before.copy())


def _text(names: tuple[str, ...], kind: int, direction: int, source: int, dest: int) -> str:
    ends = f"{label('dest_network', names[dest])},{label('source_network', names[source])}"
    return f'class="{INTERFACE_CLASSES[kind]}",direction="{DIRECTIONS[direction]}",{ends}'
