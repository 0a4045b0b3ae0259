"""Read the names of network drivers, and what they report about native XDP and VLAN tags."""

from __future__ import annotations

import ctypes as c
import fcntl
import os
import socket
import struct

from pktexp.netlink import genetlink
from pktexp.netlink.rtnetlink import NetlinkSocket

# include/uapi/linux/sockios.h and ethtool.h (5.15).
SIOCETHTOOL, ETHTOOL_GDRVINFO, ETHTOOL_GFLAGS = 0x8946, 3, 0x25
ETH_FLAG_RXVLAN = 1 << 8
DRVINFO_SIZE = 196  # struct ethtool_drvinfo: the command, then names of 32 bytes
IFREQ = struct.Struct("16sP16x")  # struct ifreq: the interface's name and the reply's address

# include/uapi/linux/netdev.h (kernel commit d3d854fd6a1d, 6.3).
NETDEV_CMD_DEV_GET, NETDEV_A_DEV_IFINDEX, NETDEV_A_DEV_XDP_FEATURES = 1, 1, 3
NETDEV_XDP_ACT_BASIC = 1
U32, U64 = struct.Struct("=I"), struct.Struct("=Q")


def name(interface: str) -> str:
    """Return an interface's driver as `ethtool -i` shows it ("virtio_net"), or "" if unknown."""
    reply = _ask(interface, ETHTOOL_GDRVINFO, DRVINFO_SIZE)
    return reply[:32].split(b"\0")[0].decode(errors="backslashreplace")


def strips_vlan_tags(interface: str) -> bool:
    """Return whether an interface takes VLAN tags out of received frames; False if unknown.

    `ethtool -k` shows it as rx-vlan-offload. Most drivers do it before XDP sees the frame.
    """
    reply = _ask(interface, ETHTOOL_GFLAGS, 2 * U32.size)
    return bool(reply) and bool(U32.unpack(reply)[0] & ETH_FLAG_RXVLAN)


def _ask(interface: str, command: int, size: int) -> bytes:
    """Return ethtool's reply of `size` bytes without the command before it; b"" if refused."""
    reply = c.create_string_buffer(U32.pack(command), size)
    request = IFREQ.pack(os.fsencode(interface), c.addressof(reply))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)
        except OSError:
            return b""
    return reply.raw[U32.size :]


def native_xdp() -> dict[int, bool]:
    """Return by ifindex whether the driver declares native XDP; {} before Linux 6.3."""
    try:
        with NetlinkSocket(genetlink.NETLINK_GENERIC) as netlink:
            request = genetlink.encode(NETDEV_CMD_DEV_GET)
            bodies = netlink.dump(genetlink.family(netlink, b"netdev"), request)
    except OSError:
        return {}
    devices = [genetlink.decode(body) for body in bodies]
    return {
        U32.unpack(device[NETDEV_A_DEV_IFINDEX])[0]: bool(
            U64.unpack(device[NETDEV_A_DEV_XDP_FEATURES])[0] & NETDEV_XDP_ACT_BASIC
        )
        for device in devices
    }
