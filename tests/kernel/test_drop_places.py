"""Interface and namespace of drops for which the packet's device or ifindex is not enough."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from support.netns.namespace import Namespace, connect
from support.netns.traffic import (
    A,
    B,
    Side,
    addressed,
    drops,
    drops_when,
    fill,
    knock,
)
from support.packets.segments import data_segment, shifted
from support.patience import wait_for
from support.service.process import serving

pytestmark = pytest.mark.alone

Pair = tuple[Namespace, Namespace]
Sides = tuple[Side, Side]
Make = Callable[[], Namespace]


@pytest.fixture
def sides(pair: Pair) -> Iterator[Sides]:
    with addressed(*pair) as both:
        yield both


def test_another_namespaces_interface_of_the_same_index_is_not_counted(
    sides: Sides, namespaces: Make
) -> None:
    here = namespaces()
    connect(namespaces(), here, "vx", "vy")
    a, b = sides
    index = b.namespace.link("vb")["ifindex"]
    assert here.link("vy")["ifindex"] == index
    with serving(here) as service, serving(b.namespace) as control:
        service.wait_until_attached("vy")
        control.wait_until_attached("vb")
        knock(a, 999, 5)
        errors = fill(a, b, 1000, 50)
        with pytest.raises(ConnectionRefusedError):
            a.open(socket.SOCK_STREAM).connect((B, 999))
        assert sum(drops_when(control, "vb", 6 + errors).values()) == 6 + errors
        assert drops(service.page(), "vy") == {}
        assert drops(service.page(), "") == {}


def test_drops_in_the_peers_namespace_are_not_counted(sides: Sides, namespaces: Make) -> None:
    a, b = sides
    connect(namespaces(), b.namespace, "vc", "vd")
    assert b.namespace.link("vd")["ifindex"] == a.namespace.link("va")["ifindex"]
    chain = "add chain netdev t in { type filter hook ingress device va priority 0; }"
    rule = "add rule netdev t in counter drop"
    a.namespace.run("nft", f"add table netdev t; {chain}; {rule}")
    with serving(b.namespace) as service:
        service.wait_until_attached("vd")
        knock(b, 9, 5, to=A)
        wait_for(lambda: "packets 5 " in a.namespace.run("nft", "list", "ruleset"))
        page = service.page()
    assert drops(page, "vb") == drops(page, "vd") == drops(page, "") == {}


def test_repeated_segments_without_a_device_are_counted(
    sides: Sides,
) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        frame, _ = data_segment(a, b)
        a.namespace.send("va", [shifted(frame, 0)] * 5)
        assert drops_when(service, "vb", 5) == {("vb", "tcp_old_data"): 5}


def test_each_out_of_order_segment_that_tcp_drops_is_counted(
    sides: Sides, namespaces: Make
) -> None:
    """TCP keeps them in a tree, whose pointers overlay the device of an skb."""
    here = namespaces()
    connect(namespaces(), here, "vx", "vy")
    a, b = sides
    with serving(b.namespace) as service, serving(here) as other:
        service.wait_until_attached("vb")
        other.wait_until_attached("vy")
        frame, receiver = data_segment(a, b)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        a.namespace.send("va", [shifted(frame, 50 * n) for n in range(100, 0, -1)])
        wait_for(lambda: b.statistic("TcpExtTCPOFOQueue") == 100)
        abort(receiver)
        found = drops_when(service, "vb", 100)
        assert sum(found.values()) == 100, found
        assert found["vb", "tcp_ofo_queue_prune"] > 0
        assert drops(other.page(), "vy") == drops(other.page(), "") == {}


def abort(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_drops_at_unwanted_interfaces_are_not_counted(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace, "--exclude-interfaces", "lo") as service:
        service.wait_until_attached("vb")
        knock(b, 999, 5, to="127.0.0.1")
        knock(a, 999, 2)
        drops_when(service, "vb", 2)
        assert drops(service.page()) == {("vb", "no_socket"): 2}


def test_drops_at_an_interface_whose_name_is_not_utf_8_are_counted(sides: Sides) -> None:
    a, b = sides
    name, shown = os.fsdecode(b"v\xff"), "v\\xff"
    b.namespace.ip("link", "set", "vb", "down")
    b.namespace.ip("link", "set", "vb", "name", name)
    b.namespace.ip("link", "set", name, "up")
    with serving(b.namespace) as service:
        service.wait_until_attached(shown)
        a.namespace.wait_for_carrier("va")
        knock(a, 999, 5)
        assert drops_when(service, shown, 5) == {(shown, "no_socket"): 5}
