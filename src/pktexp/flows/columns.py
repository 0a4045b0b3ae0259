"""Records by columns: hash their keys, group them by key, and find hashes in a sorted array.

Keys are compared by a keyed 64-bit hash alone: two of them collide with a chance of about 2^-64,
and nobody without the seed can choose two that do.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pktexp.flows.others import encode_sites
from pktexp.packet.records import FLOW_KEY, U64, WORD, Records

Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


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

# A watched flow. `packets` and `bytes` count from the moment it is shown; `weight` is bytes that
# decay, and `credit` bounds the bytes it may have had before it was watched. The key is a FLOW_KEY
# as words: as a struct, copying takes four times as long.
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
    """Some records of a batch by columns; `rows` are their places in `words`, the whole batch."""

    words: U64
    rows: Indices
    hashes: U64
    packets: U64
    bytes: U64

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> U64:
        """Keys as words: (n, KEY_WORDS), with zeros outside the mask."""
        return self.words.take(self.rows, axis=0) & KEY_MASK

    @property
    def sites(self) -> U64:
        """The site of each record, encoded by `encode_sites`."""
        return encode_sites(keys_of(self.words))[self.rows]

    def take(self, at: Indices) -> Columns:
        """Return the records at these places."""
        sums = self.packets.take(at), self.bytes.take(at)
        return Columns(self.words, self.rows.take(at), self.hashes.take(at), *sums)

    def split(self, at: int) -> tuple[Columns, Columns]:
        """Return the first `at` records, and the rest."""
        numbers = np.arange(len(self))
        return self.take(numbers[:at]), self.take(numbers[at:])


class Hasher:
    """Turns batches into columns; a random seed makes the hashes unpredictable to senders."""

    def __init__(self) -> None:
        self._seed = np.array(
            [[secrets.randbits(64) | 1 for _ in range(3)] for _ in range(KEY_WORDS)], np.uint64
        )

    def __call__(self, batch: Records) -> Columns:
        """Hash a batch, an array of RING_RECORD or FLOW_SLOT, without copying its keys."""
        words = batch.view(np.uint64).reshape(len(batch), batch.itemsize // WORD)
        start = batch.dtype.fields["flow"][1] // WORD  # type: ignore[index]  # has such a field
        words = words[:, start : start + KEY_WORDS]
        flows = batch["flow"]
        sums = flows["packets"].astype(np.uint64), flows["bytes"].astype(np.uint64)
        return Columns(words, np.arange(len(batch)), self._hash(words), *sums)

    def _hash(self, keys: U64) -> U64:
        """Return 64 bits for each key: a sum of bijections of its words.

        Folding a product and multiplying again moves each difference between two words to bits
        that depend on the seed, so that no two differences can be chosen to cancel.
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
    """Sum records, at least one, by key: a FLOW for each, not shown, sorted by hash."""
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
    """Finds hashes in a sorted array: looks up their first bits, then steps forward."""

    def __init__(self, hashes: U64) -> None:
        """Index `hashes`, which are sorted and unique."""
        bits = len(hashes).bit_length() + 1
        self._shift = np.uint64(64 - bits)
        counts = np.bincount((hashes >> self._shift).astype(np.intp), minlength=1 << bits)
        self._starts = np.cumsum(counts) - counts
        self._hashes = np.append(hashes, ~np.uint64(0))  # a sentinel that ends every search

    def find(self, wanted: U64) -> tuple[Indices, Mask]:
        """Return the place of each hash, or where it would be inserted, and whether it is there."""
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
