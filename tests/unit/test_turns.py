"""Ports of a bond have XDP attached one after another: the kernel's state and the clock are set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pktexp.interfaces.turns import BOUND, SETTLE, STOP, Turn, Turns
from pktexp.netlink.linkinfo import Link

BOND, OTHER = 10, 20  # ifindexes


def port(ifindex: int, master: int = BOND, kind: str = "bond", carrier: bool = True) -> Link:
    name = f"eth{ifindex}"
    return Link(ifindex, name, 1, True, 1500, master=master, master_kind=kind, carrier=carrier)


class Bonds:
    """Ports whose links go down when a program is attached or detached, for `restart` seconds."""

    def __init__(self, *ports: Link, restart: float = 3) -> None:
        self.ports = {link.ifindex: link for link in ports}
        self.restart = restart
        self.now = 0.0
        self.down_until: dict[int, float] = {}
        self.turns = Turns(self.read, lambda: self.now, self.sleep)
        self.most_down = 0

    def read(self, ifindex: int) -> Link | None:
        link = self.ports.get(ifindex)
        up = self.down_until.get(ifindex, 0) <= self.now
        return link and replace(link, carrier=link.carrier and up)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def touch(self, ifindex: int) -> None:
        """Attach or detach: the link goes down."""
        self.down_until[ifindex] = self.now + self.restart
        self.most_down = max(self.most_down, sum(t > self.now for t in self.down_until.values()))

    def attach(self, ifindex: int) -> Turn:
        """Ask for a port's turn, and attach if it is its turn."""
        turn = self.turns.turn(self.ports[ifindex])
        if turn is Turn.NOW:
            self.turns.restarts(self.ports[ifindex])
            self.touch(ifindex)
        return turn


def test_next_port_waits_until_the_link_before_is_back() -> None:
    bonds = Bonds(port(1), port(2), port(3))
    assert [bonds.attach(n) for n in (1, 2, 3)] == [Turn.NOW, Turn.LATER, Turn.LATER]
    assert bonds.turns.take_waiting() == {2, 3}
    bonds.now = 2.9
    assert [bonds.attach(n) for n in (2, 3)] == [Turn.LATER, Turn.LATER]
    bonds.now = 3
    assert [bonds.attach(n) for n in (2, 3)] == [Turn.NOW, Turn.LATER]
    assert bonds.turns.take_waiting() == {2, 3}  # 2 asked at 2.9, too
    bonds.now = 6
    assert bonds.attach(3) is Turn.NOW
    assert bonds.turns.waiting == set()
    assert bonds.most_down == 1


def test_driver_that_takes_the_carrier_down_late_is_waited_for() -> None:
    bonds = Bonds(port(1), port(2), restart=0)
    bonds.attach(1)
    bonds.now = SETTLE - 0.1
    assert bonds.attach(2) is Turn.LATER
    bonds.now = SETTLE
    assert bonds.attach(2) is Turn.NOW


def test_link_that_does_not_come_back_ends_the_turns_of_its_bond() -> None:
    bonds = Bonds(port(1), port(2), restart=1000)
    bonds.attach(1)
    bonds.now = BOUND - 1
    assert bonds.attach(2) is Turn.LATER
    assert bonds.turns.take_waiting() == {2}
    bonds.now = BOUND
    assert bonds.attach(2) is Turn.NEVER
    assert bonds.turns.waiting == set()


@pytest.mark.parametrize(
    "gone",
    [
        lambda bonds: bonds.ports.pop(1),
        lambda bonds: bonds.ports.update({1: port(1, master=OTHER, carrier=False)}),
    ],
    ids=["deleted", "in another bond"],
)
def test_port_that_leaves_the_bond_is_not_waited_for(gone: Callable[[Bonds], object]) -> None:
    bonds = Bonds(port(1), port(2), restart=1000)
    bonds.attach(1)
    gone(bonds)
    bonds.now = SETTLE
    assert bonds.attach(2) is Turn.NOW


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (port(1), port(2, master=OTHER)),  # of two bonds
        (port(1, kind="bridge"), port(2, kind="bridge")),  # ports that do not replace each other
        (port(1, carrier=False), port(2)),  # nothing to lose
        (Link(1, "eth1", 1, True, 1500, carrier=True), Link(2, "eth2", 1, True, 1500)),
    ],
)
def test_unrelated_interfaces_do_not_wait(first: Link, second: Link) -> None:
    bonds = Bonds(first, second)
    assert [bonds.attach(n) for n in (1, 2)] == [Turn.NOW, Turn.NOW]


def test_same_port_is_attached_again_without_waiting() -> None:
    bonds = Bonds(port(1), port(2))
    assert [bonds.attach(1), bonds.attach(1)] == [Turn.NOW, Turn.NOW]


def test_ports_are_detached_one_after_another() -> None:
    bonds = Bonds(port(1), port(2), port(3, master=OTHER), port(4, kind="bridge"), restart=2.5)
    detached: list[tuple[int, float]] = []

    def detach(ifindex: int) -> None:
        detached.append((ifindex, round(bonds.now, 1)))
        bonds.touch(ifindex)

    assert bonds.turns.detach(bonds.ports.values(), detach) == []
    assert detached == [(1, 0), (3, 0), (2, 2.5)]  # the port of a bridge is left to close()


def test_detaching_in_turn_is_bounded() -> None:
    bonds = Bonds(port(1), port(2), port(3), restart=1000)
    left = bonds.turns.detach(bonds.ports.values(), bonds.touch)
    assert [link.ifindex for link in left] == [2, 3]
    assert bonds.now == pytest.approx(STOP, abs=0.2)
