"""Packets built by scapy, and the counts expected of them, derived from how they are built."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scapy.contrib.lldp import LLDPDUChassisID, LLDPDUEndOfLLDPDU, LLDPDUPortID, LLDPDUTimeToLive
from scapy.contrib.mpls import MPLS
from scapy.contrib.ospf import OSPF_Hdr
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH, ESP
from scapy.layers.l2 import ARP, GRE, LLC, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Packet, Raw, bind_layers

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = IP(src="192.0.2.1", dst="192.0.2.2")
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
PORTS: dict[str, Any] = {"sport": 1234, "dport": 53}
ADDRESSES = {"4": ("192.0.2.1", "192.0.2.2"), "6": ("2001:db8::1", "2001:db8::2"), "": ("", "")}


# What scapy does not know of AH: what may follow it, and that it may follow a fragment header.
for layer, number in ((TCP, 6), (UDP, 17), (SCTP, 132)):
    bind_layers(AH, layer, nh=number)
bind_layers(IPv6ExtHdrFragment, AH, nh=51)


@dataclass(frozen=True)
class Case:
    """One frame, and the counts and flow expected of it."""

    name: str
    frame: bytes
    protocol: str
    ip_version: str = ""
    unparsed: str = ""
    ports: tuple[int, int] | None = None
    addresses: tuple[str, str] | None = None

    @property
    def hosts(self) -> tuple[str, str]:
        return self.addresses or ADDRESSES[self.ip_version]

    @property
    def sockets(self) -> tuple[str, str]:
        if not self.ports:
            return self.hosts
        form = "[{}]:{}" if self.ip_version == "6" else "{}:{}"
        source, dest = self.hosts
        return form.format(source, self.ports[0]), form.format(dest, self.ports[1])

    def __str__(self) -> str:
        return self.name


def case(
    name: str,
    packet: Packet,
    protocol: str,
    ip_version: str = "",
    *,
    ports: tuple[int, int] | None = None,
    addresses: tuple[str, str] | None = None,
    unparsed: str = "",
    cut: int | None = None,
) -> Case:
    """Build a case; `cut`: keep that many bytes of the frame."""
    return Case(name, bytes(packet)[:cut], protocol, ip_version, unparsed, ports, addresses)


def transports(name: str, network: Packet, version: str) -> list[Case]:
    """Return TCP, UDP and SCTP over a network layer."""
    both = (1234, 53)
    return [
        case(f"{name}/tcp", network / TCP(**PORTS, flags="S"), "tcp", version, ports=both),
        case(f"{name}/udp", network / UDP(**PORTS) / Raw(b"x" * 50), "udp", version, ports=both),
        case(
            f"{name}/sctp", network / SCTP(**PORTS) / SCTPChunkData(), "sctp", version, ports=both
        ),
    ]


def encapsulations() -> list[Case]:
    tags = {
        "plain": ETHER,
        "802.1Q": ETHER / Dot1Q(vlan=5),
        "802.1ad": ETHER / Dot1AD(vlan=5),
        "QinQ": ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6),
        "four tags": ETHER / Dot1Q(vlan=1) / Dot1AD(vlan=2) / Dot1Q(vlan=3) / Dot1AD(vlan=4),
    }
    cases = []
    for name, link in tags.items():
        cases += transports(f"{name}/ipv4", link / V4, "4")
        cases += transports(f"{name}/ipv6", link / V6, "6")
        addresses = ("192.0.2.1", "192.0.2.2")
        arp = ARP(psrc=addresses[0], pdst=addresses[1])
        cases.append(case(f"{name}/arp", link / arp, "arp", addresses=addresses))
    return cases


def ip_options_and_extensions() -> list[Case]:
    options = IP(src="192.0.2.1", dst="192.0.2.2", options=[b"\x94\x04\x00\x00"] * 10)
    cases = transports("ipv4 with 40 bytes of options", ETHER / options, "4")
    ah = AH(spi=1, seq=1, icv=b"i" * 12, payloadlen=4)
    chains = {
        "hop-by-hop": IPv6ExtHdrHopByHop(),
        "routing": IPv6ExtHdrRouting(addresses=["2001:db8::9"]),
        "destination options": IPv6ExtHdrDestOpt(),
        "atomic fragment": IPv6ExtHdrFragment(id=1),
        "ah": ah,
        "all five": IPv6ExtHdrHopByHop()
        / IPv6ExtHdrDestOpt()
        / IPv6ExtHdrRouting(addresses=["2001:db8::9"])
        / IPv6ExtHdrFragment(id=1)
        / ah,
        "eight": _chain(8),
    }
    for name, chain in chains.items():
        cases += transports(f"ipv6 with {name}", ETHER / V6 / chain, "6")
    return cases


def _chain(length: int) -> Packet:
    chain = IPv6ExtHdrDestOpt()
    for _ in range(length - 1):
        chain = chain / IPv6ExtHdrDestOpt()
    return chain


def fragments() -> list[Case]:
    first4 = IP(src="192.0.2.1", dst="192.0.2.2", flags="MF", id=7)
    later4 = IP(src="192.0.2.1", dst="192.0.2.2", frag=100, id=7, proto=17)
    first6 = V6 / IPv6ExtHdrFragment(m=1, id=7)
    later6 = V6 / IPv6ExtHdrFragment(offset=100, id=7, nh=17)
    udp = UDP(**PORTS) / Raw(b"x" * 600)
    rest = Raw(b"\xff" * 600)
    return [
        case("first fragment/ipv4", ETHER / first4 / udp, "udp", "4", ports=(1234, 53)),
        case("later fragment/ipv4", ETHER / later4 / rest, "udp", "4"),
        case("first fragment/ipv6", ETHER / first6 / udp, "udp", "6", ports=(1234, 53)),
        case("later fragment/ipv6", ETHER / later6 / rest, "udp", "6"),
    ]


def other_protocols() -> list[Case]:
    ppp = PPPoE(sessionid=1) / PPP() / V4
    lldp = LLDPDUChassisID(subtype=4, id=b"123456") / LLDPDUPortID(subtype=3, id=b"123456")
    lldp = lldp / LLDPDUTimeToLive(ttl=1) / LLDPDUEndOfLLDPDU()
    dot3 = Dot3(src="02:00:00:00:00:01", dst="01:80:c2:00:00:00")
    cases = [
        case("icmp", ETHER / V4 / ICMP(), "icmp", "4"),
        case("icmpv6", ETHER / V6 / ICMPv6EchoRequest(), "icmpv6", "6"),
        case("gre", ETHER / V4 / GRE() / V4 / ICMP(), "gre", "4"),
        case("esp", ETHER / V4 / ESP(spi=1), "esp", "4"),
        case(
            "ah over ipv4", ETHER / V4 / AH(spi=1, nh=99, payloadlen=4) / Raw(b"x" * 40), "ah", "4"
        ),
        case("ipip", ETHER / V4 / V4 / ICMP(), "ipip", "4"),
        case("6in4", ETHER / V4 / V6 / ICMPv6EchoRequest(), "ipv6", "4"),
        case("ospf", ETHER / V4 / OSPF_Hdr(), "ospf", "4"),
        case("mpls", ETHER / MPLS(label=3) / V4, "mpls"),
        case("pppoe", ETHER / ppp, "pppoe"),
        case("lldp", ETHER / lldp, "lldp"),
        case("stp", dot3 / LLC() / STP(), "llc"),
        case("an unknown ethertype", Ether(type=0x1234) / Raw(b"x" * 50), "other"),
    ]
    named = {
        2: "igmp",
        103: "pim",
        112: "vrrp",
        33: "dccp",
        50: "esp",
        47: "gre",
        99: "other",
        253: "other",
    }
    for number, protocol in named.items():
        for version, network in (("4", V4), ("6", V6)):
            packet = ETHER / network.copy() / Raw(b"\0" * 60)
            setattr(packet.getlayer(1), "proto" if version == "4" else "nh", number)
            cases.append(case(f"protocol {number}/ipv{version}", packet, protocol, version))
    return cases


def sizes() -> list[Case]:
    """Return UDP frames of sizes on both sides of every bucket's bound."""
    wanted = [
        60,
        64,
        65,
        128,
        129,
        256,
        257,
        512,
        513,
        1024,
        1025,
        1514,
        1518,
        1519,
        4096,
        4097,
        9000,
    ]
    return [
        case(
            f"{size} bytes",
            ETHER / V4 / UDP(**PORTS) / Raw(b"x" * (size - 42)),
            "udp",
            "4",
            ports=(1234, 53),
        )
        for size in wanted
    ]


def malformed() -> list[Case]:
    """Return frames that end early or contradict themselves, with how far they can be parsed."""
    none = ("", "")
    tcp4, tcp6 = ETHER / V4 / TCP(), ETHER / V6 / TCP()
    bad_version = bytearray(bytes(tcp4))
    bad_version[14] = 0x65
    bad_length = bytearray(bytes(tcp4))
    bad_length[14] = 0x44
    bad_version6 = bytearray(bytes(tcp6))
    bad_version6[14] = 0x40
    five = ETHER / Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / V4 / TCP()
    options = IP(src="192.0.2.1", dst="192.0.2.2", options=[b"\x94\x04\x00\x00"] * 10)
    link, network, transport = "truncated_link", "truncated_network", "truncated_transport"
    return [
        case("cut in a tag", ETHER / Dot1Q() / V4, "other", unparsed=link, cut=16),
        case("five tags", five, "other", unparsed="vlan_depth"),
        case("cut before ipv4", tcp4, "other", "4", addresses=none, unparsed=network, cut=14),
        case("cut in ipv4", tcp4, "other", "4", addresses=none, unparsed=network, cut=33),
        case("cut in options", ETHER / options / TCP(), "tcp", "4", unparsed=network, cut=50),
        case("cut in tcp", tcp4, "tcp", "4", unparsed=transport, cut=37),
        case("cut before tcp", tcp4, "tcp", "4", unparsed=transport, cut=34),
        case("cut in ipv6", tcp6, "other", "6", addresses=none, unparsed=network, cut=53),
        case("cut in tcp/ipv6", tcp6, "tcp", "6", unparsed=transport, cut=57),
        case(
            "cut in an extension",
            ETHER / V6 / IPv6ExtHdrDestOpt() / TCP(),
            "other",
            "6",
            unparsed=network,
            cut=58,
        ),
        case(
            "nine extensions",
            ETHER / V6 / _chain(9) / TCP(),
            "other",
            "6",
            unparsed="extension_depth",
        ),
        case("cut in arp", ETHER / ARP(), "arp", addresses=none, unparsed=network, cut=30),
        Case("ipv4 of version 6", bytes(bad_version), "other", "4", "bad_header", None, none),
        Case("ipv4 with 16 bytes", bytes(bad_length), "other", "4", "bad_header", None, none),
        Case("ipv6 of version 4", bytes(bad_version6), "other", "6", "bad_header", None, none),
    ]


def all_cases() -> list[Case]:
    return [
        *encapsulations(),
        *ip_options_and_extensions(),
        *fragments(),
        *other_protocols(),
        *sizes(),
        *malformed(),
    ]


def expected_traffic(cases: Iterable[Case]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (packets, bytes) by (protocol, IP version)."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for c in cases:
        sums[c.protocol, c.ip_version][0] += 1
        sums[c.protocol, c.ip_version][1] += len(c.frame)
    return {key: (packets, bytes_) for key, (packets, bytes_) in sums.items()}


def expected_unparsed(cases: Iterable[Case]) -> Counter[str]:
    return Counter(c.unparsed for c in cases if c.unparsed)


def expected_flows(
    cases: Iterable[Case], *, sockets: bool
) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Return (packets, bytes) by (protocol, source, dest)."""
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for c in cases:
        sums[c.protocol, *(c.sockets if sockets else c.hosts)][0] += 1
        sums[c.protocol, *(c.sockets if sockets else c.hosts)][1] += len(c.frame)
    return {key: (packets, bytes_) for key, (packets, bytes_) in sums.items()}
