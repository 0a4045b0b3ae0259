"""Exact totals of every interface at one moment, as the programs in the kernel counted them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pktexp.interfaces.leases import Lease
from pktexp.packet.enums import Direction, SizeGroup
from pktexp.packet.labels import FLAG_BITS
from pktexp.packet.records import SIZE_BUCKETS, U64, Records

NO_HOOK = "none"


@dataclass(frozen=True)
class Snapshot:
    """The totals of all interfaces, read at one moment.

    `counters[row, direction]` (INTERFACE_COUNTERS) belongs to `leases[row]`; the properties give
    its parts as arrays whose first two axes are row and direction. `directions` are those that are
    counted. `hooks[name, direction]` is NO_HOOK where no program could be attached.
    """

    leases: list[Lease]
    counters: Records
    directions: Sequence[Direction]
    hooks: dict[tuple[str, Direction], str]

    @property
    def classes(self) -> U64:
        """Packets and bytes by packet class: (row, direction, class, unit)."""
        return _units(self.counters["classes"])

    @property
    def totals(self) -> U64:
        """All packets and bytes: (row, direction, unit)."""
        totals: U64 = self.classes.sum(axis=2)
        return totals

    @property
    def lost(self) -> U64:
        """Packets and bytes counted here but missing from the flows: (row, direction, unit)."""
        return _units(self.counters["lost"])

    @property
    def sizes(self) -> U64:
        """Packets by size group and size bucket: (row, direction, group, bucket)."""
        sizes: U64 = self.counters["sizes"]
        return sizes.reshape(*sizes.shape[:2], len(SizeGroup), SIZE_BUCKETS)

    @property
    def tcp_flags(self) -> U64:
        """Packets that carry each TCP flag: (row, direction, flag)."""
        flags: U64 = self.counters["tcp_flags"] + self.counters["tcp_combinations"] @ FLAG_BITS
        return flags

    def counts(self, field: str) -> U64:
        """Return a field of INTERFACE_COUNTERS that counts packets: (row, direction, index)."""
        counts: U64 = self.counters[field]
        return counts


class Totals(Protocol):
    """Totals by interface, of live traffic or of a capture."""

    def lease_names(self) -> dict[int, str]:
        """Return interface names by the lease ids under which records may arrive."""

    def snapshot(self) -> Snapshot:
        """Read the totals now."""


def _units(tallies: Records) -> U64:
    """View tallies as numbers; the last axis is packets, bytes."""
    words: U64 = np.ascontiguousarray(tallies).view(np.uint64).reshape(*tallies.shape, 2)
    return words
