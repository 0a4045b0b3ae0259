"""How fast links are, as their drivers tell ethtool; infometrics.py asks at each scrape.

sysfs would say the same, but of the namespace that mounted it (see linkinfo.py); netlink answers of
ours, and needs no privilege.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence

from pktexp.netlink import genetlink
from pktexp.netlink.rtnetlink import RouteSocket, attribute

log = logging.getLogger(__name__)

# include/uapi/linux/ethtool_netlink.h (5.6).
ETHTOOL_MSG_LINKMODES_GET, ETHTOOL_A_LINKMODES_HEADER, ETHTOOL_A_LINKMODES_SPEED = 4, 1, 5
ETHTOOL_A_HEADER_DEV_INDEX = 1
NLA_F_NESTED = 0x8000  # include/uapi/linux/netlink.h
U32 = struct.Struct("=I")
UNKNOWN = (0, 0xFFFF_FFFF)  # SPEED_UNKNOWN of include/uapi/linux/ethtool.h: no link, for one
MEGABIT = 125_000  # bytes


class LinkSpeeds:
    """Asks of one link after another; of none where the kernel has no netlink for ethtool."""

    def __init__(self) -> None:
        self._family: int | None = None
        try:
            with RouteSocket(genetlink.NETLINK_GENERIC) as netlink:
                self._family = genetlink.family(netlink, b"ethtool")
        except OSError as error:
            log.info("speeds of interfaces are not shown: %s", error)

    def of(self, links: Sequence[int]) -> dict[int, int]:
        """Bytes a second by ifindex, of those links whose speed is known; TimeoutError."""
        if self._family is None or not links:
            return {}
        with RouteSocket(genetlink.NETLINK_GENERIC) as netlink:
            told = {link: _megabits(netlink, self._family, link) for link in links}
        return {link: speed * MEGABIT for link, speed in told.items() if speed not in UNKNOWN}


def _megabits(netlink: RouteSocket, family: int, ifindex: int) -> int:
    link = attribute(ETHTOOL_A_HEADER_DEV_INDEX, U32.pack(ifindex))
    asked = attribute(ETHTOOL_A_LINKMODES_HEADER | NLA_F_NESTED, link)
    try:
        answer = netlink.ask(family, genetlink.question(ETHTOOL_MSG_LINKMODES_GET, asked))
    except TimeoutError:
        raise  # the late answer would be taken for that of the next question
    except OSError:
        return UNKNOWN[0]  # the link has gone by now, or its driver does not tell
    (speed,) = U32.unpack(genetlink.answered(answer)[ETHTOOL_A_LINKMODES_SPEED])
    return int(speed)
