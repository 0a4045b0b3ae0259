"""The interface table and the counters of the loaded programs, by slot and direction.

A slot is a place in every CPU's row of counters, leased to an interface's name. `id` names the
lease: its low bits are the slot, the others count the slot's leases, so that a late record of an
earlier lease is recognised. Counters are in chunks of slots; a chunk exists once a slot in it has
been leased.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pktexp.packet.enums import Direction, LinkType
from pktexp.packet.records import CHUNK_SLOTS, INTERFACE_COUNTERS, Records

Words = npt.NDArray[np.uint64]
WORD = 8  # bytes
WORDS = INTERFACE_COUNTERS.itemsize // WORD
MARKS = WORDS - 1  # the last field of INTERFACE_COUNTERS
# Rows of a chunk beside those of the CPUs: one that later CPUs share, and one of user space.
MORE_ROWS = 2


class InterfaceTable:
    """The table in which programs look up an interface: ifindex -> (id, link type)."""

    def __init__(self, buckets: Records) -> None:
        """`buckets`: the mapped table, an array of INTERFACE_BUCKET, a power of two of them."""
        self._ways = buckets["ways"]

    def set(self, ifindex: int, lease: int, link_type: LinkType) -> bool:
        """Add or change an interface; return False if its bucket is full."""
        ways = self._ways[ifindex & (len(self._ways) - 1)]
        found = np.flatnonzero(ways["ifindex"] == ifindex)
        free = found if len(found) else np.flatnonzero(ways["ifindex"] == 0)
        if not len(free):
            return False
        way = ways[free[0]]
        way["link_type"] = link_type
        way["id"] = lease
        way["ifindex"] = ifindex  # written last, as the programs find the entry by it
        return True

    def keep_only(self, leases: Mapping[int, int]) -> None:
        """Remove what an earlier process left, but for these entries: ifindex -> lease id."""
        for bucket, way in np.argwhere(self._ways["ifindex"]):
            entry = self._ways[bucket, way]
            if leases.get(int(entry["ifindex"])) != entry["id"]:
                entry["ifindex"] = 0

    def remove(self, ifindex: int) -> None:
        """Remove an interface; its packets then pass uncounted."""
        ways = self._ways[ifindex & (len(self._ways) - 1)]
        ways["ifindex"][ways["ifindex"] == ifindex] = 0


@dataclass
class Epochs:
    """The epochs of a flow cache, numbered from 1 (flowcache.py).

    A packet marks the counters that it changes, unless an earlier packet of its flow has marked
    them in the same epoch.
    """

    begun: int = 1
    """the epoch in use"""
    ended: int = 0
    """all programs that used this epoch, or one before it, have ended"""
    clean: bool = True
    """whether the half in use was empty when its epoch began, so that the rule above holds"""


class Chunk:
    """Counters of CHUNK_SLOTS slots, summed over the CPUs.

    Sums are kept, and renewed only where the counters may have changed: their marks differ, or the
    epoch of the latest mark had not ended when they were read.
    """

    def __init__(self, rows: Records) -> None:
        """`rows`: the mapped chunk, of `chunk_shape`."""
        words: Words = rows.view(np.uint64).reshape(*rows.shape, WORDS)
        self.nbytes = rows.nbytes
        self._rows = words[:-1]
        self._since = words[-1]
        """sums from before each slot's current lease"""
        self._sums = np.zeros_like(self._since)
        shape = self._since.shape[:2]
        self._marks = np.zeros(shape, np.uint64)
        self._marked = np.zeros(shape, np.int64)
        """epoch that was in use when a new mark was seen"""
        self._read = np.full(shape, -1)
        """epoch that had ended before the latest reading"""

    def restart(self, slot: int) -> None:
        """Count a slot from zero."""
        self._since[slot] = self._rows[:, slot].sum(axis=0)

    def read(self, epochs: Epochs) -> Words:
        """Return totals of all slots: (slots, directions, WORDS)."""
        ended = epochs.ended if epochs.clean else -1
        marks = self._rows[..., MARKS].sum(axis=0)
        self._marked[marks != self._marks] = epochs.begun
        self._marks = marks
        for at in map(tuple, np.argwhere((self._read < self._marked) | (ended < 0))):
            self._sums[at] = self._rows[:, *at].sum(axis=0)
            self._read[at] = ended
        totals: Words = self._sums - self._since
        return totals


class Counters:
    """Exact totals by slot, summed over the CPUs, since the slot's current lease began.

    Calls must not overlap.
    """

    def __init__(
        self, slots: int, make: Callable[[int], Records], epochs: Epochs | None = None
    ) -> None:
        """`make` returns the chunk of an index, mapped, of `chunk_shape`.

        `epochs`: those of the flow cache; None without a cache, when each packet makes a mark.
        """
        self.slots = slots
        self._make = make
        self._cached = epochs is not None
        self._epochs = epochs or Epochs()
        self._chunks: dict[int, Chunk] = {}

    @property
    def nbytes(self) -> int:
        """Memory of all chunks, in bytes."""
        return sum(chunk.nbytes for chunk in list(self._chunks.values()))

    @property
    def room(self) -> int:
        """Number of slots in all chunks."""
        return len(self._chunks) * CHUNK_SLOTS

    @property
    def missing(self) -> int:
        """Number of chunks that were not made yet."""
        return -(-self.slots // CHUNK_SLOTS) - len(self._chunks)

    def require_all(self) -> None:
        """Make all chunks. Raises BpfError."""
        for slot in range(0, self.slots, CHUNK_SLOTS):
            self.require(slot)

    def require(self, slot: int) -> Chunk:
        """Return the chunk of a slot, a new one if there is none. Raises BpfError."""
        index = slot // CHUNK_SLOTS
        if index not in self._chunks:
            self._chunks[index] = Chunk(self._make(index))
        return self._chunks[index]

    def restart(self, slot: int) -> None:
        """Count a slot from zero. Raises BpfError if its chunk cannot be made.

        The kernel's words stay unchanged, as programs may be adding to them; their present
        values are subtracted from later readings.
        """
        self.require(slot).restart(slot % CHUNK_SLOTS)

    def read(self, slots: npt.NDArray[np.intp]) -> Records:
        """Return totals of the given slots: (slots, directions) of INTERFACE_COUNTERS."""
        words = np.zeros((len(slots), len(Direction), WORDS), np.uint64)
        indexes = slots // CHUNK_SLOTS
        for index in np.unique(indexes).tolist():
            if index in self._chunks:
                mine = indexes == index
                words[mine] = self._chunks[index].read(self._epochs)[slots[mine] % CHUNK_SLOTS]
        if not self._cached:  # what a program adds after its mark is read by the next reading
            self._epochs.begun += 1
            self._epochs.ended += 1
        totals: Records = words.view(INTERFACE_COUNTERS)[..., 0]
        return totals


def chunk_shape(cpus: int) -> tuple[int, int, int]:
    """Return the shape of a chunk with rows for so many CPUs."""
    return cpus + MORE_ROWS, CHUNK_SLOTS, len(Direction)
