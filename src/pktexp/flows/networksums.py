"""Packets and bytes between named networks, summed over all records.

Sums are kept by class of interface, since a packet that crosses a bridge and a NIC counts on both.
"""

from __future__ import annotations

import math
import threading

import numpy as np
import numpy.typing as npt

from pktexp.flows.networks import Indices, NamedNetworks, Networks
from pktexp.netlink.linkinfo import InterfaceClass
from pktexp.packet.enums import Direction
from pktexp.packet.records import U64, Records

INTERFACE_CLASSES = tuple(InterfaceClass)

Sums = U64
"""(interface class, direction, source, dest, unit), the unit being packets or bytes"""


class NetworkSums:
    """Keeps sums, which only grow; those of a removed name move to `other`.

    `classes`: by slot, the place in INTERFACE_CLASSES of the class of the slot's interface.
    """

    def __init__(self, named: NamedNetworks, classes: npt.NDArray[np.uint8]) -> None:
        self._named = named
        self._networks = named.current
        self._classes = classes
        self._sums = _zeros(self._networks)
        self._lock = threading.Lock()

    def merge(self, batch: Records) -> None:
        """Add a batch, an array of RING_RECORD or FLOW_SLOT."""
        flows = batch["flow"]
        with self._lock:
            self._follow(self._named.current)
            ends = [
                self._networks.find(flows[end], flows["packet_class"]) for end in ("saddr", "daddr")
            ]
            self._add(flows, *ends)

    def fold(self, batch: Records) -> None:
        """Add a batch that could not be merged to `other`."""
        nowhere = np.zeros(len(batch), np.intp)
        with self._lock:
            self._add(batch["flow"], nowhere, nowhere)

    def snapshot(self) -> tuple[tuple[str, ...], Sums]:
        """Return the names of networks, and the sums whose axes they index."""
        with self._lock:
            self._follow(self._named.current)
            return self._networks.names, self._sums.copy()

    def _add(self, flows: Records, sources: Indices, dests: Indices) -> None:
        classes = self._classes[flows["interface"] & np.uint32(len(self._classes) - 1)]
        *shape, _ = self._sums.shape
        cells = np.ravel_multi_index((classes, flows["direction"], sources, dests), shape)
        for unit, field in enumerate(("packets", "bytes")):
            sums = np.bincount(cells, flows[field], math.prod(shape))
            self._sums[..., unit] += sums.astype(np.uint64).reshape(shape)

    def _follow(self, networks: Networks) -> None:
        """Move the sums to the names now in force."""
        if networks is self._networks:
            return
        moved = _zeros(networks)
        to = [networks.names.index(n) if n in networks.names else 0 for n in self._networks.names]
        for source, dest in np.ndindex(len(to), len(to)):
            moved[:, :, to[source], to[dest]] += self._sums[:, :, source, dest]
        self._networks, self._sums = networks, moved


def _zeros(networks: Networks) -> Sums:
    count = len(networks.names)
    return np.zeros((len(INTERFACE_CLASSES), len(Direction), count, count, 2), np.uint64)
