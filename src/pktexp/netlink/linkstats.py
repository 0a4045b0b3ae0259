"""Read the devices' own statistics: rtnl_link_stats64, of every interface in one dump.

Unlike a dump of links, RTM_GETSTATS (commit 10c9ead9f3c6, 4.7) sends only the numbers, always at
the same offset, so that numpy reads all messages as one array.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Sequence

import numpy as np

from pktexp.netlink.rtnetlink import NetlinkSocket
from pktexp.packet.records import Records

RTM_GETSTATS = 94  # include/uapi/linux/rtnetlink.h (6.1)
STATS_MESSAGE = struct.Struct("=BxHII")  # struct if_stats_msg: family, ifindex, filter
LINK_64 = 1  # IFLA_STATS_LINK_64
FILTER = 1 << (LINK_64 - 1)  # IFLA_STATS_FILTER_BIT

# struct rtnl_link_stats64, include/uapi/linux/if_link.h (4.6); later kernels append to it.
FIELDS = (
    *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes"),
    *("rx_errors", "tx_errors", "rx_dropped", "tx_dropped", "multicast", "collisions"),
    *("rx_length_errors", "rx_over_errors", "rx_crc_errors", "rx_frame_errors"),
    *("rx_fifo_errors", "rx_missed_errors"),
    *("tx_aborted_errors", "tx_carrier_errors", "tx_fifo_errors", "tx_heartbeat_errors"),
    *("tx_window_errors", "rx_compressed", "tx_compressed", "rx_nohandler"),
)
# No padding precedes the numbers: after both headers they start at a multiple of eight bytes.
LINK_STATISTICS = np.dtype(
    [("family", "u4"), ("ifindex", "u4"), ("filter", "u4"), ("length", "u2"), ("type", "u2")]
    + [(field, "u8") for field in FIELDS]
)


def read() -> Records:
    """Return one LINK_STATISTICS row for each interface of this namespace.

    Raises OSError if netlink refuses, or replies in a form that this module does not know.
    """
    with NetlinkSocket() as route:
        bodies = route.dump(RTM_GETSTATS, _request(0))
    rows = _rows(bodies)
    # While interfaces appear and disappear, a dump of several datagrams may have one twice.
    _, first = np.unique(rows["ifindex"], return_index=True)
    return rows[first]


def of(links: Iterable[int]) -> Records:
    """Return LINK_STATISTICS of the interfaces with these ifindexes, without those that are gone.

    Raises OSError as `read` does.
    """
    bodies = []
    with NetlinkSocket() as route:
        for ifindex in links:
            try:
                bodies.append(route.ask(RTM_GETSTATS, _request(ifindex)))
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
    return _rows(bodies)


def _request(ifindex: int) -> bytes:
    return STATS_MESSAGE.pack(socket.AF_UNSPEC, 0, ifindex, FILTER)


def _rows(bodies: Sequence[bytes]) -> Records:
    size = LINK_STATISTICS.itemsize
    content = b"".join([body[:size].ljust(size, b"\0") for body in bodies])
    rows = np.frombuffer(content, LINK_STATISTICS)
    if (rows["type"] != LINK_64).any():
        raise OSError(errno.EPROTO, "the kernel sent interface statistics of an unknown type")
    return rows
