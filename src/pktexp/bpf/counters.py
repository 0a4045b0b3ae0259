"""The interface table and the counters of the loaded programs, by slot and direction.

A slot is a place in every CPU's row of counters, leased to an interface's name. `id` names the
lease: its low bits are the slot, the others count the slot's leases, so that a late record of an
earlier lease is recognised.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pktexp.packet.enums import LinkType
from pktexp.packet.records import INTERFACE_COUNTERS, Records

Words = npt.NDArray[np.uint64]
WORDS = INTERFACE_COUNTERS.itemsize // 8


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


class Counters:
    """Exact totals by slot, summed over the CPUs, since the slot's current lease began."""

    def __init__(self, rows: Records, since: Records | None = None) -> None:
        """`rows`: the mapped counters, (CPUs + 1, slots, directions) of INTERFACE_COUNTERS.

        `since`: one such row, with the sums from before each slot's current lease.
        """
        _, self.slots, directions = rows.shape
        self._rows: Words = rows.view(np.uint64).reshape(*rows.shape, WORDS)
        if since is None:
            since = np.zeros(rows.shape[1:], INTERFACE_COUNTERS)
        self._since: Words = since.view(np.uint64).reshape(self.slots, directions, WORDS)

    def restart(self, slot: int) -> None:
        """Count a slot from zero.

        The kernel's words stay unchanged, as programs may be adding to them; their present
        values are subtracted from later readings.
        """
        self._since[slot] = self._rows[:, slot].sum(axis=0)

    def read(self, slots: npt.NDArray[np.intp]) -> Records:
        """Return totals of the given slots: (slots, directions) of INTERFACE_COUNTERS."""
        words = np.zeros((len(slots), *self._since.shape[1:]), np.uint64)
        for row in self._rows:  # row by row, as a copy of all rows would not fit the CPU's caches
            words += row[slots]
        words -= self._since[slots]
        totals: Records = words.view(INTERFACE_COUNTERS)[..., 0]
        return totals
