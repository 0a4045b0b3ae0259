"""The API's document of flows: the largest ones that match a query."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pktexp.flows.keylabels import FlowLabels, Remembered, flow_labels, raw_keys
from pktexp.flows.table import FlowSnapshot
from pktexp.live.rates import DIGITS, F64, Rates, base_of, grown, rates
from pktexp.live.sample import Sample
from pktexp.packet import labels
from pktexp.packet.enums import Direction
from pktexp.packet.records import U64

UNITS = ("packets", "bytes")

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Query:
    """The parameters of GET /flows (docs/api.md); "" matches anything."""

    top: int
    sort: str
    interface: str
    direction: str
    protocol: str
    search: str


@dataclass(frozen=True)
class Table:
    """The flows of a sample, in no order: `sums` and `growth` are (flow, unit)."""

    sample: Sample
    flows: FlowSnapshot
    raw: list[bytes]
    sums: U64
    growth: F64 | None


class Flows:
    """Answers queries; keeps the labels of shown flows and the table of the latest sample."""

    def __init__(self) -> None:
        self._remembered = Remembered(flow_labels)
        self._labels: dict[bytes, FlowLabels | None] = {}
        self._table: Table | None = None

    def __call__(self, samples: Sequence[Sample], query: Query) -> dict[str, Any] | None:
        """Build the document; None with --flows off."""
        if (table := self._of(samples)) is None:
            return None
        sites = _sites(samples[-1], query)
        here = _at_sites(table, sites)
        found = np.flatnonzero(here & _of_protocol(table, query.protocol))
        if query.search:
            found = found[[query.search.lower() in self._text(table.raw[i]) for i in found]]
        shown = found[_order(table, query.sort, found)[: query.top]].tolist()
        return {
            "now": samples[-1].now,
            "flows": [self._document(table, row) for row in shown],
            "matched": len(found),
            **_sums(samples, table, sites, here),
        }

    def _of(self, samples: Sequence[Sample]) -> Table | None:
        last = samples[-1]
        if self._table is None or self._table.sample is not last:
            self._table = _table(samples)
            names = {lease.id: lease.name for lease in last.leases}
            raw = self._table.raw if self._table else []
            owners = last.details.owners if last.details else None
            self._labels = self._remembered(raw, names, owners)
        return self._table

    def _text(self, raw: bytes) -> str:
        flow = self._labels[raw]
        return "\n".join((flow.source, flow.dest, *flow.pods.values())).lower() if flow else ""

    def _document(self, table: Table, row: int) -> dict[str, Any]:
        flow = self._labels[table.raw[row]]
        growth = table.growth[row].tolist() if table.growth is not None else None
        texts = flow._asdict() if flow else {}
        return texts | rates(table.sums[row].tolist(), growth)


def _table(samples: Sequence[Sample]) -> Table | None:
    if (flows := _flows(samples[-1])) is None:
        return None
    raw, sums = raw_keys(flows.keys), np.stack((flows.packets, flows.bytes), axis=-1)
    base, elapsed = base_of(samples, _with_flows)
    growth = None
    if base is not None and (earlier := _flows(base)) is not None:
        growth = np.round((sums - _then(raw, sums, earlier)) / elapsed, DIGITS)
    return Table(samples[-1], flows, raw, sums, growth)


def _with_flows(sample: Sample) -> bool:
    return _flows(sample) is not None


def _flows(sample: Sample) -> FlowSnapshot | None:
    return sample.details.flows if sample.details else None


def _then(raw: list[bytes], sums: U64, earlier: FlowSnapshot) -> U64:
    """Return earlier sums of the flows; 0 where a flow was not shown or lost its place since."""
    rows = {key: row for row, key in enumerate(raw_keys(earlier.keys))}
    at = np.array([rows.get(key, -1) for key in raw], np.intp)
    then = np.zeros_like(sums)
    then[at >= 0] = np.stack((earlier.packets, earlier.bytes), axis=-1)[at[at >= 0]]
    then[(then > sums).any(axis=1)] = 0
    return then


def _sites(last: Sample, query: Query) -> list[tuple[int, Direction]]:
    """Return the rows of leases, and directions, that match the query."""
    rows = [r for r, x in enumerate(last.leases) if fnmatch.fnmatchcase(x.name, query.interface)]
    wanted = [d for d in last.directions if query.direction in ("", labels.DIRECTIONS[d])]
    return [(row, direction) for row in rows for direction in wanted]


def _at_sites(table: Table, sites: list[tuple[int, Direction]]) -> Mask:
    ids = {table.sample.leases[row].id for row, _ in sites}
    keys = table.flows.keys
    mask: Mask = np.isin(keys["interface"], list(ids))
    mask &= np.isin(keys["direction"], [direction for _, direction in sites])
    return mask


def _of_protocol(table: Table, protocol: str) -> Mask:
    wanted = [c for c, (name, _) in labels.PACKET_CLASSES.items() if protocol in ("", name)]
    mask: Mask = np.isin(table.flows.keys["packet_class"], wanted)
    return mask


def _order(table: Table, sort: str, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Sort by the wanted field, largest first; ties, and flows without rates, by totals."""
    unit = UNITS.index(sort.removesuffix("_per_second"))
    sums = table.sums[rows, unit].astype(np.float64)
    first = sums
    if sort.endswith("_per_second") and table.growth is not None:
        first = table.growth[rows, unit]
    return np.lexsort((-sums, -first))


def _sums(
    samples: Sequence[Sample], table: Table, sites: list[tuple[int, Direction]], here: Mask
) -> dict[str, Rates]:
    """Sum everything at the matching rows and directions, and the part that no flow shows.

    The counters of `other` absorb whole flows that lose their places, so its rate is at most what
    the shown flows leave of the total. It is also at most the growth of its counters, since flows
    are read a moment before the totals.
    """
    at = tuple(np.array(sites, np.intp).reshape(-1, 2).T)
    every, left = (_growth(samples, of, at) for of in (_total, _rest))
    total, rest = (of(samples[-1])[at].sum(axis=0).tolist() for of in (_total, _rest))
    if every is None or left is None or table.growth is None:
        return {"other": rates(rest, None), "total": rates(total, None)}
    left = np.clip(every - table.growth[here].sum(axis=0), 0, left)
    growth = [np.round(part, DIGITS).tolist() for part in (left, every)]
    return {"other": rates(rest, growth[0]), "total": rates(total, growth[1])}


def _growth(
    samples: Sequence[Sample], of: Callable[[Sample], U64], at: tuple[npt.NDArray[np.intp], ...]
) -> F64 | None:
    growth = grown(samples, of, _with_flows)
    return None if growth is None else growth[at].sum(axis=0)


def _total(sample: Sample) -> U64:
    """Sum over packet classes: (row, direction, unit)."""
    total: U64 = sample.classes.sum(axis=2)
    return total


def _rest(sample: Sample) -> U64:
    """Sum packets and bytes that no flow shows: (row, direction, unit)."""
    rows = {lease.id: row for row, lease in enumerate(sample.leases)}
    rest, flows = sample.lost.copy(), _flows(sample)
    for (lease, direction), tally in flows.others.items() if flows else ():
        if lease in rows:
            rest[rows[lease], direction] += np.array((tally.packets, tally.bytes), np.uint64)
    return rest
