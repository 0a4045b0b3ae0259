"""Rates of the last fifteen minutes, a second apart, by interface, in numpy rings of a fixed size.

Memory is reserved at the start for LIMIT interfaces and used as interfaces appear: the kernel
provides a page when it is first written.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pktexp.packet.enums import Direction, IpClass, LinkClass, PacketClass
from pktexp.packet.records import U64

SECONDS = 900
LIMIT = 128  # interfaces
UNITS = ("packets", "bytes")

F32 = npt.NDArray[np.float32]


class Group(IntEnum):
    """Groups of protocols that the history distinguishes."""

    TCP = 0
    UDP = 1
    ICMP = 2
    OTHER_IP = 3
    OTHER = 4


OF_IP = {
    IpClass.TCP: Group.TCP,
    IpClass.UDP: Group.UDP,
    IpClass.ICMP: Group.ICMP,
    IpClass.ICMPV6: Group.ICMP,
}


def _members() -> list[list[int]]:
    groups: list[list[int]] = [[] for _ in Group]
    groups[Group.OTHER] = [PacketClass.LINK + c for c in LinkClass]
    for c in IpClass:
        groups[OF_IP.get(c, Group.OTHER_IP)] += [PacketClass.IPV4 + c, PacketClass.IPV6 + c]
    return groups


GROUP_MEMBERS = _members()
"""packet classes of each group"""


def grouped(tallies: U64) -> U64:
    """Sum (…, packet class, unit) to (…, group, unit)."""
    return np.stack([tallies[..., of, :].sum(axis=-2) for of in GROUP_MEMBERS], axis=-2)


class History:
    """Rates by second, NaN where no sample was taken. Safe to use from several threads.

    A second is a whole number of seconds since the boot, including suspend.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        shape = (limit, len(Direction), len(Group), len(UNITS))
        self.limit = limit
        self.last: int | None = None
        self._rates = np.zeros((*shape, SECONDS), np.float32)
        self._counts = np.zeros(shape, np.uint64)
        self._counted = np.zeros(limit, np.bool_)
        self._places: dict[int, int] = {}
        self._free = deque(range(limit))
        self._lock = threading.Lock()

    @property
    def interfaces(self) -> int:
        """Number of interfaces that have a ring."""
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Memory of all rings, in bytes."""
        return self._rates.nbytes + self._counts.nbytes

    def add(self, second: int, ids: Sequence[int], counts: U64) -> None:
        """Add counters at the end of a second: (lease, direction, group, unit), by lease id.

        Counters of a lease only grow. A lease missing from `ids` loses its ring; a lease that finds
        no free ring waits for one.
        """
        with self._lock:
            self._assign(ids)
            rows = np.array([r for r, i in enumerate(ids) if i in self._places], np.intp)
            places = np.array([self._places[ids[row]] for row in rows], np.intp)
            elapsed = 1 if self.last is None else second - self.last
            for missed in range(max(second - elapsed + 1, second - SECONDS + 1), second):
                self._rates[places, ..., missed % SECONDS] = np.nan
            grown = (counts[rows] - self._counts[places]) / elapsed
            grown[~self._counted[places]] = np.nan
            self._rates[places, ..., second % SECONDS] = grown
            self._counts[places], self._counted[places] = counts[rows], True
            self.last = second

    def read(self, lease: int, seconds: int, step: int = 1) -> F32 | None:
        """Return means over each step, the last one ending with `last`; None without a ring.

        Shape (direction, group, unit, step), with as many steps as cover `seconds`; NaN without a
        sample. A rate after missed seconds is the mean since the sample before them.
        """
        with self._lock:
            if self.last is None or (place := self._places.get(lease)) is None:
                return None
            length = -(-seconds // step)
            wanted = np.arange(self.last - length * step, self.last) + 1
            rates = self._rates[place][..., wanted % SECONDS]
            rates[..., wanted <= self.last - SECONDS] = np.nan
        return _means(rates.reshape(*rates.shape[:-1], length, step))

    def _assign(self, ids: Sequence[int]) -> None:
        """Pass the rings of ended leases on to leases without one, in their order."""
        for ended in self._places.keys() - set(ids):
            self._free.append(self._places.pop(ended))
        for lease in ids:
            if lease not in self._places and self._free:
                place = self._places[lease] = self._free.popleft()
                self._rates[place] = np.nan
                self._counted[place] = False


def _means(rates: F32) -> F32:
    """Average over the last axis without NaN; NaN where there is nothing else."""
    there = ~np.isnan(rates)
    sums = np.where(there, rates, 0).sum(axis=-1, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as it should be
        means: F32 = (sums / there.sum(axis=-1)).astype(np.float32)
    return means
