"""The API's document of flows: the largest ones that match a query, as flows or conversations."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pktexp.bpf.options import ephemeral_ports
from pktexp.flows.keylabels import FlowLabels, Remembered, flow_labels
from pktexp.live import flowtable
from pktexp.live.conversations import conversations, tiers_of
from pktexp.live.flowrows import Rows, added, way
from pktexp.live.flowservices import UNKNOWN, Ends, FlowServices
from pktexp.live.flowtable import Indices, Table
from pktexp.live.interfaces import outside
from pktexp.live.rates import DIGITS, Rates, rates
from pktexp.live.sample import Sample
from pktexp.packet import labels
from pktexp.packet.records import U64

Mask = npt.NDArray[np.bool_]
ALL, CONVERSATIONS = "*", "conversations"


@dataclass(frozen=True)
class Query:
    """The parameters of GET /flows (docs/api.md); "" matches anything."""

    top: int
    sort: str
    interface: str
    direction: str
    protocol: str
    search: str
    view: str


class Flows:
    """Answers queries; keeps the labels of shown flows and the table of the latest sample."""

    def __init__(self, services: FlowServices) -> None:
        self._services = services
        self._remembered = Remembered(flow_labels)
        self._labels: dict[bytes, FlowLabels | None] = {}
        self._table: Table | None = None
        self._ephemeral = ephemeral_ports()

    def __call__(self, samples: Sequence[Sample], query: Query) -> dict[str, Any] | None:
        """Build the document; None with --flows off."""
        if (table := self._of(samples)) is None:
            return None
        wanted = _sites(table.sample, query)
        joined = query.view == CONVERSATIONS
        rows, flows = self._conversations(table, wanted) if joined else self._flows(table, wanted)
        classes = table.keys["packet_class"][flows]
        every = np.arange(len(flows))
        uncounted = outside(table.sample) if joined and query.interface == ALL else wanted
        other = _other(table, uncounted)
        total = added(rows.summed(every), other) if joined else _total(table, wanted)
        found = every[np.isin(classes, _classes(query.protocol))]
        if query.search:
            self._find_services(table, flows)
            found = found[[query.search.lower() in rows.text(row) for row in found.tolist()]]
        found = rows.largest(found, query.sort)
        shown, hidden = found[: query.top], found[query.top :]
        self._find_services(table, flows[shown])
        return {
            "now": table.sample.now,
            "view": query.view,
            "flows": [rows.document(row, query.sort, total) for row in shown.tolist()],
            "matched": len(found),
            "more": {"flows": len(hidden)} | rows.summed(hidden),
            "other": other,
            "total": total,
        }

    def _of(self, samples: Sequence[Sample]) -> Table | None:
        last = samples[-1]
        if self._table is None or self._table.sample is not last:
            self._table = flowtable.read(samples)
            names = {lease.id: lease.name for lease in last.leases}
            raw = self._table.raw if self._table else []
            owners = last.details.owners if last.details else None
            self._labels = self._remembered(raw, names, owners)
        return self._table

    def _flows(self, table: Table, wanted: Mask) -> tuple[Rows, Indices]:
        """Return a row for each flow at the wanted places, and the flow of each row."""
        flows = np.flatnonzero(wanted[table.rows, table.directions])
        growth = None if table.growth is None else table.growth[flows]
        rows = Rows(
            table.sums[flows],
            growth,
            lambda row: self._text(table, int(flows[row])),
            lambda row: (
                self._label(table, int(flows[row]))._asdict()
                | _named(self._ends(table, int(flows[row])))
            ),
        )
        return rows, flows

    def _conversations(self, table: Table, wanted: Mask) -> tuple[Rows, Indices]:
        """Return a row for each conversation at the wanted places, and a flow of each row."""
        flows = np.flatnonzero(wanted[table.rows, table.directions])
        names = [lease.name for lease in table.sample.leases]
        tiers = tiers_of(names, table.sample.links)
        found = conversations(table, flows, tiers, self._ephemeral)

        def document(row: int) -> dict[str, Any]:
            flow = int(found.flows[row])
            forward, ends = bool(found.forward[row]), self._ends(table, flow)
            label = way(self._label(table, flow), table.keys[flow], forward)
            label |= _named(ends if forward else Ends(ends.dest, ends.source))
            return label | {"forward": found.way(row, 0), "backward": found.way(row, 1)}

        rows = Rows(
            found.sums.sum(axis=1),
            None if found.growth is None else found.growth.sum(axis=1),
            lambda row: self._text(table, int(found.flows[row])),
            document,
        )
        return rows, found.flows

    def _label(self, table: Table, flow: int) -> FlowLabels:
        label = self._labels[table.raw[flow]]
        assert label, "the table has flows of leased interfaces only"
        return label

    def _text(self, table: Table, flow: int) -> str:
        label = self._label(table, flow)
        ends = self._ends(table, flow)
        return "\n".join((label.source, label.dest, *label.pods.values(), *ends)).lower()

    def _find_services(self, table: Table, flows: Indices) -> None:
        self._services.find([table.raw[flow] for flow in flows.tolist()])

    def _ends(self, table: Table, flow: int) -> Ends:
        return self._services.known.get(table.raw[flow], UNKNOWN)


def _named(ends: Ends) -> dict[str, str]:
    return {"source_service": ends.source, "dest_service": ends.dest}


def _sites(sample: Sample, query: Query) -> Mask:
    """Return the interfaces and directions that match: (row, direction)."""
    rows = [fnmatch.fnmatchcase(lease.name, query.interface) for lease in sample.leases]
    ways = [
        d in sample.directions and query.direction in ("", name)
        for d, name in labels.DIRECTIONS.items()
    ]
    return np.outer(np.array(rows, np.bool_), np.array(ways, np.bool_))


def _classes(protocol: str) -> list[int]:
    return [c for c, (name, _) in labels.PACKET_CLASSES.items() if protocol in ("", name)]


def _total(table: Table, wanted: Mask) -> Rates:
    """Sum everything at the wanted places."""
    growth = None if table.total is None else table.total[wanted].sum(axis=0).round(DIGITS).tolist()
    return rates(flowtable.totals(table.sample)[wanted].sum(axis=0).tolist(), growth)


def _other(table: Table, wanted: Mask) -> Rates:
    """Sum the part at the wanted places that no flow of the table shows.

    The counters of `other` absorb whole flows that lose their places; its rate is what the flows
    leave of the total.
    """
    sums = _rest(table.sample)[wanted].sum(axis=0).tolist()
    if table.total is None or table.growth is None:
        return rates(sums, None)
    here = wanted[table.rows, table.directions]
    left = table.total[wanted].sum(axis=0) - table.growth[here].sum(axis=0)
    return rates(sums, np.maximum(left, 0).round(DIGITS).tolist())


def _rest(sample: Sample) -> U64:
    """Sum packets and bytes that no flow shows: (row, direction, unit)."""
    rest = sample.lost.copy()
    rows = {lease.id: row for row, lease in enumerate(sample.leases)}
    others = sample.flows.snapshot.others if sample.flows else {}
    for (lease, direction), tally in others.items():
        if lease in rows:
            rest[rows[lease], direction] += np.array((tally.packets, tally.bytes), np.uint64)
    return rest
