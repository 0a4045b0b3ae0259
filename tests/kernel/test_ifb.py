"""Packets that go through an IFB are counted once on the interface that sends or receives them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from support.kernel.features import needs_tcx
from support.netns.namespace import Namespace
from support.packets.cases import ETHER, V4
from support.patience import wait_for
from support.service.process import serving, traffic

Pair = tuple[Namespace, Namespace]
PACKET, COUNT = bytes(ETHER / V4) + bytes(60), 10
ALL = ("u32", "match", "u32", "0", "0")
REDIRECT = (*ALL, "action", "mirred", "egress", "redirect", "dev", "ifb0")


@dataclass(frozen=True)
class Way:
    """Commands of tc that redirect packets of `va` through the IFB."""

    commands: tuple[tuple[str, ...], ...]
    direction: str = "egress"


CLSACT = ("qdisc", "add", "dev", "va", "clsact")
FILTER = ("filter", "add", "dev", "va")
WAYS = {
    "egress": Way((CLSACT, (*FILTER, "egress", "protocol", "ip", *REDIRECT))),
    "ingress": Way((CLSACT, (*FILTER, "ingress", "protocol", "ip", *REDIRECT)), "ingress"),
    "qdisc": Way(
        (
            ("qdisc", "add", "dev", "va", "root", "handle", "1:", "htb", "default", "1"),
            ("class", "add", "dev", "va", "parent", "1:", "classid", "1:1", "htb", "rate", "1gbit"),
            (*FILTER, "parent", "1:", "protocol", "ip", *REDIRECT),
        )
    ),
}


def add_ifb(namespace: Namespace) -> None:
    namespace.ip("link", "add", "ifb0", "type", "ifb")
    namespace.ip("link", "set", "ifb0", "up")


def send(sender: Namespace, by: str, receiver: Namespace, at: str, frame: bytes) -> None:
    """Send frames, and wait until the kernel has counted all at the other end."""
    before = receiver.statistics(at)[0]
    sender.send(by, [frame] * COUNT)
    wait_for(lambda: receiver.statistics(at)[0] - before >= COUNT)
    assert receiver.statistics(at)[0] - before == COUNT


@needs_tcx
@pytest.mark.parametrize("options", [(), ("--exclude-interfaces", "ifb*")], ids=["all", "excluded"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_packet_through_an_ifb_is_counted_once(
    pair: Pair, way: Way, options: tuple[str, ...]
) -> None:
    a, b = pair
    add_ifb(a)
    for command in way.commands:
        a.run("tc", *command)
    with serving(a, *options) as service:
        service.wait_until_attached("va")
        if way.direction == "egress":
            send(a, "va", b, "vb", PACKET)
        else:
            send(b, "vb", a, "va", PACKET)
        went = a.run("tc", "-s", "qdisc", "show", "dev", "ifb0")
        counted = traffic(service.page(), "va", way.direction)
    assert f" {COUNT} pkt" in went
    assert counted == {("other", "4"): (COUNT, COUNT * len(PACKET))}


@needs_tcx
def test_packet_through_an_ifb_made_later_is_counted_once(pair: Pair) -> None:
    a, b = pair
    with serving(a) as service:
        service.wait_until_attached("va")
        add_ifb(a)
        service.wait_until_attached("ifb0")
        for command in WAYS["egress"].commands:
            a.run("tc", *command)
        send(a, "va", b, "vb", PACKET)
        counted = traffic(service.page(), "va", "egress")
    assert counted == {("other", "4"): (COUNT, COUNT * len(PACKET))}


@needs_tcx
def test_packet_through_an_ifb_is_counted_once_on_the_device_below_too(pair: Pair) -> None:
    a, b = pair
    add_ifb(a)
    a.ip("link", "add", "br0", "type", "bridge")
    a.ip("link", "set", "va", "master", "br0")
    a.ip("link", "set", "br0", "up")
    for command in WAYS["egress"].commands:
        a.run("tc", *("br0" if word == "va" else word for word in command))
    with serving(a) as service:
        service.wait_until_attached("br0")
        send(a, "br0", b, "vb", PACKET)
        page = service.page()
    for interface in ("br0", "va"):
        counted = traffic(page, interface, "egress")
        assert counted == {("other", "4"): (COUNT, COUNT * len(PACKET))}, interface
