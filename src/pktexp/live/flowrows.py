"""Rows of the flows document: flows or conversations, with labels, rates and shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pktexp.flows.keylabels import FlowLabels
from pktexp.live.flowtable import Indices
from pktexp.live.rates import DIGITS, F64, Rates, rates
from pktexp.packet import labels
from pktexp.packet.records import U64, Records

UNITS = ("packets", "bytes")

Document = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """Rows in no order: `sums` and `growth` a second are (row, unit).

    `text(row)` is searched, `labels(row)` are the fields of its document before the numbers.
    `growth` is None before there are rates.
    """

    sums: U64
    growth: F64 | None
    text: Callable[[int], str]
    labels: Callable[[int], Document]

    def largest(self, rows: Indices, sort: str) -> Indices:
        """Sort rows by a field, largest first; ties, and rows without rates, by totals."""
        unit = UNITS.index(sort.removesuffix("_per_second"))
        sums = self.sums[rows, unit].astype(np.float64)
        by_rate = sort.endswith("_per_second") and self.growth is not None
        first = self.growth[rows, unit] if by_rate and self.growth is not None else sums
        return rows[np.lexsort((-sums, -first))]

    def document(self, row: int, sort: str, total: Rates) -> Document:
        """Build the document of a row; its share is that of `sort` in the total."""
        growth = None if self.growth is None else _rounded(self.growth[row])
        numbers = rates(self.sums[row].tolist(), growth)
        return self.labels(row) | numbers | {"share": share(numbers[sort], total[sort])}

    def summed(self, rows: Indices) -> Rates:
        """Sum rows."""
        growth = None if self.growth is None else _rounded(self.growth[rows].sum(axis=0))
        return rates(self.sums[rows].sum(axis=0).tolist(), growth)


def share(part: float | None, total: float | None) -> float | None:
    """Return the part of a total, from 0 to 1; None where either is unknown or the total is 0."""
    return None if part is None or not total else round(min(part / total, 1.0), DIGITS)


def added(*parts: Rates) -> Rates:
    """Add rates; unknown ones make the sum unknown."""
    sums = {}
    for name in parts[0]:
        values = [part[name] for part in parts]
        known = [value for value in values if value is not None]
        total = sum(known) if len(known) == len(values) else None
        sums[name] = round(total, DIGITS) if isinstance(total, float) else total
    return sums


def way(labels_: FlowLabels, key: Records, forward: bool) -> dict[str, str]:
    """Return the labels of a conversation from those of one of its flows, and that flow's key.

    The client is the source, without its port; the serving side is the destination.
    """
    source, dest = labels.addresses(key)
    ports = key["ports"].tolist()
    pods = list(labels_.pods.values())
    if not forward:
        source, dest, ports, pods = dest, source, ports[::-1], [*pods[2:], *pods[:2]]
    ends = {"source": labels.endpoint(source, 0), "dest": labels.endpoint(dest, ports[1])}
    named = {"interface": labels_.interface, "protocol": labels_.protocol} | ends
    return named | dict(zip(labels_.pods, pods, strict=True))


def _rounded(growth: F64) -> Sequence[float]:
    rounded: list[float] = np.round(growth, DIGITS).tolist()
    return rounded
