"""Turn records of every link type that carries Ethernet or IP into packets that programs parse.

The programs parse Ethernet and IP. A record with another header becomes an Ethernet frame with the
type that its header names; its length stays that of the record. Records of all other link types are
left out.
"""

from __future__ import annotations

from collections.abc import Callable

from pktexp.commands.replay.linknames import link_name
from pktexp.commands.replay.packets import Packet, Record
from pktexp.packet.enums import LinkType

Frame = tuple[LinkType, bytes]
"""a packet's first header, and its bytes"""

IPV4, IPV6, PPPOE_SESSION, VLAN = 0x0800, 0x86DD, 0x8864, 0x8100  # EtherTypes (IANA)
LOWEST_ETHERTYPE = 0x0600
BROADCAST, MULTICAST, UNICAST = b"\xff" * 6, b"\x01" + bytes(5), bytes(6)
ETHERNET_HEADER = 14
# AF_INET and AF_INET6, the latter of Linux, NetBSD and OpenBSD, FreeBSD, and macOS.
FAMILIES = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
IP_VERSIONS = {4: IPV4, 6: IPV6}
PPP_PROTOCOLS = {0x0021: IPV4, 0x0057: IPV6, 0x0281: 0x8847, 0x0283: 0x8848}  # IANA; MPLS last
PPP_ALL_STATIONS = b"\xff\x03"  # RFC 1662: address and control
CISCO_HDLC = (0x0F, 0x8F)  # addresses (RFC 1547, 4.3.1)
# Kinds of packet and devices of Linux cooked captures (include/uapi/linux/if_packet.h, if_arp.h).
COOKED_DESTS = {1: BROADCAST, 2: MULTICAST}
COOKED_LLC = (1, 4)  # in place of an EtherType: IEEE 802.3 frames
COOKED_FOREIGN = (770, 803, 824)  # Frame Relay, radiotap, netlink: without an EtherType
# Bytes before a packet that say in which direction it went and, as tshark does, are not counted.
WITH_DIRECTION = {204: 1, 205: 1}
NFLOG_HEADER, NFLOG_ATTRIBUTE, NFLOG_PAYLOAD = 4, 4, 9  # bytes; an attribute's type

# Neither Ethernet nor IP, and a header that the packet is too short for.
OPAQUE: Frame = (LinkType.OPAQUE, b"")
CUT: Frame = (LinkType.ETHERNET, bytes(12) + VLAN.to_bytes(2))


def packet(record: Record) -> Packet:
    """Return the packet of a record; it is left out if its link type is not known."""
    before = WITH_DIRECTION.get(record.link_type, 0)
    length = max(record.length - before - record.fcs, 0)
    if (read := LINK_TYPES.get(record.link_type)) is None:
        reason = f"link type {link_name(record.link_type)} is not supported"
        return Packet(b"", length, LinkType.OPAQUE, reason)
    link_type, data = read(record.data[before : before + length])
    return Packet(data, length, link_type)


def _frame(ethertype: int | None, payload: bytes, dest: bytes = UNICAST) -> Frame:
    """Return an Ethernet frame; an opaque packet without an EtherType."""
    if ethertype is None:
        return OPAQUE
    return LinkType.ETHERNET, dest + bytes(6) + ethertype.to_bytes(2) + payload


def _ethernet(data: bytes) -> Frame:
    return CUT if len(data) < ETHERNET_HEADER else (LinkType.ETHERNET, data)


def _raw(data: bytes) -> Frame:
    version = IP_VERSIONS.get(data[0] >> 4) if data else None
    return _frame(version, data) if version else (LinkType.IP, data)


def _pppoe(data: bytes) -> Frame:
    return _frame(PPPOE_SESSION, data)


def _of_family(header: int) -> Callable[[bytes], Frame]:
    """Read a header that begins with an address family of four bytes, in either byte order."""

    def read(data: bytes) -> Frame:
        if len(data) < header:
            return CUT
        orders = (int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big"))
        types = [FAMILIES[family] for family in orders if family in FAMILIES]
        return _frame(types[0] if types else None, data[header:])

    return read


def _ppp(data: bytes) -> Frame:
    """Read PPP with or without address and control; its protocol may be of one byte (RFC 1661)."""
    data = data.removeprefix(PPP_ALL_STATIONS)
    size = 1 if data[:1] and data[0] % 2 else 2
    if len(data) < size:
        return CUT
    return _frame(PPP_PROTOCOLS.get(int.from_bytes(data[:size])), data[size:])


def _pppd(data: bytes) -> Frame:
    """Read PPP of pppd, which has the direction in place of the address."""
    return CUT if len(data) < len(PPP_ALL_STATIONS) else _ppp(data[2:])


def _cisco(data: bytes) -> Frame:
    return CUT if len(data) < 4 else _frame(int.from_bytes(data[2:4]), data[4:])


def _hdlc(data: bytes) -> Frame:
    return _cisco(data) if data[:1] and data[0] in CISCO_HDLC else _ppp(data)


def _cooked(data: bytes) -> Frame:
    if len(data) < 16:
        return CUT
    kind, device = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
    return _cooked_frame(kind, device, int.from_bytes(data[14:16]), data[16:])


def _cooked2(data: bytes) -> Frame:
    if len(data) < 20:
        return CUT
    protocol, device = int.from_bytes(data[:2]), int.from_bytes(data[8:10])
    return _cooked_frame(data[10], device, protocol, data[20:])


def _cooked_frame(kind: int, device: int, protocol: int, payload: bytes) -> Frame:
    known = protocol >= LOWEST_ETHERTYPE or protocol in COOKED_LLC
    if device in COOKED_FOREIGN or not known:
        return OPAQUE
    return _frame(protocol, payload, COOKED_DESTS.get(kind, UNICAST))


def _nflog(data: bytes) -> Frame:
    """Find the packet among the attributes, whose integers are in either byte order."""
    for order in ("little", "big"):
        at = NFLOG_HEADER
        while at + NFLOG_ATTRIBUTE <= len(data):
            size = int.from_bytes(data[at : at + 2], order)
            if int.from_bytes(data[at + 2 : at + 4], order) == NFLOG_PAYLOAD:
                return _frame(FAMILIES.get(data[0]), data[at + NFLOG_ATTRIBUTE : at + size])
            if size < NFLOG_ATTRIBUTE:
                break
            at += -(-size // 4) * 4
    return CUT


LINK_TYPES: dict[int, Callable[[bytes], Frame]] = {
    0: _of_family(4),  # BSD loopback, in the byte order of the host
    1: _ethernet,
    9: _ppp,
    12: _raw,  # some systems' number for 101
    14: _raw,
    50: _hdlc,
    51: _pppoe,
    101: _raw,
    104: _cisco,
    108: _of_family(4),  # OpenBSD loopback
    109: _of_family(12),  # OpenBSD's IPsec devices
    113: _cooked,
    166: _pppd,
    204: _ppp,
    205: _cisco,
    228: _raw,
    229: _raw,
    239: _nflog,
    276: _cooked2,
}
