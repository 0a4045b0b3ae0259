"""Read the speeds of links from ethtool's netlink family (5.6), which needs no privilege.

sysfs has the same speeds, but of the network namespace in which it was mounted.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence

from pktexp.netlink import genetlink
from pktexp.netlink.rtnetlink import NetlinkSocket, attribute

log = logging.getLogger(__name__)

# include/uapi/linux/ethtool_netlink.h (5.6).
ETHTOOL_MSG_LINKMODES_GET, ETHTOOL_A_LINKMODES_HEADER, ETHTOOL_A_LINKMODES_SPEED = 4, 1, 5
ETHTOOL_A_HEADER_DEV_INDEX = 1
NLA_F_NESTED = 0x8000  # include/uapi/linux/netlink.h
U32 = struct.Struct("=I")
UNKNOWN = (0, 0xFFFF_FFFF)  # SPEED_UNKNOWN of include/uapi/linux/ethtool.h, such as without a link
MEGABIT = 125_000  # bytes


class LinkSpeeds:
    """Read the speeds of links; none where the kernel lacks ethtool's netlink family."""

    def __init__(self) -> None:
        self._family: int | None = None
        try:
            with NetlinkSocket(genetlink.NETLINK_GENERIC) as netlink:
                self._family = genetlink.family(netlink, b"ethtool")
        except OSError as error:
            log.info("interface speeds are not available: %s", error)

    def of(self, links: Sequence[int]) -> dict[int, int]:
        """Return bytes a second by ifindex, of the links whose speed is known.

        Raises OSError if no socket can be opened, and TimeoutError if the kernel does not reply.
        """
        if self._family is None or not links:
            return {}
        with NetlinkSocket(genetlink.NETLINK_GENERIC) as netlink:
            speeds = {link: _megabits(netlink, self._family, link) for link in links}
        return {link: speed * MEGABIT for link, speed in speeds.items() if speed not in UNKNOWN}


def _megabits(netlink: NetlinkSocket, family: int, ifindex: int) -> int:
    link = attribute(ETHTOOL_A_HEADER_DEV_INDEX, U32.pack(ifindex))
    header = attribute(ETHTOOL_A_LINKMODES_HEADER | NLA_F_NESTED, link)
    try:
        reply = netlink.ask(family, genetlink.encode(ETHTOOL_MSG_LINKMODES_GET, header))
    except TimeoutError:
        raise  # the late reply would be taken for the next link's
    except OSError:
        return UNKNOWN[0]  # the link was removed meanwhile, or its driver reports no speed
    (speed,) = U32.unpack(genetlink.decode(reply)[ETHTOOL_A_LINKMODES_SPEED])
    return int(speed)
