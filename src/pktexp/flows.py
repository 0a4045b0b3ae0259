"""Flows: records merged by key, the heaviest kept one by one, everything else summed as `other`.

Batches come from reader.py, in worker threads; metrics.py takes snapshots. All work over records is
numpy's; nothing here loops over packets or flows in Python.

Every counter only grows, and the sum over the shown flows and `other` is the sum over all records:
a flow that loses its place folds its total into `other`, one that gains a place starts from zero.
Places go by bytes, halved every HALF_LIFE so that the page shows who is heavy now, and a newcomer
must be FACTOR times heavier than the flow it ousts, so that series do not flap.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from pktexp.kernel.records import FLOW_KEY, RING_RECORD, Records

U64 = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]

HALF_LIFE = 600.0  # seconds
FACTOR = 2.0
KEY_WORDS = FLOW_KEY.itemsize // 8
RECORD_WORDS = RING_RECORD.itemsize // 8
KEY_AT = RING_RECORD.fields["info"][1] // 8 if RING_RECORD.fields else 0

# What is known of a flow; kept sorted by hash. `packets` and `bytes` count since it was shown.
FLOW = np.dtype(
    [
        ("hash", "u8"),
        (
            "key",
            "u8",
            KEY_WORDS,
        ),  # a FLOW_KEY as words: as a struct, copying takes four times as long
        ("packets", "u8"),
        ("bytes", "u8"),
        ("weight", "f8"),
        ("shown", "?"),
    ]
)


class FlowMode(StrEnum):
    """What tells one flow from another."""

    OFF = "off"
    HOSTS = "hosts"
    SOCKETS = "sockets"


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

    def __init__(self, mode: FlowMode, limit: int) -> None:
        self.limit = limit
        self._mask = _key_mask(mode)
        # Unknown to whoever sends the packets, so that nobody can aim flows at one hash.
        self._seed = np.array([secrets.randbits(64) | 1 for _ in range(KEY_WORDS)], np.uint64)
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
        """Add a batch, an array of RING_RECORD. Safe to call from several threads."""
        if not len(batch):
            return
        groups = self._group(batch)
        with self._lock:
            at = np.searchsorted(self._flows["hash"], groups["hash"])
            known = at < len(self._flows)
            known[known] = self._flows["hash"][at[known]] == groups["hash"][known]
            self._update(at[known], groups[known])
            self._insert(groups[~known])

    def fold(self, batch: Records) -> None:
        """Add a batch to `other` alone: for one that could not be merged."""
        with self._lock:
            self._add_others(batch["info"], batch["info"])

    def snapshot(self, ids: Collection[int]) -> FlowSnapshot:
        """Decide which flows are shown, and return them; flows of interfaces not in `ids` end."""
        with self._lock:
            self._forget_all_but(ids)
            self._rank(time.monotonic())
            others = {pair: Tally(t.packets, t.bytes) for pair, t in self._others.items()}
            shown = self._flows[self._flows["shown"]]
            return FlowSnapshot(_keys(shown), shown["packets"], shown["bytes"], others)

    def _group(self, batch: Records) -> Records:
        """One FLOW (not shown) for each key in the batch, in the order of their hashes."""
        words = batch.view(np.uint64).reshape(len(batch), RECORD_WORDS)
        keys = words[:, KEY_AT : KEY_AT + KEY_WORDS] & self._mask
        hashes = self._hash(keys)
        order = np.argsort(hashes)
        hashes = hashes[order]
        starts = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1])))
        groups = np.zeros(len(starts), FLOW)
        groups["hash"] = hashes[starts]
        groups["key"] = keys[order[starts]]
        for field in ("packets", "bytes"):
            values = batch["info"][field][order].astype(np.uint64, copy=False)
            groups[field] = np.add.reduceat(values, starts)
        groups["weight"] = groups["bytes"]
        return groups

    def _hash(self, keys: U64) -> U64:
        """64 bits a key; each step is a bijection of the word that it takes in."""
        state = np.zeros(len(keys), np.uint64)
        for column, seed in zip(keys.T, self._seed, strict=True):
            state ^= column
            state *= seed
            state ^= state >> np.uint64(32)
        return state

    def _update(self, at: Indices, groups: Records) -> None:
        """Add to flows that are known; those not shown count as `other` meanwhile."""
        shown = self._flows["shown"][at]
        self._flows["weight"][at] += groups["weight"]
        self._flows["packets"][at[shown]] += groups["packets"][shown]
        self._flows["bytes"][at[shown]] += groups["bytes"][shown]
        self._add_others(_keys(groups[~shown]), groups[~shown])

    def _insert(self, new: Records) -> None:
        if not len(new):
            return
        room = self.limit - int(np.count_nonzero(self._flows["shown"]))
        heaviest = np.argsort(-new["weight"])[: self._capacity]
        new["shown"][heaviest[:room]] = True
        hidden = ~new["shown"]
        self._add_others(_keys(new[hidden]), new[hidden])
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
        self._add_others(_keys(self._flows[at]), self._flows[at])
        for field, nothing in (("shown", False), ("packets", 0), ("bytes", 0)):
            self._flows[field][at] = nothing

    def _forget_all_but(self, ids: Collection[int]) -> None:
        keep = np.isin(_keys(self._flows)["interface"], np.fromiter(ids, np.uint32, len(ids)))
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


def _keys(flows: Records) -> Records:
    """The keys of an array of FLOW, as an array of FLOW_KEY."""
    keys: Records = np.ascontiguousarray(flows["key"]).view(FLOW_KEY)[:, 0]
    return keys


def _key_mask(mode: FlowMode) -> U64:
    """Ones where a record's words belong to a flow's key."""
    mask = np.zeros((), FLOW_KEY)
    for field in FLOW_KEY.names or ():
        if field != "_rest":
            mask[field] = np.iinfo(FLOW_KEY[field].base).max
    if mode is FlowMode.HOSTS:
        mask["sport"] = mask["dport"] = 0
    return np.frombuffer(mask.tobytes(), np.uint64)
