"""Samples made by hand: interfaces with so many packets of a hundred bytes, and flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pktexp.flows.others import Tally
from pktexp.flows.table import FlowSnapshot
from pktexp.interfaces.leases import Lease
from pktexp.live.sample import Details, Events, FlowReading, Sample
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction, PacketClass
from pktexp.packet.records import FLOW_KEY, SIZE_BUCKETS

TCP4, UDP4, TCP6 = 9, 10, 25
SIZE = 100

Packets = Mapping[tuple[str, int], int]
"""(interface, class) -> packets received"""
Flow = tuple[str, int, int, int]
"""interface, direction, class, the last byte of the source"""


def link(name: str, **values: Any) -> Link:
    told = {"ifindex": 5, "hardware_type": 1, "up": True, "mtu": 1500, **values}
    return Link(name=name, **told)


def sample(
    at: float,
    packets: Packets,
    flows: Mapping[Flow, int] | None = None,
    *,
    ids: Mapping[str, int] | None = None,
    drops: dict[tuple[str, str], int] | None = None,
    links: dict[str, Link] | None = None,
    flows_at: float | None = None,
) -> Sample:
    """Build a sample. `ids`: of the leases, if not the interfaces' numbers in their order."""
    names = list(dict.fromkeys(name for name, _ in packets))
    ids = ids or {name: number for number, name in enumerate(names, 1)}
    classes = np.zeros((len(names), len(Direction), PacketClass.COUNT, 2), np.uint64)
    for (name, packet_class), count in packets.items():
        classes[names.index(name), Direction.INGRESS, packet_class] = count, count * SIZE
    told = None if flows is None else _flows(flows, ids, classes, names)
    return Sample(
        at=at,
        now=1_800_000_000 + at,
        second=int(at),
        leases=[Lease(name, ids[name], row) for row, name in enumerate(names)],
        directions=tuple(Direction),
        classes=classes,
        sizes=np.zeros((len(names), len(Direction), SIZE_BUCKETS), np.uint64),
        lost=np.zeros((len(names), len(Direction), 2), np.uint64),
        hooks={(name, direction): "tcx" for name in names for direction in Direction},
        links={name: link(name) for name in names} if links is None else links,
        events=Events(0, 0),
        cpu=at / 100,
        flows=None if told is None else FlowReading(at if flows_at is None else flows_at, told),
        details=Details(drops or {}, [], {}, None, {}),
    )


def _flows(
    flows: Mapping[Flow, int], ids: Mapping[str, int], classes: Any, names: list[str]
) -> FlowSnapshot:
    """Build flows; the rest of each interface's packets are others."""
    keys = np.zeros(len(flows), FLOW_KEY)
    others = {
        (ids[name], int(d)): Tally(*classes[row, d].sum(axis=0).tolist())
        for row, name in enumerate(names)
        for d in Direction
    }
    for key, (flow, count) in zip(keys, flows.items(), strict=True):
        name, key["direction"], key["packet_class"], source = flow
        key["interface"] = ids[name]
        key["saddr"][:4], key["daddr"][:4] = (10, 0, 0, source), (10, 9, 9, 9)
        others[ids[name], flow[1]].add(-count, -count * SIZE)
    packets = np.array(list(flows.values()), np.uint64)
    hashes = np.arange(len(keys), dtype=np.uint64)
    return FlowSnapshot(hashes, keys, packets, packets * np.uint64(SIZE), others)
