"""Frames in tunnels of every kind, built by scapy, with the flow expected of the inner packet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, LLC, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import NoPayload, Packet, Raw

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = IP(src="192.0.2.1", dst="192.0.2.2")
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
INNER4 = IP(src="10.0.0.1", dst="10.0.0.2")
INNER6 = IPv6(src="fd00::1", dst="fd00::2")
NO_LAYER = NoPayload()

Flow = tuple[str, str, str]
"""protocol, source, dest"""


@dataclass(frozen=True)
class Inner:
    """The inner packet of a tunnel; `version`: of IP, 0 for a frame."""

    packet: Packet
    version: int
    flow: Flow


@dataclass(frozen=True)
class Tunnelled:
    """A frame, its tunnels, and the flow of the innermost packet."""

    name: str
    frame: bytes
    outer: tuple[str, str]
    kinds: tuple[str, ...]
    flow: Flow
    unparsed: str = ""


TCP4 = INNER4 / TCP(sport=1000, dport=80, flags="S") / Raw(b"x" * 9)
UDP6 = INNER6 / UDP(sport=1000, dport=53) / Raw(b"x" * 9)
TCP4_FLOW = ("tcp", "10.0.0.1:1000", "10.0.0.2:80")
UDP6_FLOW = ("udp", "[fd00::1]:1000", "[fd00::2]:53")
PACKETS = (
    Inner(TCP4, 4, TCP4_FLOW),
    Inner(UDP6, 6, UDP6_FLOW),
    Inner(INNER4 / ICMP(), 4, ("icmp", "10.0.0.1", "10.0.0.2")),
)
FRAMES = (
    *(Inner(ETHER / inner.packet, 0, inner.flow) for inner in PACKETS),
    Inner(ETHER / Dot1Q(vlan=7) / TCP4, 0, TCP4_FLOW),
    Inner(ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / UDP6, 0, UDP6_FLOW),
    Inner(ETHER / ARP(psrc="10.0.0.1", pdst="10.0.0.2"), 0, ("arp", "10.0.0.1", "10.0.0.2")),
    Inner(Dot3(dst="01:80:c2:00:00:00") / LLC() / STP(), 0, ("llc", "", "")),
    Inner(Ether(type=0x88B5) / Raw(bytes(50)), 0, ("other", "", "")),
)


def all_cases() -> list[Tunnelled]:
    """Return every kind and variant, over both versions of IP where it is over IP."""
    cases = [*over_ip_frames(), *over_ip_packets(), *ip_in_ip(), *without_ip()]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    return cases


def over_ip_frames() -> Iterator[Tunnelled]:
    """Yield tunnels over IP that carry frames."""
    options = [GeneveOptions(classid=1, type=2, data=b"o" * 8)]
    many = [GeneveOptions(classid=1, type=2, data=b"o" * 80)] * 3  # 63 words, no more fit
    wrappings = {
        "vxlan": UDP(sport=5555, dport=4789) / VXLAN(vni=5, flags=8),
        "vxlan with a policy": UDP(sport=5555, dport=4789) / VXLAN(vni=5, flags=0x88, gpid=6),
        "vxlan 8472": UDP(sport=5555, dport=8472) / VXLAN(vni=5),
        "geneve": UDP(sport=5555, dport=6081) / GENEVE(vni=5, proto=0x6558),
        "geneve options": UDP(sport=5555, dport=6081)
        / GENEVE(vni=5, proto=0x6558, options=options),
        "geneve 252 bytes": UDP(sport=5555, dport=6081) / GENEVE(vni=5, proto=0x6558, options=many),
        "gre teb": GRE(proto=0x6558),
        "gre teb key": GRE(proto=0x6558, key_present=1, key=5),
    }
    for (name, wrapping), inner in product(wrappings.items(), FRAMES):
        kind = name.partition(" ")[0]
        yield from over_both(f"{name}/{inner.packet.summary()}", wrapping, (kind,), inner)


def over_ip_packets() -> Iterator[Tunnelled]:
    """Yield tunnels over IP that carry IP."""
    gtpu = UDP(sport=5555, dport=2152)
    session = GTPPDUSessionContainer(type=1, QFI=9)
    for inner in PACKETS:
        ethertype = 0x0800 if inner.version == 4 else 0x86DD
        for bits in product((0, 1), repeat=3):
            names = ("chksum_present", "key_present", "seqnum_present")
            fields: dict[str, Any] = dict(zip(names, bits, strict=True))
            gre = GRE(proto=ethertype, **fields)
            yield from over_both(f"gre {bits}/{inner.packet.summary()}", gre, ("gre",), inner)
        wrappings = {
            "geneve": UDP(sport=5555, dport=6081) / GENEVE(vni=5, proto=ethertype),
            "gtpu": gtpu / GTP_U_Header(teid=5),
            "gtpu sequence": gtpu / GTP_U_Header(teid=5, S=1, seq=0xFFFF),
            # Without its flag the type of the next extension header means nothing.
            "gtpu number": gtpu / GTP_U_Header(teid=5, PN=1, npdu=7, next_ex=0x85),
            "gtpu session": gtpu / GTP_U_Header(teid=5, E=1, next_ex=0x85) / session,
            "gtpu all": gtpu / GTP_U_Header(teid=5, E=1, S=1, PN=1, next_ex=0x85) / session,
            "gtpu four extensions": gtpu
            / GTP_U_Header(gtp_type=255, teid=5, E=1, next_ex=0x40)
            / extensions(1, 2, 3, 255),
        }
        for name, wrapping in wrappings.items():
            kind = name.partition(" ")[0]
            yield from over_both(f"{name}/ip/{inner.packet.summary()}", wrapping, (kind,), inner)
        for protocol in (0x8847, 0x8848):
            in_gre = GRE(proto=protocol) / labels(2)
            name = f"mpls in gre {protocol:x}/{inner.packet.summary()}"
            yield from over_both(name, in_gre, ("gre", "mpls"), inner)


def ip_in_ip() -> Iterator[Tunnelled]:
    """Yield IP directly in IP."""
    for inner in PACKETS:
        kind4 = "ipip" if inner.version == 4 else "6in4"
        name = f"ip/{inner.packet.summary()}"
        yield over(V4, name, NO_LAYER, (kind4,), inner)
        yield over(V6, name, NO_LAYER, ("ip-in-ipv6",), inner)


def without_ip() -> Iterator[Tunnelled]:
    """Yield tunnels directly behind Ethernet, tagged and not."""
    links = {"": ETHER, "802.1Q ": ETHER / Dot1Q(vlan=5)}
    for inner, (tag, link) in product(PACKETS, links.items()):
        rest = inner.packet.summary()
        for count in range(1, 9):
            frame = bytes(link / labels(count) / inner.packet)
            name = f"{tag}{count} labels/{rest}"
            yield Tunnelled(name, frame, ("mpls", ""), ("mpls",), inner.flow)
        frame = bytes(link / PPPoE(sessionid=1) / PPP() / inner.packet)
        yield Tunnelled(f"{tag}pppoe/{rest}", frame, ("pppoe", ""), ("pppoe",), inner.flow)


def over_both(
    name: str, wrapping: Packet, kinds: tuple[str, ...], inner: Inner
) -> Iterator[Tunnelled]:
    """Yield a payload over IPv4 and over IPv6."""
    for network in (V4, V6):
        yield over(network, name, wrapping, kinds, inner)


def over(
    network: Packet, name: str, wrapping: Packet, kinds: tuple[str, ...], inner: Inner
) -> Tunnelled:
    frame = bytes(ETHER / network / wrapping / inner.packet)
    protocol = "gre" if wrapping.haslayer(GRE) else "udp"
    if isinstance(wrapping, NoPayload):
        protocol = "ipip" if inner.version == 4 else "ipv6"
    version = "4" if network is V4 else "6"
    return Tunnelled(f"ipv{version}/{name}", frame, (protocol, version), kinds, inner.flow)


def labels(count: int) -> Packet:
    """Build a stack of MPLS labels, of which only the last looks like the bottom."""
    stack: Packet = MPLS(label=17, cos=6, s=int(count == 1), ttl=255)
    for number in range(1, count):
        stack = stack / MPLS(label=17 + number, cos=7, s=int(number == count - 1), ttl=255)
    return stack


def extensions(*words: int) -> Packet:
    """Build GTP-U extension headers of so many 4-byte words; all but the last name a next."""
    types = [0xC0] * (len(words) - 1) + [0]
    pairs: Sequence[tuple[int, int]] = list(zip(words, types, strict=True))
    return Raw(b"".join(bytes([n]) + b"e" * (n * 4 - 2) + bytes([t]) for n, t in pairs))
