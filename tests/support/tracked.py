"""Interfaces over a netlink monitor and a datapath whose state a test sets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from pktexp.bpf.counters import Counters, chunk_shape
from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.ingressrules import IngressRules
from pktexp.interfaces.namefilter import NameFilter
from pktexp.interfaces.tracker import Interfaces
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction
from pktexp.packet.records import IFBS, INTERFACE_BUCKET, INTERFACE_COUNTERS, LEASE


class FakeMonitor:
    """A LinkMonitor whose state a test sets; the interfaces of `vanished` exist no more."""

    def __init__(self) -> None:
        self.links: dict[int, Link] = {}
        self.gone: set[int] = set()
        self.vanished: set[int] = set()
        self.overruns = 0
        self.synchronised = True
        self.relisted = self.changed = False
        self.error: Exception | None = None

    def receive(self) -> None:
        if self.error:
            raise self.error

    def take_gone(self) -> set[int]:
        gone, self.gone, self.changed = self.gone, set(), False
        return gone

    def take_relisted(self) -> bool:
        relisted, self.relisted = self.relisted, False
        return relisted

    def present(self, ifindex: int) -> bool:
        return ifindex in self.links and ifindex not in self.vanished | self.gone


class FakeDatapath:
    """A Datapath that attaches everywhere but in the directions of `errors`.

    Attachments in `dead` are reported as lost.
    """

    def __init__(self, slots: int) -> None:
        self.interfaces = np.zeros(slots, INTERFACE_BUCKET)
        self.ifbs = np.zeros(1, IFBS)
        self.counters = Counters(slots, lambda _: np.zeros(chunk_shape(1), INTERFACE_COUNTERS))
        self.leases = np.zeros(slots, LEASE)
        self.hooks = self
        self.options = SimpleNamespace(slots=slots)
        self.attached: set[tuple[int, Direction]] = set()
        self.dead: set[tuple[int, Direction]] = set()
        self.errors: dict[Direction, OSError] = {}
        self.tried: list[tuple[int, Hook]] = []
        self.tcx, self.pinned = True, False

    def attach(self, ifindex: int, direction: Direction, hook: Hook) -> None:
        if direction in self.errors:
            raise self.errors[direction]
        key = ifindex, direction
        assert key not in self.attached - self.dead, "counted twice"
        self.attached.add(key)
        self.dead.discard(key)
        self.tried.append((ifindex, hook))

    def detach_xdp(self, ifindex: int, _: Hook) -> None:
        self.attached.remove((ifindex, Direction.INGRESS))

    def inherits(self, _: int, __: Hook) -> bool:
        return False

    def lost(self) -> list[tuple[int, Direction]]:
        return sorted(self.dead)

    def detach(self, ifindex: int) -> None:
        self.attached -= {(ifindex, direction) for direction in Direction}
        self.dead &= self.attached

    forget = detach


def link(ifindex: int, *, up: bool = True, kind: str = "", bus: str = "") -> Link:
    return Link(ifindex, f"eth{ifindex}", 1, up, 1500, kind, bus=bus)


def made(
    slots: int = 4, wanted: NameFilter | None = None, ingress: IngressRules | None = None
) -> tuple[Interfaces, Any, Any]:
    datapath: Any = FakeDatapath(slots)
    monitor: Any = FakeMonitor()
    return Interfaces(datapath, monitor, wanted or NameFilter(), ingress), datapath, monitor


def hooks(interfaces: Interfaces, name: str = "eth1") -> list[str]:
    found = interfaces.snapshot().hooks
    return [found[name, direction] for direction in Direction]
