"""Flow families, written for each scrape; the labels of a flow are written once."""

from __future__ import annotations

import dataclasses
import itertools
import time

import numpy as np

from pktexp.flows.keylabels import Owners
from pktexp.flows.others import Tally
from pktexp.flows.table import Flows, FlowSnapshot
from pktexp.interfaces.totals import Snapshot, Totals
from pktexp.kubernetes.pods import PodTable
from pktexp.metrics.births import Births
from pktexp.metrics.exposition import Series, counter, write
from pktexp.metrics.flowlabels import other_text
from pktexp.metrics.flowseries import FlowSeries
from pktexp.packet import labels

FAMILIES = {
    "packets": "Packets of the largest flows; the rest as other.",
    "bytes": "Bytes of the largest flows; the rest as other.",
}


class FlowPage:
    """Writes the largest flows one by one, and the rest of each interface as `other`.

    `other` includes the packets of lost events. With `pods`, labels name the pods at both ends.
    """

    def __init__(
        self,
        interfaces: Totals,
        flows: Flows,
        pods: PodTable | None = None,
        since: float | None = None,
    ) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown."""
        self._births = Births(since)
        self._shown = FlowSeries(since)
        self._interfaces = interfaces
        self._flows = flows
        self._pods = pods

    def __call__(self, openmetrics: bool) -> str:
        """Write both families in OpenMetrics or the text format.

        Flows are read before the totals, so that they are never ahead of them.
        """
        now, owners = time.time(), self._pods.by_address if self._pods else None
        flows = self._flows.snapshot(self._interfaces.lease_names())
        snapshot = self._interfaces.snapshot()
        names = {lease.id: lease.name for lease in snapshot.leases}
        flows = flows.take(np.isin(flows.keys["interface"], np.array(list(names), np.uint32)))
        texts, created = self._shown(flows, names, owners, now)
        others = _others(flows, snapshot, owners)
        families = [
            counter(f"pktexp_flow_{field}", text, others[unit])
            for unit, (field, text) in enumerate(FAMILIES.items())
        ]
        sums = flows.packets.tolist(), flows.bytes.tolist()
        return write(
            (
                dataclasses.replace(
                    family,
                    series=[*zip(texts, values, strict=True), *family.series],
                    created=[*created, *family.created],
                )
                for family, values in zip(self._births.dated(families, now), sums, strict=True)
            ),
            openmetrics,
        )


def _others(
    flows: FlowSnapshot, snapshot: Snapshot, owners: Owners
) -> tuple[list[Series], list[Series]]:
    """Return the series of packets and of bytes that no shown flow has, lost ones included."""
    packets: list[Series] = []
    bytes_: list[Series] = []
    sites = itertools.product(
        zip(snapshot.leases, snapshot.lost.tolist(), strict=True), snapshot.directions
    )
    for (lease, lost), direction in sites:
        rest = flows.others.get((lease.id, direction), Tally())
        text = other_text(lease.name, labels.DIRECTIONS[direction], owners)
        packets.append((text, rest.packets + lost[direction][0]))
        bytes_.append((text, rest.bytes + lost[direction][1]))
    return packets, bytes_
