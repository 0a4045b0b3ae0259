"""Headers cut before their addresses end: the class is the most exact one, addresses are empty."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, GRE, Dot1Q
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from pktexp.packet.enums import Tunnel
from support.kernel.datapath import Bench
from support.kernel.programs import VERDICTS, Seen, look, shortest
from support.packets.cases import ETHER, V4, V6

Names = tuple[str, str]
"""source and destination"""
NONE: Names = ("", "")


@dataclass(frozen=True)
class Header:
    """A packet whose addresses end after so many bytes; `shown` are its flow's labels."""

    packet: Packet
    addresses_end: int
    counted: tuple[str, str]
    shown: Names

    @property
    def without(self) -> tuple[str, str, str]:
        """Labels of its flow without addresses."""
        return (self.counted[0], *NONE)


HEADERS = {
    "ipv4": Header(V4 / TCP(), 20, ("other", "4"), ("192.0.2.1", "192.0.2.2")),
    "ipv4 of dhcp": Header(
        IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67),
        20,
        ("other", "4"),
        ("0.0.0.0", "255.255.255.255"),
    ),
    "ipv6": Header(V6 / TCP(), 40, ("other", "6"), ("2001:db8::1", "2001:db8::2")),
    "ipv6 with options": Header(
        V6 / IPv6ExtHdrDestOpt() / TCP(), 40, ("other", "6"), ("2001:db8::1", "2001:db8::2")
    ),
    "arp": Header(
        ARP(psrc="192.0.2.1", pdst="192.0.2.2"), 28, ("arp", ""), ("192.0.2.1", "192.0.2.2")
    ),
}
LINKS = {
    "ethernet": ETHER,
    "802.1Q": ETHER / Dot1Q(vlan=7),
    "two tags": ETHER / Dot1Q(vlan=7) / Dot1Q(vlan=8),
}
TUNNELS = {
    "vxlan": ETHER / V4 / UDP(sport=1, dport=4789) / VXLAN() / ETHER,
    "vxlan with a tag": ETHER / V6 / UDP(sport=1, dport=4789) / VXLAN() / ETHER / Dot1Q(vlan=7),
    "gre": ETHER / V4 / GRE(),
    "ip": ETHER / V4,
    "mpls": ETHER / MPLS(s=1),
    "pppoe": ETHER / PPPoE(sessionid=1) / PPP(),
}


@pytest.fixture
def plain(bench: Callable[..., Bench]) -> Bench:
    return bench()


@pytest.fixture
def decapsulating(bench: Callable[..., Bench]) -> Bench:
    return bench(decap=tuple(Tunnel))


def cuts(whole: bytes, header: Header, program: str) -> Iterator[tuple[bytes, bool]]:
    """Yield each frame cut in the header or right after its addresses, and if it has these."""
    start = len(whole) - len(bytes(header.packet))
    for length in range(max(start, shortest(program, whole)), start + header.addresses_end + 1):
        yield whole[:length], length == start + header.addresses_end


def flow(seen: Seen) -> tuple[str, str, str]:
    (found,) = seen.flows
    return found[:3]


@pytest.mark.parametrize("program", VERDICTS)
def test_header_cut_before_its_addresses_end_shows_none(plain: Bench, program: str) -> None:
    seen = 0
    for (link, begin), (name, header) in itertools.product(LINKS.items(), HEADERS.items()):
        for frame, complete in cuts(bytes(begin / header.packet), header, program):
            found, cut = look(plain, frame, program), (link, name, len(frame))
            expected = (header.counted[0], *header.shown) if complete else header.without
            assert tuple(flow(found)[1:]) == expected[1:], cut
            if not complete:
                assert flow(found)[0] == expected[0], cut
                assert found.protocols == (header.counted,), cut
                assert found.unparsed == {"truncated_network": 1}, cut
                seen += 1
    assert seen > 200


@pytest.mark.parametrize("program", VERDICTS)
def test_header_in_a_tunnel_cut_before_its_addresses_end_shows_none(
    decapsulating: Bench, program: str
) -> None:
    seen = 0
    for (tunnel, outer), (name, header) in itertools.product(TUNNELS.items(), HEADERS.items()):
        if ARP in header.packet and "vxlan" not in tunnel:
            continue  # these carry IP alone
        whole = bytes(outer / header.packet)
        counted = look(decapsulating, whole, program).protocols
        for frame, complete in cuts(whole, header, program):
            found, cut = look(decapsulating, frame, program), (tunnel, name, len(frame))
            assert found.protocols == counted, cut
            if not complete and found.tunnels:
                assert flow(found) == header.without, cut
                assert found.unparsed == {"truncated_network": 1}, cut
                seen += 1
    assert seen > 500


@pytest.mark.parametrize("program", VERDICTS)
def test_header_with_addresses_of_zeros_shows_them(plain: Bench, program: str) -> None:
    frames = {
        ("icmp", "0.0.0.0", "0.0.0.0"): ETHER / IP(src="0.0.0.0", dst="0.0.0.0") / ICMP(),
        ("other", "::", "::"): ETHER / IPv6(src="::", dst="::", nh=253),
        ("arp", "0.0.0.0", "0.0.0.0"): ETHER / ARP(psrc="0.0.0.0", pdst="0.0.0.0"),
    }
    for labels, frame in frames.items():
        assert flow(look(plain, bytes(frame), program)) == labels


@pytest.mark.parametrize("program", VERDICTS)
def test_arp_for_other_addresses_shows_none(plain: Bench, program: str) -> None:
    changes: list[dict[str, Any]] = [{"ptype": 0x86DD}, {"hwlen": 8}, {"plen": 16}]
    for changed in changes:
        found = look(plain, bytes(ETHER / ARP(**changed)) + bytes(64), program)
        assert flow(found) == ("arp", *NONE), changed
        assert found.unparsed == {}, changed


@pytest.mark.parametrize("program", VERDICTS)
def test_header_of_the_other_version_shows_no_addresses(plain: Bench, program: str) -> None:
    for version, header in (("4", V4), ("6", V6)):
        frame = bytearray(bytes(ETHER / Dot1Q(vlan=7) / header / TCP()))
        frame[18] ^= 0x20  # 4 <-> 6
        found = look(plain, bytes(frame), program)
        assert flow(found) == ("other", *NONE)
        assert found.protocols == (("other", version),)
        assert found.unparsed == {"bad_header": 1}
