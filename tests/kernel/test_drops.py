"""Packets dropped in many ways, counted by a running service under the kernel's reasons."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from support.kernel.features import needs_drop_reasons
from support.netns.namespace import Namespace, connect
from support.netns.traffic import A, B, Side, addressed, connection, drops, drops_when, fill, knock
from support.patience import wait_for
from support.service.process import serving, total

pytestmark = [pytest.mark.alone, needs_drop_reasons]

Pair = tuple[Namespace, Namespace]
Sides = tuple[Side, Side]
Make = Callable[[], Namespace]
UDP_SEGMENT = 103


@pytest.fixture
def sides(pair: Pair) -> Iterator[Sides]:
    with addressed(*pair) as both:
        yield both


def test_a_closed_port_is_counted_under_its_reason(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        knock(a, 999, 7)
        with pytest.raises(ConnectionRefusedError):
            a.open(socket.SOCK_STREAM).connect((B, 999))
        assert drops_when(service, "vb", 8) == {("vb", "no_socket"): 8}
    assert b.statistic("UdpNoPorts") == 7


def test_drops_of_a_full_socket_match_the_kernels_count(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        errors = fill(a, b, 1000, 50)
        assert 40 < errors < 50
        assert drops_when(service, "vb", errors) == {("vb", "socket_rcvbuff"): errors}


def test_drops_of_a_full_socket_count_on_loopback(sides: Sides) -> None:
    _, b = sides
    with serving(b.namespace) as service:
        errors = fill(b, b, 1000, 50)
        drops_when(service, "lo", errors)
        assert drops(service.page())["lo", "socket_rcvbuff"] == errors


def test_a_packet_with_expired_ttl_counts_at_its_ingress(sides: Sides, namespaces: Make) -> None:
    a, b = sides
    c = namespaces()
    connect(b.namespace, c, "vbc", "vc")
    b.namespace.ip("address", "add", "10.98.0.1/24", "dev", "vbc")
    b.namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    a.namespace.ip("route", "add", "10.98.0.0/24", "via", B)
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        a.namespace.run("sysctl", "-qw", "net.ipv4.ip_default_ttl=1")
        knock(a, 9, 5, to="10.98.0.2")
        assert drops_when(service, "vb", 5) == {("vb", "ip_inhdr"): 5}
    assert b.statistic("IpInHdrErrors") == 5


def test_packets_dropped_by_input_rules_count_at_their_ingress(sides: Sides) -> None:
    a, b = sides
    b.drop("input", "udp dport 5555")
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        knock(a, 5555, 9)
        assert drops_when(service, "vb", 9) == {("vb", "netfilter_drop"): 9}
    assert b.dropped_by_rule("input") == 9


def test_packets_dropped_by_output_rules_count_at_their_egress(
    sides: Sides,
) -> None:
    _, b = sides
    b.drop("output", "udp dport 5555")
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        knock(b, 5555, 4, to=A)
        assert drops_when(service, "vb", 4) == {("vb", "netfilter_drop"): 4}
    assert b.dropped_by_rule("output") == 4


def test_a_large_segment_counts_as_its_future_packets(sides: Sides) -> None:
    _, b = sides
    b.drop("output", "udp dport 5555")
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        client = b.open()
        client.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1000)
        with pytest.raises(PermissionError):
            client.sendto(bytes(9500), (A, 5555))
        assert drops_when(service, "vb", 10) == {("vb", "netfilter_drop"): 10}
    assert b.dropped_by_rule("output") == 1


def test_a_merged_buffer_counts_as_its_packets(sides: Sides) -> None:
    a, b = sides
    b.namespace.run("ethtool", "-K", "vb", "gro", "on", "rx-gro-list", "on")
    b.drop("input", "udp dport 5555")
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        client = a.open()
        client.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1000)
        client.sendto(bytes(30_000), (B, 5555))
        assert drops_when(service, "vb", 30) == {("vb", "netfilter_drop"): 30}
    assert b.dropped_by_rule("input") < 30


def test_a_reassembled_packet_counts_once(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        knock(a, 999, 3, size=25_000)
        found = drops_when(service, "vb", 3)
        page = service.page()
    assert b.statistic("IpReasmOKs") == 3
    assert found == {("vb", "no_socket"): 3}
    assert total(page, "total_packets", interface="vb") == 9


def test_packets_to_a_device_whose_peer_is_down_are_counted(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        a.namespace.ip("link", "set", "va", "down")
        wait_for(lambda: b.namespace.link("vb")["operstate"] != "UP")
        knock(b, 9, 6, to=A)
        path = "/sys/class/net/vb/statistics/tx_dropped"
        dropped = int(b.namespace.run("cat", path))
        found = drops_when(service, "vb", dropped)
    assert dropped == 6
    assert found == {("vb", "qdisc_drop"): dropped}


def test_a_packet_without_a_route_is_counted_at_no_interface(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        _, client = connection(a, b)
        b.namespace.ip("route", "delete", "10.99.0.0/24")
        client.send(b"lost")
        wait_for(lambda: b.statistic("IpOutNoRoutes"))
        found = drops_when(service, "", b.statistic("IpOutNoRoutes"))
        assert found == {("", "ip_outnoroutes"): b.statistic("IpOutNoRoutes")}


def test_delivered_packets_and_other_buffers_count_nothing(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        server, client = b.open(), a.open()
        server.bind((B, 1000))
        for _ in range(50):
            client.sendto(b"read me", (B, 1000))
            assert server.recv(100) == b"read me"
        a.namespace.run("ping", "-c", "3", "-i", "0.01", B)
        with b.namespace.entered():
            left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        left.send(b"nobody will read this")
        right.close()
        left.close()
        page = service.page()
    assert drops(page, "vb") == drops(page, "") == {}
    assert total(page, "pktexp_drop_misses_total") == 0
