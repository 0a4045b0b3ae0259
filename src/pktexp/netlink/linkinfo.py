"""Decode RTM_NEWLINK messages into `Link`: the properties of one network interface."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from pktexp.netlink.rtnetlink import attributes
from pktexp.packet.enums import LinkType

INTERFACE_INFO = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
UP, LOWER_UP = 1, 1 << 16  # IFF_UP, IFF_LOWER_UP

# Hardware types by the first header of their frames, include/uapi/linux/if_arp.h (6.1).
LOOPBACK = 772
ETHERNET_TYPES = {1, LOOPBACK}  # ARPHRD_ETHER
TUNNEL_TYPES = {768, 769, 776, 778, 823}  # TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE
IP_TYPES = TUNNEL_TYPES | {519, 0xFFFE}  # RAWIP, NONE


class Attribute(IntEnum):
    """IFLA_… of include/uapi/linux/if_link.h (6.1)."""

    ADDRESS = 1
    IFNAME = 3
    MTU = 4
    MASTER = 10
    LINKINFO = 18
    IFALIAS = 20
    LINK_NETNSID = 37
    XDP = 43
    PARENT_DEV_BUS_NAME = 57


INFO_KIND, INFO_MASTER_KIND, INFO_PORT = 1, 4, 5  # IFLA_INFO_KIND, _SLAVE_KIND, _SLAVE_DATA
BOND_MII_STATUS, BOND_LINK_UP = 2, b"\0"  # IFLA_BOND_SLAVE_MII_STATUS, BOND_LINK_UP
XDP_ATTACHED = 2  # IFLA_XDP_ATTACHED
XDP_PROGRAMS = (5, 6, 7)  # IFLA_XDP_DRV_PROG_ID, SKB, HW (4.19)
XDP_FREE = (0, 3)  # its values that leave the XDP hooks free: XDP_ATTACHED_NONE, XDP_ATTACHED_HW


class InterfaceClass(StrEnum):
    """Kind of device behind an interface."""

    PHYSICAL = "physical"
    VIRTUAL = "virtual"
    LOOPBACK = "loopback"


@dataclass(frozen=True)
class Link:
    """An interface; properties that netlink does not report are empty."""

    ifindex: int
    name: str
    hardware_type: int
    up: bool
    mtu: int
    kind: str = ""
    """"veth", "bridge", … ; empty for plain hardware"""
    address: str = ""
    """as `ip link` shows it: a MAC address, or a tunnel's local IP address"""
    alias: str = ""
    link_netnsid: int | None = None
    """this namespace's id for the namespace of the other end, or of the device below"""
    bus: str = ""
    """"pci", "virtio", … ; empty if no device on a bus is behind it"""
    master: int | None = None
    """ifindex of the bridge, bond or the like whose port this interface is"""
    master_kind: str = ""
    """"bridge", "bond", … of the master"""
    carrier: bool = False
    """whether it is up and has a carrier, and the bond whose port it is regards its link as up"""
    xdp: bool = False
    """whether a native or generic XDP program was attached when netlink last reported the link"""
    raw_name: bytes = b""
    """the name as the kernel has it, where that is not valid UTF-8"""

    @property
    def kernel_name(self) -> bytes:
        """The name as the kernel has it."""
        return self.raw_name or self.name.encode()

    @property
    def link_type(self) -> LinkType:
        """First header of the interface's frames."""
        if self.hardware_type in ETHERNET_TYPES:
            return LinkType.ETHERNET
        return LinkType.IP if self.hardware_type in IP_TYPES else LinkType.OPAQUE

    @property
    def interface_class(self) -> InterfaceClass:
        """Class of the interface: physical if IFLA_PARENT_DEV_BUS_NAME names a bus.

        Netlink reports it since commit 00e77ed8e64d (5.14), and is right where sysfs belongs to
        another namespace or is missing, as in containers.
        """
        if self.hardware_type == LOOPBACK:
            return InterfaceClass.LOOPBACK
        return InterfaceClass.PHYSICAL if self.bus else InterfaceClass.VIRTUAL


def parse_link(body: bytes) -> Link:
    """Decode the body of an RTM_NEWLINK or RTM_DELLINK message."""
    _, hardware_type, ifindex, flags, _ = INTERFACE_INFO.unpack_from(body)
    values = attributes(body, INTERFACE_INFO.size)
    info = attributes(values.get(Attribute.LINKINFO, b""), 0)
    name, raw_name = _text(values, Attribute.IFNAME), _raw(values, Attribute.IFNAME)
    return Link(
        ifindex=ifindex,
        name=name,
        hardware_type=hardware_type,
        up=bool(flags & UP),
        mtu=_number(values, Attribute.MTU) or 0,
        kind=_text(info, INFO_KIND) or ("loopback" if hardware_type == LOOPBACK else ""),
        address=_address(values.get(Attribute.ADDRESS, b""), hardware_type),
        alias=_text(values, Attribute.IFALIAS),
        link_netnsid=_number(values, Attribute.LINK_NETNSID),
        master=_number(values, Attribute.MASTER),
        master_kind=_text(info, INFO_MASTER_KIND),
        carrier=bool(flags & LOWER_UP) and _bond_link_is_up(info),
        bus=_text(values, Attribute.PARENT_DEV_BUS_NAME),
        xdp=_xdp(values),
        raw_name=b"" if raw_name == name.encode() else raw_name,
    )


def parse_xdp_programs(body: bytes) -> list[int]:
    """Return the ids of the XDP programs in the body of an RTM_NEWLINK message, of every mode."""
    attached = attributes(attributes(body, INTERFACE_INFO.size).get(Attribute.XDP, b""), 0)
    return [_number(attached, kind) or 0 for kind in XDP_PROGRAMS if kind in attached]


def _bond_link_is_up(info: Mapping[int, bytes]) -> bool:
    """Return whether a port's bond regards its link as up; True without a bond."""
    if _text(info, INFO_MASTER_KIND) != "bond":
        return True
    port = attributes(info.get(INFO_PORT, b""), 0)
    return port.get(BOND_MII_STATUS, BOND_LINK_UP) == BOND_LINK_UP


def _xdp(values: Mapping[int, bytes]) -> bool:
    attached = attributes(values.get(Attribute.XDP, b""), 0).get(XDP_ATTACHED, b"\0")
    return attached[0] not in XDP_FREE


def _address(address: bytes, hardware_type: int) -> str:
    if hardware_type in TUNNEL_TYPES and len(address) in (4, 16):
        return str(ipaddress.ip_address(address))
    return address.hex(":")


def _number(values: Mapping[int, bytes], kind: int) -> int | None:
    """Return a signed 32-bit number: namespace ids are signed, and MTUs are below 2³¹."""
    value = values.get(kind)
    return struct.unpack("=i", value)[0] if value else None


def _text(values: Mapping[int, bytes], kind: int) -> str:
    """Return a string; names and aliases may be any bytes, also invalid UTF-8."""
    return _raw(values, kind).decode(errors="backslashreplace")


def _raw(values: Mapping[int, bytes], kind: int) -> bytes:
    return values.get(kind, b"").split(b"\0")[0]
