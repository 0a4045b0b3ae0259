"""Records (kernel/records.py) grouped by flow: one row a key, for flows.py to merge."""

from __future__ import annotations

import secrets

import numpy as np
import numpy.typing as npt

from pktexp.kernel.records import FLOW_KEY, Records

U64 = npt.NDArray[np.uint64]

KEY_WORDS = FLOW_KEY.itemsize // 8
# Ones in those bits of a record's words that tell flows apart; others are padding and sums.
KEY_MASK = np.array([2**64 - 1] * (KEY_WORDS - 1) + [0xFFFF], np.uint64)

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


class Grouper:
    """Groups batches by flow."""

    def __init__(self) -> None:
        # Unknown to whoever sends the packets, so that nobody can aim flows at one hash.
        self._seed = np.array([secrets.randbits(64) | 1 for _ in range(KEY_WORDS)], np.uint64)

    def __call__(self, batch: Records) -> Records:
        """One FLOW (not shown) for each key in the batch, in the order of their hashes."""
        words = batch.view(np.uint64).reshape(len(batch), -1)
        start = batch.dtype.fields["flow"][1] // 8  # type: ignore[index]  # has such a field
        keys = words[:, start : start + KEY_WORDS] & KEY_MASK
        hashes = self._hash(keys)
        order = np.argsort(hashes)
        hashes = hashes[order]
        starts = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1])))
        groups = np.zeros(len(starts), FLOW)
        groups["hash"] = hashes[starts]
        groups["key"] = keys[order[starts]]
        for field in ("packets", "bytes"):
            values = batch["flow"][field][order].astype(np.uint64, copy=False)
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
