"""Unseen packets, while interfaces are attached, detached and renamed between two readings."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pktexp.interfaces.attacher import Attachment
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.interfaces.unseen import Unseen
from pktexp.netlink import linkstats
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS
from support.service.samples import link


class Machine:
    """One interface with a statistic `sent`, of which `counted` passed the hook."""

    def __init__(self) -> None:
        self.sent = self.counted = 0
        self.lease = Lease("eth0", 1, 0)
        self.attached: list[Attachment] = []
        self.unseen = Unseen(self)

    def attach(self, kind: str = "veth", *hooks: Direction) -> None:
        found = dict.fromkeys(hooks or tuple(Direction), "tcx")
        veth = dataclasses.replace(link("eth0"), kind=kind)
        self.attached = [Attachment(veth, found, self.lease)]

    def attachments(self) -> list[Attachment]:
        return list(self.attached)

    def snapshot(self) -> Snapshot:
        counters: Any = np.zeros((1, len(Direction)), INTERFACE_COUNTERS)
        counters["classes"]["packets"][0, Direction.EGRESS, 0] = self.counted
        return Snapshot([self.lease], counters, tuple(Direction), {})

    def statistics(self) -> Any:
        rows: Any = np.zeros(1, linkstats.LINK_STATISTICS)
        rows["ifindex"], rows["tx_packets"] = link("eth0").ifindex, self.sent
        return rows

    def read(self) -> list[int]:
        found = self.unseen.read(self.unseen.covered(), self.statistics())
        return [packets for _, packets in found]


def test_packets_before_the_first_reading_do_not_count() -> None:
    machine = Machine()
    machine.sent = 1000
    machine.attach()
    assert machine.read() == [0]
    machine.sent += 7
    machine.counted += 3
    assert machine.read() == [4]


def test_packets_between_two_attachments_do_not_count() -> None:
    machine = Machine()
    machine.attach()
    machine.read()
    machine.sent += 5
    assert machine.read() == [5]
    machine.sent += 100
    machine.attach()
    assert machine.read() == [5]
    machine.sent += 2
    assert machine.read() == [7]


def test_statistic_that_starts_again_leaves_the_value() -> None:
    machine = Machine()
    machine.sent = 50
    machine.attach()
    machine.read()
    machine.sent += 5
    assert machine.read() == [5]
    machine.sent = 0
    machine.attach()
    assert machine.read() == [5]


def test_more_counted_than_sent_never_lowers_the_value() -> None:
    machine = Machine()
    machine.attach()
    machine.read()
    machine.sent += 9
    assert machine.read() == [9]
    machine.counted += 1000
    assert machine.read() == [9]


def test_packets_sent_while_the_readings_are_made_do_not_count() -> None:
    machine = Machine()
    machine.attach()
    covered, statistics = machine.unseen.covered(), machine.statistics()
    machine.sent += 10
    machine.counted += 10
    assert machine.unseen.read(covered, statistics) == [("eth0", 0)]


def test_interface_attached_or_detached_between_the_readings_is_left_out() -> None:
    machine = Machine()
    covered, statistics = machine.unseen.covered(), machine.statistics()
    machine.attach()
    assert machine.unseen.read(covered, statistics) == []
    covered = machine.unseen.covered()
    machine.attached = []
    assert machine.unseen.read(covered, statistics) == []


def test_lease_that_ended_is_forgotten() -> None:
    machine = Machine()
    machine.attach()
    machine.read()
    machine.sent += 5
    assert machine.read() == [5]
    machine.lease = Lease("eth0", 2, 0)
    machine.attach()
    assert machine.read() == [0]


def test_other_kinds_and_ingress_alone_are_not_covered() -> None:
    machine = Machine()
    for kind in ("", "bridge", "vlan", "bond", "macvlan", "vxlan", "loopback"):
        machine.attach(kind)
        assert machine.read() == []
    machine.attach("veth", Direction.INGRESS)
    assert machine.read() == []
