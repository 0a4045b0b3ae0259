"""The flow families as text (exposition.py), beside metrics.py.

A flow's labels never change, so they are written once, for as long as the flow is shown.
"""

from __future__ import annotations

import itertools

from pktexp import labels
from pktexp.exposition import counter, label, write
from pktexp.flowlabels import flow_labels, raw_keys
from pktexp.interfaces import Snapshot
from pktexp.kernel.records import Records
from pktexp.others import Tally
from pktexp.sources import Flows, Totals

FAMILIES = {
    "packets": "Packets of the heaviest flows; the rest as other.",
    "bytes": "Bytes of the heaviest flows; the rest as other.",
}

Rows = dict[str, tuple[int, int]]
"""labels as text -> packets, bytes"""


class FlowPage:
    """The heaviest flows one by one, and for each interface all else, lost events included."""

    def __init__(self, interfaces: Totals, flows: Flows) -> None:
        self._interfaces = interfaces
        self._flows = flows
        self._labels: dict[bytes, str] = {}

    def __call__(self, openmetrics: bool) -> str:
        """Both families in either of Prometheus's formats."""
        rows = self._rows()
        families = [
            counter(
                f"pktexp_flow_{field}", text, ((flow, sums[unit]) for flow, sums in rows.items())
            )
            for unit, (field, text) in enumerate(FAMILIES.items())
        ]
        return write(families, openmetrics)

    def _rows(self) -> Rows:
        """Flows are taken before the totals, and so are never ahead of them."""
        flows = self._flows.snapshot(self._interfaces.lease_names())
        snapshot = self._interfaces.snapshot()
        sums = zip(flows.packets.tolist(), flows.bytes.tolist(), strict=True)
        rows = dict(zip(self._texts(flows.keys, snapshot), sums, strict=True))
        rows.pop("", None)
        sites = itertools.product(enumerate(snapshot.leases), snapshot.directions)
        for (row, lease), direction in sites:
            rest = flows.others.get((lease.id, direction), Tally())
            lost = snapshot.totals["lost"][row, direction]
            text = _text(lease.name, labels.DIRECTIONS[direction], *[labels.OTHER] * 3)
            rows[text] = rest.packets + int(lost["packets"]), rest.bytes + int(lost["bytes"])
        return rows

    def _texts(self, keys: Records, snapshot: Snapshot) -> list[str]:
        """Each key's labels; "" where its interface is no more."""
        names = {lease.id: lease.name for lease in snapshot.leases}
        known = self._labels
        self._labels = {key: known.get(key) or _key_text(key, names) for key in raw_keys(keys)}
        return list(self._labels.values())


def _key_text(raw: bytes, names: dict[int, str]) -> str:
    flow = flow_labels(raw, names)
    return _text(*flow) if flow else ""


def _text(interface: str, direction: str, protocol: str, source: str, dest: str) -> str:
    name = label("interface", interface)  # the others have nothing to escape
    return f'dest="{dest}",direction="{direction}",{name},protocol="{protocol}",source="{source}"'
