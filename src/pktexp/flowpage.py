"""The flow families as text (exposition.py), beside metrics.py.

A flow's labels change only with the pods (kubernetes/pods.py), so they are written once, for as
long as the flow is shown and the pods stay as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from pktexp import labels
from pktexp.exposition import counter, label, write
from pktexp.kernel.records import FLOW_KEY, Records
from pktexp.kubernetes.pods import NOBODY, Pod, PodTable
from pktexp.others import Tally
from pktexp.snapshot import Snapshot
from pktexp.sources import Flows, Totals

FAMILIES = {
    "packets": "Packets of the heaviest flows; the rest as other.",
    "bytes": "Bytes of the heaviest flows; the rest as other.",
}
KEY = FLOW_KEY.itemsize

Owners = Mapping[bytes, Pod] | None
"""pods by address; None if they are not to be told"""
Rows = dict[str, tuple[int, int]]
"""labels as text -> packets, bytes"""


class FlowPage:
    """The heaviest flows one by one, and for each interface all else, lost events included.

    With `pods`, whose address it is, too.
    """

    def __init__(self, interfaces: Totals, flows: Flows, pods: PodTable | None = None) -> None:
        self._interfaces = interfaces
        self._flows = flows
        self._pods = pods
        self._written: tuple[Owners, dict[bytes, str]] = (None, {})

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
        owners = self._pods.by_address if self._pods else None
        flows = self._flows.snapshot(self._interfaces.lease_names())
        snapshot = self._interfaces.snapshot()
        sums = zip(flows.packets.tolist(), flows.bytes.tolist(), strict=True)
        rows = dict(zip(self._texts(flows.keys, snapshot, owners), sums, strict=True))
        rows.pop("", None)
        sites = itertools.product(enumerate(snapshot.leases), snapshot.directions)
        for (row, lease), direction in sites:
            rest = flows.others.get((lease.id, direction), Tally())
            lost = snapshot.totals["lost"][row, direction]
            text = _text(lease.name, labels.DIRECTIONS[direction], *[labels.OTHER] * 3)
            text += _pods_text(owners, b"", b"")
            rows[text] = rest.packets + int(lost["packets"]), rest.bytes + int(lost["bytes"])
        return rows

    def _texts(self, keys: Records, snapshot: Snapshot, owners: Owners) -> list[str]:
        """Each key's labels; "" where its interface is no more."""
        names = {lease.id: lease.name for lease in snapshot.leases}
        raw, (before, known) = keys.tobytes(), self._written
        if before is not owners:
            known = {}
        wanted = [raw[at : at + KEY] for at in range(0, len(raw), KEY)]
        texts = {key: known.get(key) or _key_text(key, names, owners) for key in wanted}
        self._written = owners, texts
        return list(texts.values())


def _key_text(raw: bytes, names: dict[int, str], owners: Owners) -> str:
    key = np.frombuffer(raw, FLOW_KEY)[0]
    name = names.get(int(key["interface"]))
    if name is None:
        return ""
    protocol, _ = labels.CLASSES[int(key["packet_class"])]
    direction = labels.DIRECTIONS[int(key["direction"])]
    text = _text(name, direction, protocol, *labels.endpoints(key))
    return text + _pods_text(owners, *labels.addresses(key))


def _text(interface: str, direction: str, protocol: str, source: str, dest: str) -> str:
    name = label("interface", interface)  # the others have nothing to escape
    return f'dest="{dest}",direction="{direction}",{name},protocol="{protocol}",source="{source}"'


def _pods_text(owners: Owners, source: bytes, dest: bytes) -> str:
    """Whose addresses they are, to be appended; empty labels where they are no pod's."""
    if owners is None:
        return ""
    ends = {"source": owners.get(source, NOBODY), "dest": owners.get(dest, NOBODY)}
    return "".join(
        f",{label(f'{end}_namespace', pod.namespace)},{label(f'{end}_pod', pod.name)}"
        for end, pod in ends.items()
    )
