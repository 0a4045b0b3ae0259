"""An interface as netlink describes it: one RTM_NEWLINK message becomes a `Link`; for links.py."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from pktexp.netlink.rtnetlink import attributes
from pktexp.packet.enums import LinkType

INTERFACE_INFO = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
UP = 1  # IFF_UP

# include/uapi/linux/if_arp.h (6.1): hardware types and what their frames begin with.
LOOPBACK = 772
ETHERNET_TYPES = {1, LOOPBACK}  # ARPHRD_ETHER
TUNNEL_TYPES = {768, 769, 776, 778, 823}  # TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE
IP_TYPES = TUNNEL_TYPES | {519, 0xFFFE}  # RAWIP, NONE


class Attribute(IntEnum):
    """IFLA_… of include/uapi/linux/if_link.h (6.1)."""

    ADDRESS = 1
    IFNAME = 3
    MTU = 4
    LINKINFO = 18
    IFALIAS = 20
    LINK_NETNSID = 37
    XDP = 43
    PARENT_DEV_BUS_NAME = 57


INFO_KIND = 1  # IFLA_INFO_KIND
XDP_ATTACHED = 2  # IFLA_XDP_ATTACHED, and what it tells of no program, or of one in the hardware
XDP_ELSEWHERE = (0, 3)  # XDP_ATTACHED_NONE, XDP_ATTACHED_HW: our hooks are free


class InterfaceClass(StrEnum):
    """What an interface is to the host."""

    PHYSICAL = "physical"
    VIRTUAL = "virtual"
    LOOPBACK = "loopback"


@dataclass(frozen=True)
class Link:
    """An interface; what netlink says nothing of is empty."""

    ifindex: int
    name: str
    hardware_type: int
    up: bool
    mtu: int
    kind: str = ""
    """"veth", "bridge", … ; empty for plain hardware"""
    address: str = ""
    """as `ip link` shows it: a MAC address, or a tunnel's own IP address"""
    alias: str = ""
    link_netnsid: int | None = None
    """this namespace's id for the one where the other end, or the device below, is"""
    bus: str = ""
    """"pci", "virtio", … ; empty if no device on a bus is behind it"""
    xdp: bool = False
    """whether an XDP program is at it, native or generic, when netlink last told"""

    @property
    def link_type(self) -> LinkType:
        """What its frames begin with."""
        if self.hardware_type in ETHERNET_TYPES:
            return LinkType.ETHERNET
        return LinkType.IP if self.hardware_type in IP_TYPES else LinkType.OPAQUE

    @property
    def interface_class(self) -> InterfaceClass:
        """Physical: backed by a device on a bus, as IFLA_PARENT_DEV_BUS_NAME tells.

        Netlink is right where sysfs is another namespace's, or missing, as in containers. It tells
        since commit 00e77ed8e64d (5.14).
        """
        if self.hardware_type == LOOPBACK:
            return InterfaceClass.LOOPBACK
        return InterfaceClass.PHYSICAL if self.bus else InterfaceClass.VIRTUAL


def parse_link(body: bytes) -> Link:
    """The body of an RTM_NEWLINK or RTM_DELLINK message."""
    _, hardware_type, ifindex, flags, _ = INTERFACE_INFO.unpack_from(body)
    told = attributes(body, INTERFACE_INFO.size)
    return Link(
        ifindex=ifindex,
        name=_text(told, Attribute.IFNAME),
        hardware_type=hardware_type,
        up=bool(flags & UP),
        mtu=_number(told, Attribute.MTU) or 0,
        kind=_kind(told, hardware_type),
        address=_address(told.get(Attribute.ADDRESS, b""), hardware_type),
        alias=_text(told, Attribute.IFALIAS),
        link_netnsid=_number(told, Attribute.LINK_NETNSID),
        bus=_text(told, Attribute.PARENT_DEV_BUS_NAME),
        xdp=_xdp(told),
    )


def _kind(told: Mapping[int, bytes], hardware_type: int) -> str:
    info = attributes(told.get(Attribute.LINKINFO, b""), 0)
    return _text(info, INFO_KIND) or ("loopback" if hardware_type == LOOPBACK else "")


def _xdp(told: Mapping[int, bytes]) -> bool:
    attached = attributes(told.get(Attribute.XDP, b""), 0).get(XDP_ATTACHED, b"\0")
    return attached[0] not in XDP_ELSEWHERE


def _address(address: bytes, hardware_type: int) -> str:
    if hardware_type in TUNNEL_TYPES and len(address) in (4, 16):
        return str(ipaddress.ip_address(address))
    return address.hex(":")


def _number(told: Mapping[int, bytes], kind: int) -> int | None:
    """A signed 32-bit number: the kernel's namespace ids are, and its MTUs are below 2³¹."""
    value = told.get(kind)
    return struct.unpack("=i", value)[0] if value else None


def _text(told: Mapping[int, bytes], kind: int) -> str:
    """A string as text: the kernel takes any bytes for names and aliases, also no UTF-8."""
    return told.get(kind, b"").split(b"\0")[0].decode(errors="backslashreplace")
