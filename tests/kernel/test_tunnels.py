"""Tunnels decapsulated by every program: the flow inside, and the tunnels counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import pytest
from scapy.layers.inet import UDP, fragment
from scapy.layers.inet6 import IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import GRE, Dot1Q
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from pktexp.packet.enums import LinkType, Tunnel
from pktexp.packet.labels import TUNNELS
from support.kernel.datapath import Bench
from support.kernel.programs import VERDICTS, Seen, look, shortest
from support.packets.closedtunnels import NOT_ENTERED, OUTER4, OUTER6
from support.packets.tunnels import (
    ETHER,
    INNER4,
    TCP4,
    TCP4_FLOW,
    UDP6,
    V4,
    V6,
    Flow,
    Tunnelled,
    all_cases,
    labels,
)

CASES = all_cases()
VXLAN_V4 = V4 / UDP(sport=5555, dport=4789) / VXLAN(vni=5, flags=8)


@pytest.fixture
def all_tunnels(bench: Callable[..., Bench]) -> Bench:
    return bench(decap=tuple(Tunnel))


def check(bench: Bench, case: Tunnelled) -> None:
    """Compare the outcome of every program with the case."""
    for program in VERDICTS:
        size = len(case.frame)
        assert look(bench, case.frame, program) == Seen(
            packets=1,
            bytes=size,
            protocols=(case.outer,),
            unparsed={case.unparsed: 1} if case.unparsed else {},
            tunnels=dict.fromkeys(case.kinds, 1),
            flows=[(*case.flow, 1, size)],
        ), (case.name, program)


def test_every_tunnel_is_counted_and_shows_its_inner_flow(all_tunnels: Bench) -> None:
    assert {kind for case in CASES for kind in case.kinds} == set(TUNNELS.values())
    for case in CASES:
        check(all_tunnels, case)


def test_without_decap_the_flow_is_the_outer_one(bench: Callable[..., Bench]) -> None:
    outer = bench()
    for case in CASES:
        for program in VERDICTS:
            seen = look(outer, case.frame, program)
            assert not seen.tunnels, case.name
            assert seen.flows[0][0] == case.outer[0], case.name


@pytest.mark.parametrize("wanted", list(Tunnel), ids=TUNNELS.get)
def test_only_a_chosen_tunnel_is_decapsulated(bench: Callable[..., Bench], wanted: Tunnel) -> None:
    one, name, entered = bench(decap=(wanted,)), TUNNELS[wanted], 0
    for case in (c for c in CASES[::3] + CASES[1::3] if c.kinds != ("gre", "mpls")):
        for program in VERDICTS:
            seen = look(one, case.frame, program)
            assert seen.tunnels == ({name: 1} if case.kinds == (name,) else {}), case.name
            inside = case.kinds == (name,)
            entered += inside
            assert (seen.flows[0][:3] == case.flow) == inside, case.name
    assert entered >= 3


def test_a_tunnel_inside_an_unchosen_one_stays_closed(
    bench: Callable[..., Bench],
) -> None:
    one = bench(decap=(Tunnel.GRE,))
    mpls = bytes(ETHER / V4 / GRE(proto=0x8847) / labels(1) / TCP4)
    check(one, Tunnelled("mpls in gre", mpls, ("gre", "4"), ("gre",), ("mpls", "", "")))
    gre = bytes(ETHER / VXLAN_V4 / ETHER / V4 / GRE() / TCP4)
    flow = ("udp", "192.0.2.1:5555", "192.0.2.2:4789")
    check(one, Tunnelled("gre in vxlan", gre, ("udp", "4"), (), flow))


def test_packets_that_carry_no_packet_keep_their_flow(all_tunnels: Bench) -> None:
    for case in NOT_ENTERED:
        check(all_tunnels, case)


def test_the_source_port_alone_makes_no_tunnel(all_tunnels: Bench) -> None:
    for port in (4789, 8472, 6081, 2152):
        frame = bytes(ETHER / V4 / UDP(sport=port, dport=53) / VXLAN(flags=8) / ETHER / TCP4)
        flow = ("udp", f"192.0.2.1:{port}", "192.0.2.2:53")
        check(all_tunnels, Tunnelled(f"from {port}", frame, ("udp", "4"), (), flow))


def test_three_nested_tunnels_are_decapsulated_but_not_a_fourth(
    all_tunnels: Bench,
) -> None:
    gre, inner = V6 / GRE(), V4 / UDP(sport=7, dport=4789) / VXLAN(flags=8) / ETHER
    two = ETHER / VXLAN_V4 / ETHER / V4 / GRE() / TCP4
    three = ETHER / labels(2) / gre / inner / UDP6
    four = ETHER / labels(2) / gre / inner / V4 / TCP4
    same = ETHER / V4 / V4 / V4 / V4 / V4 / TCP4
    kinds = ("mpls", "gre", "vxlan")
    deepest = ("ipip", *OUTER4)
    udp6 = ("udp", "[fd00::1]:1000", "[fd00::2]:53")
    for frame, outer, passed, flow in (
        (two, ("udp", "4"), ("vxlan", "gre"), TCP4_FLOW),
        (three, ("mpls", ""), kinds, udp6),
        (four, ("mpls", ""), kinds, deepest),
        (same, ("ipip", "4"), ("ipip",), deepest),
    ):
        check(all_tunnels, Tunnelled(frame.summary(), bytes(frame), outer, passed, flow))


def fragments(kind: str, carrying: Packet) -> Iterator[tuple[Tunnelled, list[Tunnelled]]]:
    """Yield the first fragment and the later ones, for both versions of IP."""
    flow = ("udp", "10.0.0.1:1000", "10.0.0.2:53")
    protocol = "udp" if kind == "vxlan" else kind
    for version, addresses, passed, parts in (
        ("4", OUTER4, kind, fragment(V4 / carrying, 1000)),
        (
            *("6", OUTER6, "ip-in-ipv6" if kind == "ipip" else kind),
            fragment6(V6 / IPv6ExtHdrFragment() / carrying, 1000),
        ),
    ):
        outer, (first, *later) = (protocol, version), [bytes(ETHER / part) for part in parts]
        closed = outer, (), (protocol, *addresses)
        yield (
            Tunnelled(f"first, {kind}", first, outer, (passed,), flow),
            [Tunnelled(f"later, {kind}", part, *closed) for part in later],
        )


def test_only_the_first_fragment_is_decapsulated(all_tunnels: Bench) -> None:
    """The payload of each fragment looks like the start of a packet."""
    datagram = INNER4 / UDP(sport=1000, dport=53) / Raw(b"E" * 3000)
    vxlan = UDP(sport=5555, dport=4789) / VXLAN(flags=8) / ETHER / datagram
    for kind, carrying in (("vxlan", vxlan), ("gre", GRE() / datagram), ("ipip", datagram)):
        for first, later in fragments(kind, carrying):
            assert len(later) > 1
            for case in (first, *later):
                check(all_tunnels, case)


def test_fragments_inside_a_tunnel_have_ports_only_in_the_first(all_tunnels: Bench) -> None:
    first, *later = fragment(INNER4 / UDP(sport=1000, dport=53) / Raw(b"x" * 2000), 800)
    with_ports: Flow = ("udp", "10.0.0.1:1000", "10.0.0.2:53")
    without: Flow = ("udp", "10.0.0.1", "10.0.0.2")
    for part, flow in ((first, with_ports), *((part, without) for part in later)):
        frame = bytes(ETHER / VXLAN_V4 / ETHER / part)
        check(all_tunnels, Tunnelled("inside", frame, ("udp", "4"), ("vxlan",), flow))


def starts(case: Tunnelled) -> tuple[int, int]:
    """Return where the tunnel's header begins, behind the ports, and where its content begins."""
    inner = bytes(TCP4) if case.flow == TCP4_FLOW else bytes(UDP6)
    carried = case.frame.index(inner)
    behind = {"mpls": 14, "pppoe": 14}.get(case.outer[0], 34 if case.outer[1] == "4" else 54)
    return behind + (4 if case.outer[0] == "udp" else 0), carried


def test_a_cut_tunnel_header_is_counted_as_truncated_tunnel(all_tunnels: Bench) -> None:
    """The flow is then the outer one, with its ports."""
    packets = [c for c in CASES if (len(c.kinds) == 1 and "/ip" in c.name) or c.kinds == ("pppoe",)]
    cuts = 0
    for case in packets:
        if "802.1Q" in case.name or "ICMP" in case.name:
            continue
        begin, end = starts(case)
        for length in range(begin, end):
            for program in VERDICTS:
                seen = look(all_tunnels, case.frame[:length], program)
                assert seen.unparsed == {"truncated_tunnel": 1}, (case.name, length)
                assert seen.tunnels == {}
                assert seen.flows[0][0] == case.outer[0]
                cuts += 1
    assert cuts > 500


def test_a_frame_in_a_tunnel_cut_at_any_byte_passes_and_is_counted_once(
    all_tunnels: Bench,
) -> None:
    deep = ETHER / labels(2) / V6 / GRE() / VXLAN_V4 / ETHER / Dot1Q(vlan=7) / TCP4
    chosen = [*(case.frame for case in CASES[::4] if len(case.frame) < 200), bytes(deep)]
    assert len(chosen) > 60
    for frame in chosen:
        for program in VERDICTS:
            for length in range(shortest(program, frame), len(frame)):
                seen = look(all_tunnels, frame[:length], program)
                assert (seen.packets, seen.bytes) == (1, length)
                assert [flow[3:] for flow in seen.flows] == [(1, length)]
                assert sum(seen.unparsed.values()) <= 1
                assert set(seen.tunnels.values()) <= {1}


def test_tunnels_on_an_ip_interface_are_decapsulated(
    bench: Callable[..., Bench],
) -> None:
    ip = bench(LinkType.IP, decap=tuple(Tunnel))
    cases = [case for case in CASES if case.outer[1]]
    for case in islice(cases, 0, None, 3):
        check(ip, replace(case, frame=case.frame[14:]))
    assert len(cases) > 200
