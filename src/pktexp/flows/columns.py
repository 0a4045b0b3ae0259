"""Records (kernel/records.py) by columns, hashed, grouped and found again; for flows.py."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pktexp.flows.others import encode_sites
from pktexp.packet.records import FLOW_KEY, U64, WORD, Records

Indices = npt.NDArray[np.intp]


def key_mask(key: np.dtype[Any]) -> U64:
    """Return the words of a key with ones in every bit of its fields and zeros in its padding."""
    ones = np.zeros(key.itemsize, np.uint8)
    for name, (dtype, offset, *_) in (key.fields or {}).items():
        if not name.startswith("_"):
            ones[offset : offset + dtype.itemsize] = 0xFF
    return ones.view(np.uint64)


KEY_WORDS = FLOW_KEY.itemsize // WORD
# A record's words reach beyond the key's fields, into padding and sums; the mask takes these out.
KEY_MASK = key_mask(FLOW_KEY)
HALF_WORD = np.uint64(32)

# What is known of a flow; kept sorted by hash. `packets` and `bytes` count since it was shown;
# `weight` is bytes that fade, and `credit` what it may have done before it was watched. The key is
# a FLOW_KEY as words: as a struct, copying takes four times as long.
FLOW = np.dtype(
    [
        ("hash", "u8"),
        ("key", "u8", KEY_WORDS),
        ("packets", "u8"),
        ("bytes", "u8"),
        ("weight", "f8"),
        ("credit", "f8"),
        ("shown", "?"),
        ("_pad", "u1", 7),
    ]
)


@dataclass(frozen=True)
class Columns:
    """Some records of a batch by columns: those in `rows` of `words`, which are not copied."""

    words: U64
    rows: Indices
    hashes: U64
    packets: U64
    bytes: U64

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> U64:
        """FLOW_KEYs as words."""
        return self.words.take(self.rows, axis=0) & KEY_MASK

    @property
    def sites(self) -> U64:
        """Sites as numbers (`encode_sites`)."""
        return encode_sites(keys_of(self.words))[self.rows]

    def take(self, at: Indices) -> Columns:
        """Those at these places among them."""
        sums = self.packets.take(at), self.bytes.take(at)
        return Columns(self.words, self.rows.take(at), self.hashes.take(at), *sums)

    def split(self, at: int) -> tuple[Columns, Columns]:
        """The first so many, and the rest."""
        numbers = np.arange(len(self))
        return self.take(numbers[:at]), self.take(numbers[at:])


class Hasher:
    """Turns batches into columns, with hashes that nobody outside can foresee."""

    def __init__(self) -> None:
        self._seed = np.array(
            [[secrets.randbits(64) | 1 for _ in range(3)] for _ in range(KEY_WORDS)], np.uint64
        )

    def __call__(self, batch: Records) -> Columns:
        """`batch`: RING_RECORD or FLOW_SLOT."""
        words = batch.view(np.uint64).reshape(len(batch), batch.itemsize // WORD)
        start = batch.dtype.fields["flow"][1] // WORD  # type: ignore[index]  # has such a field
        words = words[:, start : start + KEY_WORDS]
        flows = batch["flow"]
        sums = flows["packets"].astype(np.uint64), flows["bytes"].astype(np.uint64)
        return Columns(words, np.arange(len(batch)), self._hash(words), *sums)

    def _hash(self, keys: U64) -> U64:
        """64 bits a key: a sum of bijections of its words.

        Folding a product and multiplying again makes every difference between two words come out
        at a place that depends on the seed, so that no two can be chosen to cancel.
        """
        state = np.zeros(len(keys), np.uint64)
        for column, mask, (first, shift, second) in zip(keys.T, KEY_MASK, self._seed, strict=True):
            word = (column & mask) * first
            word += shift
            word ^= word >> HALF_WORD
            word *= second
            state += word
        state ^= state >> HALF_WORD
        state *= self._seed[0, 0]
        return state


def group(records: Columns) -> Records:
    """One FLOW (not shown) for each key, in the order of their hashes; at least one record."""
    order = np.argsort(records.hashes)
    hashes = records.hashes[order]
    starts = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1])))
    groups = np.zeros(len(starts), FLOW)
    groups["hash"] = hashes[starts]
    groups["key"] = records.keys[order[starts]]
    groups["packets"] = np.add.reduceat(records.packets[order], starts)
    groups["bytes"] = np.add.reduceat(records.bytes[order], starts)
    groups["weight"] = groups["bytes"]
    return groups


class HashIndex:
    """Finds hashes in a sorted array: by their first bits, then from there on."""

    def __init__(self, hashes: U64) -> None:
        """`hashes`: sorted, none twice."""
        bits = len(hashes).bit_length() + 1
        self._shift = np.uint64(64 - bits)
        counts = np.bincount((hashes >> self._shift).astype(np.intp), minlength=1 << bits)
        self._starts = np.cumsum(counts) - counts
        self._hashes = np.append(hashes, ~np.uint64(0))  # every search ends here at the latest

    def find(self, wanted: U64) -> tuple[Indices, npt.NDArray[np.bool_]]:
        """(where each is or would be, whether it is there)."""
        at = self._starts[(wanted >> self._shift).astype(np.intp)]
        behind = np.flatnonzero(self._hashes[at] < wanted)
        while len(behind):
            at[behind] += 1
            behind = behind[self._hashes[at[behind]] < wanted[behind]]
        return at, (self._hashes[at] == wanted) & (at < len(self._hashes) - 1)


def keys_of(words: U64) -> Records:
    """Return a view of keys by words, (n, KEY_WORDS), as an array of FLOW_KEY."""
    keys: Records = words.view(FLOW_KEY)[:, 0]
    return keys
