"""Packets that no record told of are between `other` and `other`, also of ended interfaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pktexp.flows.networks import NamedNetworks
from pktexp.flows.networksums import INTERFACE_CLASSES, NetworkSums
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.metrics.networks import NetworkPage
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS
from support.service.process import parse, total


class Lost:
    """Leases that lost packets at egress, of 100 bytes each."""

    def __init__(self) -> None:
        self.packets: dict[Lease, int] = {}

    def lease_names(self) -> dict[int, str]:
        return {lease.id: lease.name for lease in self.packets}

    def snapshot(self) -> Snapshot:
        totals = np.zeros((len(self.packets), len(Direction)), INTERFACE_COUNTERS)
        for row, packets in enumerate(self.packets.values()):
            totals[row, Direction.EGRESS]["lost"] = (packets, 100 * packets)
        return Snapshot(list(self.packets), totals, tuple(Direction), {})


class OneLease(Lease):
    """To be found in a dictionary."""

    __hash__ = object.__hash__


def test_lost_packets_count_as_other_of_their_interfaces_class() -> None:
    classes = np.array([INTERFACE_CLASSES.index(c) for c in ("physical", "virtual")], np.uint8)
    interfaces, first, second = Lost(), OneLease("a", 2, 0), OneLease("b", 3, 1)
    page = NetworkPage(interfaces, NetworkSums(NamedNetworks(Path()), classes), classes)

    def lost(kind: str) -> tuple[int, int]:
        found = parse(page(False))
        labels = {"class": kind, "direction": "egress", "source_network": "other"}
        names = (f"pktexp_network_{unit}_total" for unit in ("packets", "bytes"))
        packets, bytes_ = (total(found, name, **labels) for name in names)
        return packets, bytes_

    interfaces.packets = {first: 3, second: 5}
    assert (lost("physical"), lost("virtual")) == ((3, 300), (5, 500))
    interfaces.packets = {second: 6}
    assert (lost("physical"), lost("virtual")) == ((3, 300), (6, 600))
    interfaces.packets = {OneLease("c", 4, 0): 2, second: 6}
    assert (lost("physical"), lost("virtual")) == ((5, 500), (6, 600))
