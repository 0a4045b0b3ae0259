"""Records of every link type that carries IP or Ethernet, built by their specifications.

A builder puts a link-layer header before a payload of an EtherType; None if it carries no such.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

IPV4, IPV6, ARP, MPLS, PPPOE = 0x0800, 0x86DD, 0x0806, 0x8847, 0x8864
HOST, BROADCAST, MULTICAST, OUTGOING = 0, 1, 2, 4  # kinds of packet in cooked captures
MAC = bytes.fromhex("020000000001")
ETHER_TYPE = 1  # ARPHRD_ETHER
LINUX, NETBSD, FREEBSD, MACOS = 10, 24, 28, 30  # AF_INET6
PPP_PROTOCOLS = {IPV4: 0x0021, IPV6: 0x0057, MPLS: 0x0281}

Builder = Callable[[int, bytes], bytes | None]
"""(EtherType, payload) -> a record"""


def cooked(ethertype: int, payload: bytes, kind: int = HOST, device: int = ETHER_TYPE) -> bytes:
    """Build a record of LINKTYPE_LINUX_SLL (113)."""
    return struct.pack(">HHH8sH", kind, device, len(MAC), MAC, ethertype) + payload


def cooked2(ethertype: int, payload: bytes, kind: int = HOST, device: int = ETHER_TYPE) -> bytes:
    """Build a record of LINKTYPE_LINUX_SLL2 (276)."""
    head = struct.pack(">HHIHBB8s", ethertype, 0, 3, device, kind, len(MAC), MAC)
    return head + payload


def family(order: str, ipv6: int, rest: int = 0) -> Builder:
    """Build records with an address family of four bytes, and `rest` bytes more."""

    def build(ethertype: int, payload: bytes) -> bytes | None:
        number = {IPV4: 2, IPV6: ipv6}.get(ethertype)
        return None if number is None else struct.pack(f"{order}I", number) + bytes(rest) + payload

    return build


def ppp(before: bytes, *, short: bool = False) -> Builder:
    """Build records of PPP; `short`: the protocol is one byte where it can be."""

    def build(ethertype: int, payload: bytes) -> bytes | None:
        if (protocol := PPP_PROTOCOLS.get(ethertype)) is None:
            return None
        return before + protocol.to_bytes(1 if short and protocol < 256 else 2) + payload

    return build


def hdlc(before: bytes) -> Builder:
    """Build records of Cisco HDLC."""
    types = (IPV4, IPV6, MPLS)
    return lambda kind, payload: before + kind.to_bytes(2) + payload if kind in types else None


def raw(*versions: int) -> Builder:
    """Build records that begin with the IP header."""
    return lambda ethertype, payload: payload if ethertype in versions else None


def nflog(order: str) -> Builder:
    """Build records of LINKTYPE_NFLOG (239), with attributes before the packet and after it."""

    def attribute(kind: int, value: bytes) -> bytes:
        return struct.pack(f"{order}HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)

    def build(ethertype: int, payload: bytes) -> bytes | None:
        number = {IPV4: 2, IPV6: 10}.get(ethertype)
        if number is None:
            return None
        before = attribute(1, bytes(4)) + attribute(10, b"prefix\0")
        head = struct.pack(">BBH", number, 0, 5)
        return head + before + attribute(9, payload) + attribute(3, bytes(4))

    return build


BUILDERS: dict[int, Sequence[Builder]] = {
    0: [family(order, number) for order in "<>" for number in (NETBSD, FREEBSD, MACOS)],
    9: [ppp(b""), ppp(b"", short=True), ppp(b"\xff\x03"), ppp(b"\xff\x03", short=True)],
    12: [raw(IPV4, IPV6)],
    14: [raw(IPV4, IPV6)],
    50: [ppp(b"\xff\x03"), ppp(b""), hdlc(b"\x0f\0"), hdlc(b"\x8f\0")],
    101: [raw(IPV4, IPV6)],
    104: [hdlc(b"\x0f\0"), hdlc(b"\x8f\0")],
    108: [family(">", NETBSD)],
    109: [family(order, NETBSD, rest=8) for order in "<>"],
    113: [cooked],
    204: [ppp(b"\0"), ppp(b"\1\xff\x03")],
    228: [raw(IPV4)],
    229: [raw(IPV6)],
    239: [nflog("<")],
    276: [cooked2],
}
# tshark 4.0 does not read these.
UNKNOWN_TO_TSHARK: dict[int, Sequence[Builder]] = {
    0: [family(order, LINUX) for order in "<>"],
    108: [family("<", number) for number in (LINUX, NETBSD, FREEBSD, MACOS)],
    166: [ppp(b"\0\x03"), ppp(b"\1\x03")],
    205: [hdlc(b"\0\x0f\0"), hdlc(b"\1\x8f\0")],
    228: [raw(IPV6)],
    229: [raw(IPV4)],
    239: [nflog(">")],
}
