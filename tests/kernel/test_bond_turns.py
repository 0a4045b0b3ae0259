"""Ports take turns for XDP, so that never all links are down at one time.

A driver that restarts its link is played by the veth's other end, which goes down whenever XDP is
attached or detached. Ports of a bridge stand in for those of a bond in kernels without bonds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pktexp.bpf import libbpf
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.hooks import Hooks
from pktexp.bpf.ingressrules import IngressMode, IngressRule, IngressRules
from pktexp.bpf.options import DatapathOptions
from pktexp.interfaces import turns
from pktexp.interfaces.namefilter import NameFilter
from pktexp.interfaces.tracker import Interfaces
from pktexp.netlink.links import LinkMonitor, read_link
from pktexp.packet.enums import Direction
from support.netns.namespace import Namespace, connect
from support.patience import joined, wait_for

PEERS = {"vb": "va", "pb": "pa"}
MASTERS = {"bridge": ("bridge",), "bond": ("bond", "mode", "active-backup", "miimon", "20")}


class Cards:
    """The ports of `b`, whose drivers restart the link; `down` are the names of those links."""

    def __init__(self, a: Namespace, b: Namespace) -> None:
        self.a, self.b = a, b
        self.names = {b.link(port)["ifindex"]: port for port in PEERS}
        self.most_down = 0
        self.timers: list[threading.Timer] = []
        self.returns = False
        """whether a link comes back by itself"""

    def has_carrier(self, port: str) -> bool:
        return "LOWER_UP" in self.b.link(port)["flags"]

    def restart(self, ifindex: int) -> None:
        port = self.names[ifindex]
        self.a.ip("link", "set", PEERS[port], "down")
        self.most_down = max(self.most_down, sum(not self.has_carrier(name) for name in PEERS))
        if self.returns:
            self.timers.append(threading.Timer(0.3, self.come_back, (port,)))
            self.timers[-1].start()

    def come_back(self, port: str) -> None:
        self.a.ip("link", "set", PEERS[port], "up")
        wait_for(lambda: self.is_used(port))

    def is_used(self, port: str) -> bool:
        """Whether the port has a carrier, and its bond regards its link as up."""
        with self.b.entered():
            link = read_link(self.b.link(port)["ifindex"])
        return link is not None and link.carrier


@pytest.fixture(params=["bridge", "bond"])
def cards(
    pair: tuple[Namespace, Namespace],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Cards:
    a, b = pair
    connect(a, b, "pa", "pb")
    try:
        b.ip("link", "add", "top0", "up", "type", *MASTERS[request.param])
    except AssertionError:
        if request.param == "bridge":
            raise
        pytest.skip("needs the kernel module bonding")
    for port in PEERS:
        b.ip("link", "set", port, "down")
        b.ip("link", "set", port, "master", "top0")
        b.ip("link", "set", port, "up")
    cards = Cards(a, b)
    for port in PEERS:
        cards.come_back(port)
    attach, detach = Hooks.attach, Hooks.detach

    def attach_and_restart(hooks: Hooks, ifindex: int, direction: Direction, hook: Hook) -> None:
        attach(hooks, ifindex, direction, hook)
        if hook.xdp:
            cards.restart(ifindex)

    def detach_and_restart(hooks: Hooks, ifindex: int) -> None:
        detach(hooks, ifindex)
        cards.restart(ifindex)

    monkeypatch.setattr(Hooks, "attach", attach_and_restart)
    monkeypatch.setattr(Hooks, "detach", detach_and_restart)
    if request.param == "bridge":
        monkeypatch.setattr(turns, "REDUNDANT", ("bridge",))
    monkeypatch.setattr(turns, "SETTLE", 0.0)
    return cards


@pytest.fixture
def interfaces(cards: Cards) -> Iterator[Interfaces]:
    datapath = Datapath(libbpf.find(), DatapathOptions(slots=16, events=False))
    rules = IngressRules([IngressRule(IngressMode.XDP_NATIVE)])
    try:
        with cards.b.entered():
            monitor = LinkMonitor()
            yield Interfaces(datapath, monitor, NameFilter(tuple(PEERS)), rules, tuple(Direction))
            monitor.close()
    finally:
        datapath.close()


def hooks(interfaces: Interfaces) -> dict[str, str]:
    found = interfaces.snapshot().hooks
    return {name: hook for (name, way), hook in found.items() if way is Direction.INGRESS}


def test_second_port_is_attached_when_the_link_of_the_first_is_back(
    cards: Cards, interfaces: Interfaces
) -> None:
    interfaces.start()
    assert hooks(interfaces) == {"vb": "xdp-native", "pb": "none"}
    egress = {a.link.name: a.hooks[Direction.EGRESS] for a in interfaces.attachments()}
    assert egress.keys() == PEERS.keys()  # counted meanwhile
    for _ in range(3):
        interfaces.look()
    assert hooks(interfaces)["pb"] == "none"
    cards.come_back("vb")
    interfaces.look()
    assert hooks(interfaces) == {"vb": "xdp-native", "pb": "xdp-native"}
    assert not cards.has_carrier("pb")
    assert cards.most_down == 1
    assert interfaces.failures.count == interfaces.attach_failures == 0


def test_port_is_counted_at_tcx_if_the_link_of_another_does_not_return(
    cards: Cards, interfaces: Interfaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    interfaces.start()
    monkeypatch.setattr(turns, "BOUND", 0.0)
    interfaces.look()
    assert hooks(interfaces)["pb"] in ("tcx-ingress", "clsact-ingress")
    assert cards.has_carrier("pb")


def test_ports_are_detached_in_turn_at_the_end(cards: Cards, interfaces: Interfaces) -> None:
    interfaces.start()
    cards.come_back("vb")
    interfaces.look()
    cards.come_back("pb")
    interfaces.look()
    cards.returns = True
    interfaces.stop()
    for timer in cards.timers:
        joined(timer)
    assert all("xdp" not in cards.b.link(port) for port in PEERS)
    assert cards.most_down == 1
