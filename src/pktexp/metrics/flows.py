"""Flow families, written for each scrape; the labels of a flow are written once."""

from __future__ import annotations

import itertools
import time

from pktexp.flows.keylabels import FlowLabels, Names, Owners, Remembered, flow_labels, raw_keys
from pktexp.flows.others import Tally
from pktexp.flows.table import Flows
from pktexp.interfaces.totals import Snapshot, Totals
from pktexp.kubernetes.pods import PodTable
from pktexp.metrics.births import Births
from pktexp.metrics.exposition import counter, label, write
from pktexp.packet import labels
from pktexp.packet.records import Records

FAMILIES = {
    "packets": "Packets of the largest flows; the rest as other.",
    "bytes": "Bytes of the largest flows; the rest as other.",
}

Rows = dict[str, tuple[int, int]]
"""labels as text -> packets, bytes"""


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
        self._interfaces = interfaces
        self._flows = flows
        self._pods = pods
        self._written = Remembered(_key_text)

    def __call__(self, openmetrics: bool) -> str:
        """Write both families in OpenMetrics or the text format."""
        now, rows = time.time(), self._rows()
        families = [
            counter(
                f"pktexp_flow_{field}", text, ((flow, sums[unit]) for flow, sums in rows.items())
            )
            for unit, (field, text) in enumerate(FAMILIES.items())
        ]
        return write(self._births.dated(families, now), openmetrics)

    def _rows(self) -> Rows:
        """Read the flows, then the totals, so that flows are never ahead of totals."""
        owners = self._pods.by_address if self._pods else None
        flows = self._flows.snapshot(self._interfaces.lease_names())
        snapshot = self._interfaces.snapshot()
        sums = zip(flows.packets.tolist(), flows.bytes.tolist(), strict=True)
        rows = dict(zip(self._texts(flows.keys, snapshot, owners), sums, strict=True))
        rows.pop("", None)
        sites = itertools.product(
            zip(snapshot.leases, snapshot.lost.tolist(), strict=True), snapshot.directions
        )
        for (lease, lost), direction in sites:
            rest = flows.others.get((lease.id, direction), Tally())
            other = FlowLabels(lease.name, labels.DIRECTIONS[direction], *[labels.OTHER] * 3)
            packets, bytes_ = lost[direction]
            rows[_text(other, owners)] = rest.packets + packets, rest.bytes + bytes_
        return rows

    def _texts(self, keys: Records, snapshot: Snapshot, owners: Owners) -> list[str]:
        """Return the labels of each key; "" where its interface's lease has ended."""
        names = {lease.id: lease.name for lease in snapshot.leases}
        return list(self._written(raw_keys(keys), names, owners).values())


def _key_text(raw: bytes, names: Names, owners: Owners) -> str:
    flow = flow_labels(raw, names, owners)
    return "" if flow is None else _text(flow, owners)


def _text(flow: FlowLabels, owners: Owners) -> str:
    """Write the labels of a flow, with those of pods unless `owners` is None."""
    texts = (
        f'dest="{flow.dest}"',
        f'direction="{flow.direction}"',
        label("interface", flow.interface),  # the others have nothing to escape
        f'protocol="{flow.protocol}"',
        f'source="{flow.source}"',
        *(() if owners is None else (label(*pair) for pair in flow.pods.items())),
    )
    return ",".join(texts)
