"""Labels and times of birth of the shown flows, kept from page to page as arrays.

Only flows that the page before lacked cost anything: their labels are written, all at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pktexp.flows.columns import Indices, Mask
from pktexp.flows.keylabels import Names, Owners
from pktexp.flows.table import FlowSnapshot
from pktexp.metrics import flowlabels
from pktexp.metrics.births import YOUNG
from pktexp.packet.records import U64

Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Shown:
    """The flows of a page, sorted by hash; `born` is NaN where the time is unknown."""

    hashes: U64
    texts: Objects
    born: npt.NDArray[np.float64]
    owners: Owners
    written: float
    """Unix time when the page began to read the counters; NaN if counters were never 0"""

    def find(self, hashes: U64) -> tuple[Indices, Mask]:
        """Return places of hashes, and which of them are here."""
        at = np.minimum(np.searchsorted(self.hashes, hashes), max(len(self.hashes) - 1, 0))
        known = self.hashes[at] == hashes if len(self.hashes) else np.zeros(len(hashes), np.bool_)
        return at, known


class FlowSeries:
    """Remembers the flows of the latest page."""

    def __init__(self, since: float | None = None) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown."""
        nothing = np.zeros(0, np.uint64), np.zeros(0, object), np.zeros(0)
        self._last = Shown(*nothing, None, np.nan if since is None else since)

    def __call__(
        self, flows: FlowSnapshot, names: Names, owners: Owners, now: float
    ) -> tuple[list[str], list[float | None]]:
        """Return the labels of each shown flow, and when it was 0 if that is to be written.

        All interfaces are in `names`. `now`: Unix time when the page began to read the counters.
        """
        last, hashes = self._last, flows.hashes
        at, known = last.find(hashes)
        born = np.where(flows.packets > 0, last.written, np.nan)
        born[known] = last.born[at[known]]
        texts = np.empty(len(hashes), object)
        kept = known if owners is last.owners else np.zeros_like(known)
        texts[kept] = last.texts[at[kept]]
        texts[~kept] = list(flowlabels.flow_texts(flows.keys[~kept], names, owners))
        order = np.argsort(hashes, kind="stable")  # quick, as they come sorted from the table
        # In one step: several threads write pages.
        self._last = Shown(hashes[order], texts[order], born[order], owners, now)
        young = born.astype(object)
        young[~(now - born < YOUNG)] = None
        return texts.tolist(), young.tolist()
