"""Label values of counters and flow keys: classes, directions, types, addresses and ports."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np

from pktexp.packet.enums import (
    Direction,
    IcmpType,
    IpClass,
    LinkClass,
    PacketClass,
    SizeGroup,
    Tunnel,
    Unparsed,
)
from pktexp.packet.records import ARP_WITHOUT_ADDRESSES, TCP_COMBINATIONS, TCP_FLAGS

OTHER = "other"


def _classes() -> dict[int, tuple[str, str]]:
    link = {PacketClass.LINK + c: (c.name.lower(), "") for c in LinkClass}
    ipv4 = {PacketClass.IPV4 + c: (c.name.lower(), "4") for c in IpClass}
    ipv6 = {PacketClass.IPV6 + c: (c.name.lower(), "6") for c in IpClass}
    return link | ipv4 | ipv6


PACKET_CLASSES = _classes()
"""(protocol, IP version) by packet class; the version is "" for packets that are not IP"""

DIRECTIONS = {direction.value: direction.name.lower() for direction in Direction}
FLAG_BITS = np.array(
    [[bits >> bit & 1 for bit in range(len(TCP_FLAGS))] for bits in TCP_COMBINATIONS], np.uint64
)
"""(combination, flag): 1 where packets of the combination carry the flag, else 0"""

ICMP_TYPES = {
    t.value: ("icmpv6" if t.name.startswith("V6_") else "icmp", t.name.removeprefix("V6_").lower())
    for t in IcmpType
}
"""(protocol, name) by ICMP type"""

TUNNELS = {t: t.name.lower().replace("_", "-").replace("sixin4", "6in4") for t in Tunnel}
UNPARSED = {r.value: r.name.lower() for r in Unparsed if r is not Unparsed.NOTHING}
SIZE_GROUPS = {group.value: group.name.lower() for group in SizeGroup}


def size_group(packet_class: int) -> SizeGroup:
    """Return the size group of a packet class, as the BPF programs choose it."""
    protocol, version = PACKET_CLASSES[packet_class]
    return SizeGroup.__members__.get(protocol.upper() if version else "", SizeGroup.OTHER)


def addresses(key: Any) -> tuple[bytes, bytes]:
    """Return source and destination of a FLOW_KEY: four or 16 bytes each, or none."""
    source, dest = bytes(key["saddr"]), bytes(key["daddr"])
    size = _address_size(int(key["packet_class"]), source)
    return source[:size], dest[:size]


def _address_size(packet_class: int, source: bytes) -> int:
    if packet_class >= PacketClass.IPV4:
        return 16 if packet_class >= PacketClass.IPV6 else 4
    has_addresses = packet_class == LinkClass.ARP and source[8] != ARP_WITHOUT_ADDRESSES
    return 4 if has_addresses else 0


def endpoints(key: Any) -> tuple[str, str]:
    """Return source and destination of a FLOW_KEY as text; "" where a packet has no addresses.

    The form is `address` without a port, `address:port`, or `[address]:port` for IPv6.
    """
    source, dest = addresses(key)
    return endpoint(source, int(key["ports"][0])), endpoint(dest, int(key["ports"][1]))


def endpoint(address: bytes, port: int) -> str:
    """Return an address of four or 16 bytes as text, with its port unless that is 0; "" for b""."""
    if not address:
        return ""
    ipv6 = len(address) > 4
    text = socket.inet_ntop(socket.AF_INET6 if ipv6 else socket.AF_INET, address)
    if not port:
        return text
    return f"[{text}]:{port}" if ipv6 else f"{text}:{port}"
