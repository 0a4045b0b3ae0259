"""Packets and bytes that no shown flow has, summed by site, that is interface and direction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import numpy as np

from pktexp.packet.records import FLOW_KEY, U64, Records

Site = tuple[int, int]
"""(lease id, direction)"""

DIRECTION_BITS = 8 * FLOW_KEY["direction"].itemsize


def encode_sites(keys: Records) -> U64:
    """Encode the site of each key, an array of FLOW_KEY, as a number, for grouping."""
    interfaces: U64 = keys["interface"].astype(np.uint64)
    numbers: U64 = interfaces << np.uint64(DIRECTION_BITS) | keys["direction"]
    return numbers


def decode_site(number: int) -> Site:
    """Decode a number of `encode_sites`."""
    return number >> DIRECTION_BITS, number & (1 << DIRECTION_BITS) - 1


class Tally:
    """A sum of packets and bytes."""

    __slots__ = ("bytes", "packets")

    def __init__(self, packets: int = 0, bytes_: int = 0) -> None:
        self.packets = packets
        self.bytes = bytes_

    def add(self, packets: int, bytes_: int) -> None:
        """Add packets and bytes."""
        self.packets += packets
        self.bytes += bytes_


class Others:
    """Tallies by site."""

    def __init__(self) -> None:
        self._tallies: dict[Site, Tally] = defaultdict(Tally)

    def add(self, sites: U64, packets: U64, bytes_: U64) -> None:
        """Add packets and bytes to the tallies of their sites, encoded by `encode_sites`."""
        found = np.unique(sites)
        where = np.searchsorted(found, sites)
        sums = np.zeros((2, len(found)), np.uint64)
        np.add.at(sums[0], where, packets)
        np.add.at(sums[1], where, bytes_)
        for number, *amounts in zip(found.tolist(), *sums.tolist(), strict=True):
            self._tallies[decode_site(number)].add(*amounts)

    def forget_all_but(self, ids: Collection[int]) -> None:
        """Drop the tallies of interfaces whose lease ids are not in `ids`."""
        for site in [site for site in self._tallies if site[0] not in ids]:
            del self._tallies[site]

    def copy(self) -> dict[Site, Tally]:
        """Copy the tallies."""
        return {site: Tally(t.packets, t.bytes) for site, t in self._tallies.items()}
