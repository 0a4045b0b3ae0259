"""The flow table: the heaviest flows kept one by one, everything else summed as `other`.

Batches come through intake.py, in worker threads, and are grouped by grouping.py; metrics.py takes
snapshots. All work over records is numpy's; nothing here loops over packets or flows in Python.

Every counter only grows, and the sum over the shown flows and `other` is the sum over all records:
a flow that loses its place folds its total into `other`, one that gains a place starts from zero.
Places go by bytes, halved every HALF_LIFE so that the page shows who is heavy now, and a newcomer
must be FACTOR times heavier than the flow it ousts, so that series do not flap.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pktexp.grouping import FLOW, U64, Grouper, keys_of
from pktexp.kernel.records import Records

Indices = npt.NDArray[np.intp]

HALF_LIFE = 600.0  # seconds
FACTOR = 2.0


class Tally:
    """Packets and bytes."""

    __slots__ = ("bytes", "packets")

    def __init__(self, packets: int = 0, bytes_: int = 0) -> None:
        self.packets = packets
        self.bytes = bytes_

    def add(self, packets: int, bytes_: int) -> None:
        """Add to both."""
        self.packets += packets
        self.bytes += bytes_


Others = dict[tuple[int, int], Tally]
"""(interface id, direction) -> what is not shown flow by flow"""


@dataclass(frozen=True)
class FlowSnapshot:
    """`keys[i]` (FLOW_KEY) had `packets[i]` and `bytes[i]` since it is shown; `others`: the rest.

    Both together are all records.
    """

    keys: Records
    packets: U64
    bytes: U64
    others: Others


class FlowTable:
    """At most `limit` flows shown, a few times as many watched, whatever the traffic."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._grouper = Grouper()
        self._capacity = 4 * limit + 4096
        self._flows = np.zeros(0, FLOW)
        self._others: Others = defaultdict(Tally)
        self._ranked = time.monotonic()
        self._lock = threading.Lock()

    @property
    def watched(self) -> int:
        """Flows that are known, shown or not."""
        return len(self._flows)

    def merge(self, batch: Records) -> None:
        """Add a batch, an array of RING_RECORD or FLOW_SLOT. Safe to call from several threads."""
        if not len(batch):
            return
        groups = self._grouper(batch)
        with self._lock:
            at = np.searchsorted(self._flows["hash"], groups["hash"])
            known = at < len(self._flows)
            known[known] = self._flows["hash"][at[known]] == groups["hash"][known]
            self._update(at[known], groups[known])
            self._insert(groups[~known])

    def fold(self, batch: Records) -> None:
        """Add a batch to `other` alone: for one that could not be merged."""
        with self._lock:
            self._add_others(batch["flow"], batch["flow"])

    def snapshot(self, ids: Collection[int]) -> FlowSnapshot:
        """Decide which flows are shown, and return them; flows of interfaces not in `ids` end."""
        with self._lock:
            self._forget_all_but(ids)
            self._rank(time.monotonic())
            others = {pair: Tally(t.packets, t.bytes) for pair, t in self._others.items()}
            shown = self._flows[self._flows["shown"]]
            return FlowSnapshot(keys_of(shown), shown["packets"], shown["bytes"], others)

    def _update(self, at: Indices, groups: Records) -> None:
        """Add to flows that are known; those not shown count as `other` meanwhile."""
        shown = self._flows["shown"][at]
        self._flows["weight"][at] += groups["weight"]
        self._flows["packets"][at[shown]] += groups["packets"][shown]
        self._flows["bytes"][at[shown]] += groups["bytes"][shown]
        self._add_others(keys_of(groups[~shown]), groups[~shown])

    def _insert(self, new: Records) -> None:
        if not len(new):
            return
        room = self.limit - int(np.count_nonzero(self._flows["shown"]))
        heaviest = np.argsort(-new["weight"])[: self._capacity]
        new["shown"][heaviest[:room]] = True
        hidden = ~new["shown"]
        self._add_others(keys_of(new[hidden]), new[hidden])
        new["packets"][hidden] = new["bytes"][hidden] = 0
        self._flows = np.concatenate((self._flows, new[heaviest]))
        self._shrink()
        self._flows = self._flows[np.argsort(self._flows["hash"])]

    def _shrink(self) -> None:
        """Stop watching the lightest of the flows that are not shown, down to the capacity."""
        if len(self._flows) > self._capacity:
            rank = np.where(self._flows["shown"], np.inf, self._flows["weight"])
            keep = np.argpartition(rank, -self._capacity)[-self._capacity :]
            self._flows = self._flows[keep]

    def _rank(self, now: float) -> None:
        """Let time pass over the weights, and let heavier flows take the places of lighter ones."""
        self._flows["weight"] *= 0.5 ** ((now - self._ranked) / HALF_LIFE)
        self._ranked = now
        weight = self._flows["weight"]
        shown = np.flatnonzero(self._flows["shown"])
        hidden = np.flatnonzero(~self._flows["shown"])
        hidden = hidden[np.argsort(-weight[hidden])]
        room = self.limit - len(shown)
        self._flows["shown"][hidden[:room]] = True
        hidden = hidden[room:]
        lightest = shown[np.argsort(weight[shown])][: len(hidden)]
        swaps = int(np.count_nonzero(weight[hidden[: len(lightest)]] > FACTOR * weight[lightest]))
        self._flows["shown"][hidden[:swaps]] = True
        self._hide(lightest[:swaps])

    def _hide(self, at: Indices) -> None:
        self._add_others(keys_of(self._flows[at]), self._flows[at])
        for field, nothing in (("shown", False), ("packets", 0), ("bytes", 0)):
            self._flows[field][at] = nothing

    def _forget_all_but(self, ids: Collection[int]) -> None:
        keep = np.isin(keys_of(self._flows)["interface"], np.fromiter(ids, np.uint32, len(ids)))
        self._flows = self._flows[keep]
        for pair in [pair for pair in self._others if pair[0] not in ids]:
            del self._others[pair]

    def _add_others(self, keys: Records, amounts: Records) -> None:
        """Add the `packets` and `bytes` of `amounts` to the `other` of their keys' interfaces."""
        pairs = keys["interface"].astype(np.uint64) << np.uint64(8) | keys["direction"]
        found, where = np.unique(pairs, return_inverse=True)
        sums = np.zeros((2, len(found)), np.uint64)
        np.add.at(sums[0], where, amounts["packets"])
        np.add.at(sums[1], where, amounts["bytes"])
        for pair, packets, bytes_ in zip(found.tolist(), *sums.tolist(), strict=True):
            self._others[pair >> 8, pair & 0xFF].add(packets, bytes_)
