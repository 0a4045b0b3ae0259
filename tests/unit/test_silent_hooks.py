"""Silent hooks: found where the device reports packets, and nowhere else."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.ingressrules import IngressMode, IngressRule, IngressRules
from pktexp.interfaces import silenthooks
from pktexp.interfaces.attacher import Attachment
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.silenthooks import LEAST, SilentHooks
from pktexp.interfaces.tracker import Interfaces
from pktexp.netlink import linkstats
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS
from support.tracked import FakeDatapath, hooks, link, made

INGRESS, EGRESS = Direction
XDP = {INGRESS: Hook.XDP_NATIVE, EGRESS: Hook.TCX_EGRESS}
TCX = {INGRESS: Hook.TCX_INGRESS, EGRESS: Hook.TCX_EGRESS}


class Machine:
    """eth1: the statistics of its device, what its hooks count, and other XDP programs there.

    Each look is later than the one before by more than the time between two checks.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.received = self.sent = self.dropped = 0
        self.counted = [0, 0]
        self.others: list[int] = []
        self.attached: list[Attachment] = []
        clock = itertools.count(1000, 100)
        monkeypatch.setattr(silenthooks, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        monkeypatch.setattr(silenthooks, "xdp_programs", lambda _: self.others)
        monkeypatch.setattr(linkstats, "of", self.statistics)
        self.hooks = SilentHooks(self)  # type: ignore[arg-type]

    def attach(self, found: dict[Direction, Hook], bus: str = "pci") -> None:
        self.attached = [Attachment(link(1, bus=bus), dict(found), Lease("eth1", 1, 0))]

    def read(self, slots: Collection[int]) -> Any:
        rows: Any = np.zeros((len(slots), len(Direction)), INTERFACE_COUNTERS)
        for direction in Direction:
            rows["classes"]["packets"][:, direction, 3] = self.counted[direction]
        return rows

    def statistics(self, ifindexes: Collection[int]) -> Any:
        rows: Any = np.zeros(len(ifindexes), linkstats.LINK_STATISTICS)
        rows["ifindex"], rows["rx_dropped"] = list(ifindexes), self.dropped
        rows["rx_packets"], rows["tx_packets"] = self.received, self.sent
        return rows

    def look(self) -> list[str]:
        return [str(silent) for silent in self.hooks.find(self.attached)]

    def checks(self, count: int, received: int = LEAST, sent: int = 0) -> list[str]:
        """Make so many checks, with so many packets before each."""
        found = []
        for _ in range(count):
            self.received += received
            self.sent += sent
            found += self.look()
        return found


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(monkeypatch)
    made.attach(XDP)
    made.look()
    return made


def test_two_consecutive_silent_checks_find_a_hook_once(machine: Machine) -> None:
    assert machine.checks(1) == []
    assert machine.checks(1) == ["xdp-native saw 0 of 100 packets that the device received"]
    assert machine.checks(5) == []
    assert machine.hooks.count == 1


def test_hook_that_sees_one_of_a_hundred_packets_is_silent(machine: Machine) -> None:
    for expected in ([], ["xdp-native saw 2 of 200 packets that the device received"]):
        machine.counted[INGRESS] += 1
        assert machine.checks(1, received=100) == expected


def test_hook_that_sees_more_is_not_silent(machine: Machine) -> None:
    for _ in range(5):
        machine.counted[INGRESS] += 1
        assert machine.checks(1, received=99) == []


def test_a_check_with_few_packets_begins_anew(machine: Machine) -> None:
    for _ in range(5):
        assert machine.checks(1) == []
        assert machine.checks(1, received=LEAST - 1) == []


def test_packets_that_the_device_dropped_need_not_be_seen(machine: Machine) -> None:
    for _ in range(5):
        machine.dropped += 2
        assert machine.checks(1, received=LEAST + 1) == []


def test_statistic_that_starts_again_finds_nothing(machine: Machine) -> None:
    machine.checks(1)
    machine.received = 0
    assert machine.look() == []
    assert machine.checks(1) == []


def test_new_attachment_begins_anew(machine: Machine) -> None:
    machine.checks(1)
    machine.attach(XDP)
    assert machine.checks(2) == []
    assert len(machine.checks(1)) == 1


def test_silent_hooks_of_socket_buffers_are_found_at_physical_devices(machine: Machine) -> None:
    machine.attach(TCX)
    machine.look()
    assert machine.checks(2, sent=LEAST) == [
        "tcx-ingress saw 0 of 100 packets that the device received",
        "tcx-egress saw 0 of 100 packets that the device sent",
    ]


def test_another_xdp_program_explains_packets_that_no_hook_sees(machine: Machine) -> None:
    machine.attach(TCX)
    machine.others = [7]
    machine.look()
    assert machine.checks(5, sent=LEAST) == []
    assert machine.hooks.count == 0
    machine.others = []
    assert len(machine.checks(2)) == 1


def test_own_xdp_program_explains_no_silent_egress(machine: Machine) -> None:
    machine.others = [7]
    assert machine.checks(2, received=0, sent=LEAST) == [
        "tcx-egress saw 0 of 100 packets that the device sent"
    ]


def test_only_xdp_is_compared_at_virtual_devices(machine: Machine) -> None:
    machine.attach(TCX, bus="")
    machine.look()
    assert machine.checks(5, sent=LEAST) == []
    machine.attach(XDP, bus="")
    machine.look()
    assert machine.checks(5, sent=LEAST) == [
        "xdp-native saw 0 of 100 packets that the device received"
    ]


def test_checks_are_frequent_while_an_attachment_is_new(machine: Machine) -> None:
    assert machine.hooks.pause == silenthooks.SOON
    machine.checks(silenthooks.NEW, received=0)
    assert machine.hooks.pause == silenthooks.LATER
    machine.attach(TCX)
    machine.look()
    assert machine.hooks.pause == silenthooks.SOON


Tracked = tuple[Machine, Interfaces, FakeDatapath, Any]


@pytest.fixture
def tracked(machine: Machine) -> Tracked:
    """eth1, whose ingress hooks are native XDP, which never runs, and TCX."""
    interfaces, datapath, monitor = made(
        ingress=IngressRules([IngressRule(IngressMode.XDP_NATIVE)])
    )
    monitor.links = {1: link(1)}
    interfaces.look()
    return machine, interfaces, datapath, monitor


def silent(interfaces: Interfaces, machine: Machine) -> None:
    for _ in range(3):
        machine.received += LEAST
        interfaces.look()


def test_silent_xdp_is_replaced_and_stays_so(
    tracked: Tracked, caplog: pytest.LogCaptureFixture
) -> None:
    machine, interfaces, datapath, _ = tracked
    assert hooks(interfaces) == ["xdp-native", "tcx-egress"]
    silent(interfaces, machine)
    assert hooks(interfaces) == ["tcx-ingress", "tcx-egress"]
    assert (interfaces.replacements, interfaces.attach_failures) == (1, 0)
    assert "eth1: xdp-native saw 0 of 100 packets" in caplog.text
    datapath.dead = {(1, INGRESS)}  # somebody detaches the new program
    interfaces.look()
    assert hooks(interfaces) == ["tcx-ingress", "tcx-egress"]


def test_another_interface_at_the_ifindex_gets_the_first_hook(tracked: Tracked) -> None:
    machine, interfaces, _, monitor = tracked
    silent(interfaces, machine)
    monitor.gone = {1}
    interfaces.look()
    assert hooks(interfaces) == ["xdp-native", "tcx-egress"]


def test_silent_hook_without_another_is_reported_and_stays(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    interfaces, _, monitor = made()
    monitor.links = {1: link(1, bus="pci")}
    interfaces.look()
    silent(interfaces, machine)
    silent(interfaces, machine)
    assert hooks(interfaces) == ["tcx-ingress", "tcx-egress"]
    (line,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert line == (
        "eth1: tcx-ingress saw 0 of 100 packets that the device received, they are not counted"
    )
    assert (interfaces.silent.count, interfaces.replacements) == (1, 0)


def test_netlink_that_does_not_reply_is_counted_and_not_raised(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise TimeoutError

    _, interfaces, _, _ = tracked
    monkeypatch.setattr(linkstats, "of", refuse)
    interfaces.look()
    assert interfaces.failures.count == 1
    assert hooks(interfaces) == ["xdp-native", "tcx-egress"]
