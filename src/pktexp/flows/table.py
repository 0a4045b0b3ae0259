"""The flow table: the largest flows one by one, everything else summed as `other`.

Batches arrive from worker threads. numpy does all work over records; nothing loops over packets or
flows in Python.

Every counter only grows, and shown flows and `other` sum to all records: a flow that loses its
place adds its sums to `other`, and one that gains a place starts from zero. Places go to the flows
with most bytes, halved every HALF_LIFE so that current flows win. A newcomer needs FACTOR times the
bytes of the flow whose place it takes, so that series do not flap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pktexp.flows.columns import (
    FLOW,
    Columns,
    Hasher,
    HashIndex,
    Indices,
    Mask,
    group,
    keys_of,
)
from pktexp.flows.others import Others, Site, Tally, encode_sites
from pktexp.packet.records import U64, Records

HALF_LIFE = 600.0  # seconds
FACTOR = 2.0
NOMINATED = 8  # at most one in 8 records of unknown flows


@dataclass(frozen=True)
class FlowSnapshot:
    """The shown flows and the rest; together they are all records.

    The flow `keys[i]` (FLOW_KEY) had `packets[i]` and `bytes[i]` since it is shown; `others` has
    everything else by site. `hashes[i]` stands for the key in all snapshots of a table.
    """

    hashes: U64
    keys: Records
    packets: U64
    bytes: U64
    others: dict[Site, Tally]

    def take(self, at: Indices | Mask) -> FlowSnapshot:
        """Return the shown flows at these places; `others` stays as it is."""
        sums = self.packets[at], self.bytes[at]
        return FlowSnapshot(self.hashes[at], self.keys[at], *sums, self.others)

    def others_with(self, at: Indices | slice) -> dict[Site, Tally]:
        """Return the sums of `others` and of the shown flows at these places, by site."""
        chosen = Others()
        chosen.add(encode_sites(self.keys)[at], self.packets[at], self.bytes[at])
        sums = chosen.copy()
        for site, tally in self.others.items():
            sums.setdefault(site, Tally()).add(tally.packets, tally.bytes)
        return sums


class Flows(Protocol):
    """Flows of live traffic or of a capture, the largest one by one and the rest as others."""

    def snapshot(self, ids: Collection[int]) -> FlowSnapshot:
        """Return the flows of the interfaces with these lease ids."""


class FlowTable:
    """Shows at most `limit` flows and watches a few times as many, whatever the traffic."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._capacity = _capacity(limit)
        self._hasher = Hasher()
        self._nominees = np.zeros(0, FLOW)
        self._random = np.random.default_rng()
        self._flows = np.zeros(0, FLOW)
        self._index = HashIndex(self._flows["hash"])
        self._others = Others()
        self._ranked = time.monotonic()
        self._lock = threading.Lock()

    @property
    def watched(self) -> int:
        """Number of watched flows, shown or not."""
        return len(self._flows)

    def merge(self, batch: Records) -> None:
        """Add a batch, an array of RING_RECORD or FLOW_SLOT. Safe to call from several threads."""
        records = self._hasher(batch)
        with self._lock:
            records = self._update(records)
            while len(records) and len(self._flows) < self._capacity:
                some, records = records.split(self._capacity)
                self._insert(group(some))
                records = self._update(records)
            if len(records):
                self._nominate(records)
                self._others.add(records.sites, records.packets, records.bytes)

    def fold(self, batch: Records) -> None:
        """Add a batch that could not be merged to `other`."""
        records = self._hasher(batch)
        with self._lock:
            self._others.add(records.sites, records.packets, records.bytes)

    def snapshot(self, ids: Collection[int]) -> FlowSnapshot:
        """Choose the shown flows and return them; forget interfaces whose lease is not in `ids`."""
        with self._lock:
            self._admit()
            self._forget_all_but(ids)
            self._rank(time.monotonic())
            shown = self._flows[self._flows["shown"]]
            sums = shown["packets"], shown["bytes"]
            keys = keys_of(np.ascontiguousarray(shown["key"]))
            return FlowSnapshot(shown["hash"], keys, *sums, self._others.copy())

    def _update(self, records: Columns) -> Columns:
        """Add records to the watched flows; return the records of other flows."""
        at, known = self._index.find(records.hashes)
        sums = np.zeros((2, len(self._flows)), np.uint64)
        np.add.at(sums[0], at[known], records.packets[known])
        np.add.at(sums[1], at[known], records.bytes[known])
        self._flows["weight"] += sums[1]
        shown = self._flows["shown"]
        self._flows["packets"] += sums[0] * shown
        self._flows["bytes"] += sums[1] * shown
        hidden = np.flatnonzero(~shown & (sums[0] > 0))
        self._add_to_others(self._flows["key"][hidden], *sums[:, hidden])
        return records.take(np.flatnonzero(~known))

    def _nominate(self, records: Columns) -> None:
        """Choose unknown flows that will take the places of the smallest watched ones.

        Threshold sampling (Duffield, Lund, Thorup: IEEE Trans. Inf. Theory 51, 2005): a record as
        large as the smallest flow is always chosen, a smaller one with a chance in proportion. As
        in Space Saving (Metwally, Agrawal, El Abbadi: ICDT 2005) a newcomer is credited with the
        bytes of the flow whose place it takes, so that the smallest flows settle in a flood.
        """
        claims = self._flows["weight"] + self._flows["credit"]
        least = claims[~self._flows["shown"]].min()
        priority = records.bytes / (1.0 - self._random.random(len(records)))
        chosen = np.flatnonzero(priority > least)
        if len(chosen) > (most := min(len(records) // NOMINATED + 1, self._capacity)):
            chosen = np.argpartition(priority, -most)[-most:]
        if len(chosen):
            nominees = group(records.take(chosen))
            nominees["credit"] = least
            nominees["packets"] = nominees["bytes"] = 0  # they count as other until they are shown
            self._nominees = np.concatenate((self._nominees, nominees))
        if len(self._nominees) >= self._capacity // 2:
            self._admit()

    def _admit(self) -> None:
        """Watch the nominees, many at a time, since each change copies the whole table."""
        if len(self._nominees):
            _, first = np.unique(self._nominees["hash"], return_index=True)
            self._insert(self._nominees[first])
            self._nominees = self._nominees[:0]

    def _insert(self, new: Records) -> None:
        """Watch new flows, the largest of which take the free places."""
        room = self.limit - int(np.count_nonzero(self._flows["shown"]))
        heaviest = np.argsort(-new["weight"])[: self._capacity]
        new["shown"][heaviest[:room]] = True
        hidden = ~new["shown"]
        self._add_to_others(*(new[field][hidden] for field in ("key", "packets", "bytes")))
        new["packets"][hidden] = new["bytes"][hidden] = 0
        self._flows = np.concatenate((self._flows, new[heaviest]))
        self._shrink()
        self._replace(self._flows[np.argsort(self._flows["hash"])])

    def _add_to_others(self, keys: U64, packets: U64, bytes_: U64) -> None:
        self._others.add(encode_sites(keys_of(keys)), packets, bytes_)

    def _replace(self, flows: Records) -> None:
        """Watch these flows, which are sorted by hash, in place of all others."""
        self._flows = flows
        self._index = HashIndex(flows["hash"])

    def _shrink(self) -> None:
        """Stop watching the smallest flows that are not shown, down to the capacity."""
        if len(self._flows) > self._capacity:
            claims = self._flows["weight"] + self._flows["credit"]
            rank = np.where(self._flows["shown"], np.inf, claims)
            keep = np.argpartition(rank, -self._capacity)[-self._capacity :]
            self._flows = self._flows[keep]

    def _rank(self, now: float) -> None:
        """Let weights decay to `now`, and exchange shown flows for larger ones."""
        for field in ("weight", "credit"):
            self._flows[field] *= 0.5 ** ((now - self._ranked) / HALF_LIFE)
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
        """Stop showing the flows at these places, and add their sums to `other`."""
        rows = self._flows[at]
        self._add_to_others(rows["key"], rows["packets"], rows["bytes"])
        for field, nothing in (("shown", False), ("packets", 0), ("bytes", 0)):
            self._flows[field][at] = nothing

    def _forget_all_but(self, ids: Collection[int]) -> None:
        interfaces = keys_of(self._flows["key"])["interface"]
        keep = np.isin(interfaces, np.fromiter(ids, np.uint32, len(ids)))
        if not keep.all():
            self._replace(self._flows[keep])
        self._others.forget_all_but(ids)


def table_bytes(limit: int) -> int:
    """Return the memory of a full table that shows `limit` flows, in bytes; without its index."""
    return _capacity(limit) * FLOW.itemsize


def _capacity(limit: int) -> int:
    return 4 * limit + 4096
