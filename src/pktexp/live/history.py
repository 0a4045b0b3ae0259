"""Rates of the last fifteen minutes, a second apart, by interface, in numpy rings of a fixed size.

live/sampler.py adds a second at a time, live/past.py reads. Memory is reserved at the start for
LIMIT interfaces, and taken as they come: the kernel gives pages when they are first written to.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pktexp.packet.enums import Direction, IpClass, LinkClass, PacketClass

SECONDS = 900
LIMIT = 128  # interfaces
UNITS = ("packets", "bytes")

U64 = npt.NDArray[np.uint64]
F32 = npt.NDArray[np.float32]


class Group(IntEnum):
    """What is told apart of an interface's past."""

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


def _classes() -> list[list[int]]:
    groups: list[list[int]] = [[] for _ in Group]
    groups[Group.OTHER] = [PacketClass.LINK + c for c in LinkClass]
    for c in IpClass:
        groups[OF_IP.get(c, Group.OTHER_IP)] += [PacketClass.IPV4 + c, PacketClass.IPV6 + c]
    return groups


GROUP_CLASSES = _classes()
"""packet classes of each group"""


def grouped(tallies: U64) -> U64:
    """(…, packet class, unit) summed to (…, group, unit)."""
    return np.stack([tallies[..., of, :].sum(axis=-2) for of in GROUP_CLASSES], axis=-2)


class History:
    """Rates by second, NaN where nothing was sampled. Safe to use from several threads.

    A second is a whole number that only grows, and goes on while the machine sleeps.
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
        """How many have a ring."""
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Memory for as many as can have one, in bytes."""
        return self._rates.nbytes + self._counts.nbytes

    def add(self, second: int, ids: Sequence[int], counts: U64) -> None:
        """Counters at the end of a second, (lease, direction, group, unit), by lease id.

        Those of a lease only grow. A lease that is not among `ids` is forgotten; one that finds no
        ring free waits for one.
        """
        with self._lock:
            self._let(ids)
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
        """(direction, group, unit, step): means over each step, the last one ending with `last`.

        As many steps as cover `seconds`. NaN where there is no sample, None if it has no ring. A
        rate behind missed seconds is the mean since the sample before them.
        """
        with self._lock:
            if self.last is None or (place := self._places.get(lease)) is None:
                return None
            length = -(-seconds // step)
            wanted = np.arange(self.last - length * step, self.last) + 1
            rates = self._rates[place][..., wanted % SECONDS]
            rates[..., wanted <= self.last - SECONDS] = np.nan
        return _means(rates.reshape(*rates.shape[:-1], length, step))

    def _let(self, ids: Sequence[int]) -> None:
        """Give the rings of leases that have ended to those that have none, in their order."""
        for ended in self._places.keys() - set(ids):
            self._free.append(self._places.pop(ended))
        for lease in ids:
            if lease not in self._places and self._free:
                place = self._places[lease] = self._free.popleft()
                self._rates[place] = np.nan
                self._counted[place] = False


def _means(rates: F32) -> F32:
    """Over the last axis, NaN left out; NaN where there is nothing else."""
    there = ~np.isnan(rates)
    sums = np.where(there, rates, 0).sum(axis=-1, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as it should be
        means: F32 = (sums / there.sum(axis=-1)).astype(np.float32)
    return means
