"""Records (kernel/records.py) grouped by flow: one row a key, for flows.py to merge."""

from __future__ import annotations

import secrets
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from pktexp.kernel.records import FLOW_KEY, RING_RECORD, Records

U64 = npt.NDArray[np.uint64]

KEY_WORDS = FLOW_KEY.itemsize // 8
RECORD_WORDS = RING_RECORD.itemsize // 8
KEY_AT = 1  # the word of a record at which its key begins, behind the ring's header

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


class Grouper:
    """Groups batches by what the mode lets tell flows apart."""

    def __init__(self, mode: FlowMode) -> None:
        self._mask = _key_mask(mode)
        # Unknown to whoever sends the packets, so that nobody can aim flows at one hash.
        self._seed = np.array([secrets.randbits(64) | 1 for _ in range(KEY_WORDS)], np.uint64)

    def __call__(self, batch: Records) -> Records:
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


def keys_of(flows: Records) -> Records:
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
