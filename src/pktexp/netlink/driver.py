"""Read the names of network drivers, and whether they support native XDP."""

from __future__ import annotations

import ctypes as c
import fcntl
import os
import socket
import struct

from pktexp.netlink import genetlink
from pktexp.netlink.rtnetlink import NetlinkSocket

# include/uapi/linux/sockios.h and ethtool.h (5.15).
SIOCETHTOOL, ETHTOOL_GDRVINFO = 0x8946, 3
DRVINFO_SIZE = 196  # struct ethtool_drvinfo: the command, then names of 32 bytes
IFREQ = struct.Struct("16sP16x")  # struct ifreq: the interface's name and the reply's address

# include/uapi/linux/netdev.h (kernel commit d3d854fd6a1d, 6.3).
NETDEV_CMD_DEV_GET, NETDEV_A_DEV_IFINDEX, NETDEV_A_DEV_XDP_FEATURES = 1, 1, 3
NETDEV_XDP_ACT_BASIC = 1
U32, U64 = struct.Struct("=I"), struct.Struct("=Q")


def name(interface: str) -> str:
    """Return an interface's driver as `ethtool -i` shows it ("virtio_net"), or "" if unknown."""
    reply = c.create_string_buffer(U32.pack(ETHTOOL_GDRVINFO), DRVINFO_SIZE)
    request = IFREQ.pack(os.fsencode(interface), c.addressof(reply))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)
        except OSError:
            return ""
    return reply.raw[U32.size : U32.size + 32].split(b"\0")[0].decode(errors="backslashreplace")


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
