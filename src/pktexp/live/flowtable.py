"""Flows of the latest sample with their rates, as arrays.

A flow's rate is its growth between two drains of the flow cache by the time between these drains.
Drains may be late on a busy machine, and an interface's rate is over the time between two samples:
where flows would exceed their interface, all of them there are reduced in proportion. So no flow is
above its interface, and flows and the rest sum to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pktexp.flows.keylabels import raw_keys
from pktexp.live.rates import F64, LONGEST, SHORTEST, grown
from pktexp.live.sample import FlowReading, Sample
from pktexp.packet.records import U64, Records

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Table:
    """The flows of a sample, in no order, of interfaces that are still leased.

    By flow: `keys` (FLOW_KEY), `raw` (the same as bytes), `rows` and `directions` of the sample's
    arrays, `sums` and `growth` a second (flow, unit). `total` is the growth a second of interfaces
    (row, direction, unit). Both growths are None before there are two samples.
    """

    sample: Sample
    keys: Records
    raw: list[bytes]
    rows: Indices
    directions: Indices
    sums: U64
    growth: F64 | None
    total: F64 | None


def read(samples: Sequence[Sample]) -> Table | None:
    """Build the table of the last sample; None with --flows off."""
    last = samples[-1]
    if last.flows is None:
        return None
    snapshot = last.flows.snapshot
    places = {lease.id: row for row, lease in enumerate(last.leases)}
    rows = np.array([places.get(lease, -1) for lease in snapshot.keys["interface"].tolist()], int)
    here = np.flatnonzero(rows >= 0)
    keys, rows = snapshot.keys[here], rows[here]
    directions = keys["direction"].astype(np.intp)
    raw, sums = raw_keys(keys), np.stack((snapshot.packets, snapshot.bytes), axis=-1)[here]
    total, growth = grown(samples, totals), _growth(samples, raw, sums)
    if total is None or growth is None:
        total = growth = None
    else:
        growth = _bounded(growth, rows * total.shape[1] + directions, total)
    return Table(last, keys, raw, rows, directions, sums, growth, total)


def totals(sample: Sample) -> U64:
    """Sum a sample over packet classes: (row, direction, unit)."""
    total: U64 = sample.classes.sum(axis=2)
    return total


def base(samples: Sequence[Sample]) -> FlowReading | None:
    """Find the earlier reading to base rates of flows on.

    The earliest one of the last LONGEST seconds or, if there is none, the latest one before.
    """
    last = samples[-1].flows
    readings = [sample.flows for sample in samples if sample.flows]
    old = [x for x in readings if last and last.at - x.at >= SHORTEST]
    recent = [x for x in old if last and last.at - x.at <= LONGEST]
    return recent[0] if recent else old[-1] if old else None


def _growth(samples: Sequence[Sample], raw: list[bytes], sums: U64) -> F64 | None:
    last, earlier = samples[-1].flows, base(samples)
    if last is None or earlier is None:
        return None
    growth: F64 = (sums - _then(raw, sums, earlier)) / (last.at - earlier.at)
    return growth


def _then(raw: list[bytes], sums: U64, earlier: FlowReading) -> U64:
    """Return earlier sums of the flows; 0 where a flow was not shown or lost its place since."""
    snapshot = earlier.snapshot
    rows = {key: row for row, key in enumerate(raw_keys(snapshot.keys))}
    at = np.array([rows.get(key, -1) for key in raw], np.intp)
    then = np.zeros_like(sums)
    then[at >= 0] = np.stack((snapshot.packets, snapshot.bytes), axis=-1)[at[at >= 0]]
    then[(then > sums).any(axis=1)] = 0
    return then


def _bounded(growth: F64, sites: Indices, total: F64) -> F64:
    """Reduce the flows of each interface and direction in proportion, down to its total."""
    limits = total.reshape(-1, total.shape[-1])
    for unit, limit in enumerate(limits.T):
        flows = np.bincount(sites, growth[:, unit], len(limit))
        factors = np.divide(limit, flows, out=np.ones_like(limit), where=flows > limit)
        growth[:, unit] *= factors[sites]
    return growth
