"""Dissects a packet's outermost headers by the RFCs alone, to compare with the programs.

Each parser takes the remaining bytes, and raises Stop where it cannot continue. Fields that were
set until then stay, as docs/metrics.md promises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from support.packets.icmp import ICMP_NAMES, ICMPV6_NAMES

MOST_TAGS, MOST_EXTENSIONS = 4, 8  # docs/metrics.md
TAGS = (0x8100, 0x88A8)
ETHERTYPES = {
    0x88CC: "lldp",
    0x8847: "mpls",
    0x8848: "mpls",
    0x8863: "pppoe",
    0x8864: "pppoe",
    0x888E: "eapol",
    0x88E5: "macsec",
}
PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    132: "sctp",
}
# What RFC 8200 and RFC 4302 count the length of a header in: unit, and units that are not counted.
EXTENSIONS = {0: (8, 1), 43: (8, 1), 60: (8, 1), 51: (4, 2)}
FRAGMENT = 44


class Stop(Exception):  # noqa: N818 - it is no error of ours
    """The rest of the packet cannot be parsed; the text is the reason."""


@dataclass
class Told:
    """The fields of a packet; addresses are bytes, b"" where there are none."""

    protocol: str = "other"
    version: str = ""
    unparsed: str = ""
    source: bytes = b""
    dest: bytes = b""
    ports: tuple[int, int] = (0, 0)
    flags: int = 0
    icmp: str = ""
    traits: set[str] = field(default_factory=set)


def ethernet(frame: bytes) -> Told:
    """Dissect a frame of Ethernet."""
    return _told(_ethernet, frame)


def ip(packet: bytes) -> Told:
    """Dissect a packet without a link layer."""
    return _told(_ip, packet)


def _told(parser: Callable[[Told, bytes], None], packet: bytes) -> Told:
    told = Told()
    try:
        parser(told, packet)
    except Stop as stop:
        told.unparsed = str(stop)
    return told


def _take(packet: bytes, size: int, layer: str) -> tuple[bytes, bytes]:
    if len(packet) < size:
        raise Stop(f"truncated_{layer}")
    return packet[:size], packet[size:]


def _ethernet(told: Told, frame: bytes) -> None:
    header, rest = _take(frame, 14, "link")
    if header[0] % 2:
        told.traits.add("group")
    if header[:6] == b"\xff" * 6:
        told.traits.add("broadcast")
    ethertype, tags = int.from_bytes(header[12:]), 0
    while ethertype in TAGS:
        tags += 1
        if tags > MOST_TAGS:
            raise Stop("vlan_depth")
        tag, rest = _take(rest, 4, "link")
        ethertype = int.from_bytes(tag[2:])
    known = {0x800: _ipv4, 0x86DD: _ipv6, 0x806: _arp}.get(ethertype)
    if known:
        known(told, rest)
    else:
        told.protocol = "llc" if ethertype < 1536 else ETHERTYPES.get(ethertype, "other")


def _ip(told: Told, packet: bytes) -> None:
    version = _take(packet, 1, "network")[0][0] >> 4
    if version not in (4, 6):
        raise Stop("bad_header")
    (_ipv4 if version == 4 else _ipv6)(told, packet)


def _arp(told: Told, packet: bytes) -> None:
    told.protocol = "arp"
    header, _ = _take(packet, 28, "network")
    if header[2:6] == b"\x08\x00\x06\x04":
        told.source, told.dest = header[14:18], header[24:28]


def _ipv4(told: Told, packet: bytes) -> None:
    told.version = "4"
    header, _ = _take(packet, 20, "network")
    version, words = divmod(header[0], 16)
    if version != 4 or words < 5:
        raise Stop("bad_header")
    told.protocol = PROTOCOLS.get(header[9], "other")
    told.source, told.dest = header[12:16], header[16:20]
    if header[1] % 4 == 3:
        told.traits.add("ecn_marked")
    place = int.from_bytes(header[6:8])
    more, offset = bool(place & 0x2000), place % 0x2000
    if more or offset:
        told.traits.add("fragment")
    if not offset:
        _transport(told, _take(packet, words * 4, "network")[1])


def _ipv6(told: Told, packet: bytes) -> None:
    told.version = "6"
    header, rest = _take(packet, 40, "network")
    if header[0] >> 4 != 6:
        raise Stop("bad_header")
    told.source, told.dest = header[8:24], header[24:40]
    if header[1] >> 4 & 3 == 3:
        told.traits.add("ecn_marked")
    upper, found, offset = header[6], 0, 0
    while upper in EXTENSIONS or upper == FRAGMENT:
        found += 1
        if found > MOST_EXTENSIONS:
            raise Stop("extension_depth")
        start, _ = _take(rest, 4, "network")
        current, upper = upper, start[0]
        if current == FRAGMENT and (offset := _fragment(told, start)):
            break
        rest = _take(rest, _size(current, start[1]), "network")[1]
    told.protocol = PROTOCOLS.get(upper, "other")
    if not offset:
        _transport(told, rest)


def _size(extension: int, length: int) -> int:
    if extension == FRAGMENT:
        return 8
    unit, uncounted = EXTENSIONS[extension]
    return unit * (length + uncounted)


def _fragment(told: Told, start: bytes) -> int:
    """Note the fragment trait; return the offset in units of 8 bytes."""
    place = int.from_bytes(start[2:4])
    if place >> 3 or place % 2:
        told.traits.add("fragment")
    return place >> 3


def _transport(told: Told, rest: bytes) -> None:
    if (told.protocol, told.version) in (("icmp", "4"), ("icmpv6", "6")):
        names = ICMP_NAMES if told.version == "4" else ICMPV6_NAMES
        told.icmp = names.get(_take(rest, 1, "transport")[0][0], "other")
    if told.protocol in ("tcp", "udp", "sctp"):
        ports, rest = _take(rest, 4, "transport")
        told.ports = int.from_bytes(ports[:2]), int.from_bytes(ports[2:])
    if told.protocol == "tcp":
        told.flags = _take(rest, 10, "transport")[0][9]
