"""Series of families with a value for each interface and direction, or for each kind there."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pktexp.interfaces.totals import Snapshot
from pktexp.metrics.exposition import Series, label
from pktexp.packet import labels
from pktexp.packet.enums import Direction
from pktexp.packet.records import U64

SiteLabels = dict[tuple[int, Direction], str]
"""row of the snapshot, direction -> labels as text"""


def site_labels(snapshot: Snapshot) -> SiteLabels:
    """Write the labels of every interface and direction that is counted."""
    names = [label("interface", lease.name) for lease in snapshot.leases]
    pairs = itertools.product(enumerate(names), snapshot.directions)
    return {(r, d): f'{name},direction="{labels.DIRECTIONS[d]}"' for (r, name), d in pairs}


def series_of(
    sites: SiteLabels,
    counts: U64,
    kinds: Sequence[str],
    shown: npt.NDArray[np.bool_] | None = None,
) -> list[Series]:
    """Return a series for each value of `counts` (row, direction, kind) that is shown.

    `kinds`: labels as text, by index. Without `shown`, values from 1 on are shown.
    """
    at = np.argwhere(counts > 0 if shown is None else shown)
    values = counts[tuple(at.T)].tolist()
    return [
        (f"{sites[row, direction]},{kinds[kind]}", value)  # type: ignore[index]  # a Direction
        for (row, direction, kind), value in zip(at.tolist(), values, strict=True)
    ]
