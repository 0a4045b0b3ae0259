"""Frames wrapped in every way, built by scapy, without expectations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from scapy.contrib.erspan import ERSPAN_II
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.macsec import MACsec
from scapy.contrib.mpls import MPLS
from scapy.layers.eap import EAPOL
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    fragment6,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.l2tp import L2TP
from scapy.layers.ppp import PPP, PPPoE, PPPoED
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw, bind_layers

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = IP(src="192.0.2.1", dst="192.0.2.2")
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
INNER4 = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1000, dport=80, flags="PA") / Raw(b"x" * 99)
INNER6 = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1000, dport=53) / Raw(b"x" * 99)
INNER: tuple[Packet, ...] = (INNER4, INNER6)
INNER_FRAMES: tuple[Packet, ...] = (
    *(ETHER / packet for packet in INNER),
    ETHER / Dot1Q(vlan=7) / INNER4,
)

# What scapy does not know of AH: what may follow it.
for layer, number in (
    (TCP, 6),
    (IPv6ExtHdrRouting, 43),
    (IPv6ExtHdrFragment, 44),
    (IPv6ExtHdrDestOpt, 60),
):
    bind_layers(AH, layer, nh=number)


def all_frames() -> Iterator[Packet]:
    links: list[Packet] = [ETHER, ETHER / Dot1Q(vlan=5), ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6)]
    for outer in (V4, V6):
        yield from (link / packet for packet in over_ip(outer) for link in links)
    yield from without_ip()
    yield from fragments()
    yield from extensions()
    yield from every_tcp_flag()


def over_ip(outer: Packet) -> Iterator[Packet]:
    """Yield tunnels, and errors that quote a packet."""
    for inner in INNER_FRAMES:
        yield outer / UDP(sport=4789, dport=4789) / VXLAN(vni=5) / inner
        yield outer / UDP(sport=6081, dport=6081) / GENEVE(vni=5) / inner
        yield outer / GRE(proto=0x6558) / inner
        yield outer / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / inner
    for inner in INNER:
        yield outer / inner  # IPIP, 6in4, 4in6, 6in6
        yield outer / GRE() / inner
        yield outer / GRE(key_present=1, key=5, chksum_present=1, seqnum_present=1) / inner
        yield outer / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=5) / inner
        yield outer / UDP(sport=1701, dport=1701) / L2TP(tunnel_id=5) / PPP() / inner
        yield outer / UDP(sport=6635, dport=6635) / MPLS(label=5, s=1) / inner
        yield outer / GRE(proto=0x8847) / MPLS(label=5, s=1) / inner
    yield outer / outer / outer / INNER4
    yield outer / ICMP(type=3, code=3) / INNER4
    yield outer / ICMPv6DestUnreach() / INNER6


def without_ip() -> Iterator[Packet]:
    """Yield frames that are not IP, though some contain it."""
    for inner in INNER:
        yield ETHER / MPLS(label=5, s=1) / inner
        yield ETHER / MPLS(label=5, s=0) / MPLS(label=6, s=0) / MPLS(label=7, s=1) / inner
        yield ETHER / MPLS(label=5, s=1) / Raw(bytes(4)) / ETHER / inner
        yield ETHER / PPPoE(sessionid=1) / PPP() / inner
        yield ETHER / Dot1Q(vlan=5) / PPPoE(sessionid=1) / PPP() / inner
        yield ETHER / MACsec(SCI=b"12345678", SC=1, PN=1) / inner
        yield Dot3(dst="02:00:00:00:00:02") / LLC() / SNAP() / inner
        yield Ether(type=0x88B5) / inner
    yield ETHER / PPPoED(code=9)
    yield ETHER / EAPOL()
    yield ETHER / ARP(op=2, psrc="192.0.2.1", pdst="192.0.2.2")
    yield Ether(type=0x8035) / ARP(op=3)
    yield ETHER / ARP(hwtype=32, hwlen=20, hwsrc=b"x" * 20, hwdst=b"y" * 20)
    yield Ether(type=0x0600) / Raw(b"x" * 60)


def fragments() -> Iterator[Packet]:
    """Yield all fragments of datagrams, of tunnels too, and behind extension headers."""
    segment = TCP(sport=1000, dport=80, flags="PA") / Raw(b"x" * 3000)
    for packet in (V4 / segment, V4 / GRE() / V4 / segment, V4 / V6 / segment):
        yield from (ETHER / part for part in fragment(packet, 1000))
    split = IPv6ExtHdrFragment(id=5)
    chains: list[Packet] = [
        IPv6ExtHdrHopByHop() / split,
        IPv6ExtHdrRouting(addresses=["2001:db8::9"]) / split,
        split / IPv6ExtHdrDestOpt(),
    ]
    for chain in chains:
        yield from (ETHER / part for part in fragment6(V6 / chain / segment, 1000))
    misleading = IPv6ExtHdrDestOpt(nh=17) / UDP() / Raw(b"x" * 99)
    yield ETHER / V6 / IPv6ExtHdrFragment(offset=1, nh=60) / misleading  # the nearest later one
    yield ETHER / IP(proto=6, frag=0x1000) / Raw(b"\xff" * 99)  # the highest bit alone


def extensions() -> Iterator[Packet]:
    """Yield chains of extension headers, also with AH, whose length has another unit."""
    headers: list[Packet] = [
        AH(spi=1, seq=1, icv=b"i" * 12, payloadlen=4),
        IPv6ExtHdrRouting(addresses=["2001:db8::9"]),
        IPv6ExtHdrFragment(id=1),
        IPv6ExtHdrDestOpt(options=[PadN(optdata=b"x" * 20)]),
    ]
    for first, second in permutations(headers, 2):
        yield ETHER / V6 / IPv6ExtHdrHopByHop() / first / second / TCP(flags="S")


def every_tcp_flag() -> Iterator[Packet]:
    """Yield all 256 sets of flags, with options, data, and an Ethernet trailer."""
    for flags in range(256):
        network: Packet = (V4, V6)[flags % 2]
        options = [("MSS", 1460), ("NOP", None)] if flags % 3 else []
        segment = TCP(sport=1000, dport=80, flags=flags, options=options) / Raw(b"x" * (flags % 5))
        frame = bytes(ETHER / network / segment)
        yield Ether(frame + b"\xff" * (flags % 7))
