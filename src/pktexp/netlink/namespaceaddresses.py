"""Read the IP addresses inside the network namespaces at the other end of links.

The kernel lists them (IFA_TARGET_NETNSID, 4.20) by this namespace's id of the other one, for a
process that has CAP_NET_ADMIN there. No namespace is entered.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Mapping

from pktexp.netlink.rtnetlink import NetlinkSocket, attribute, attributes

RTM_GETADDR = 22  # include/uapi/linux/rtnetlink.h (6.1)
MESSAGE = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix, flags, scope, ifindex
ADDRESS, LOCAL, TARGET_NETNSID = 1, 2, 10  # IFA_…, include/uapi/linux/if_addr.h (4.20)
CACHE_TIME = 10.0  # seconds

Addresses = dict[int, frozenset[bytes]]
"""namespace id, as seen from this namespace -> addresses of 4 or 16 bytes, network byte order"""


class NamespaceAddresses:
    """Cache the addresses for CACHE_TIME, or until links lead to other namespaces."""

    def __init__(self) -> None:
        self._cache: tuple[float, Mapping[int, int], Addresses] = (0.0, {}, {})

    def of(self, nsids: Mapping[int, int]) -> Addresses:
        """Return addresses by namespace id; `nsids` has the id of each link, by ifindex.

        The ifindexes are compared too, as the kernel reuses the id of a removed namespace. Raises
        OSError if netlink refuses.
        """
        until, before, found = self._cache
        if before != nsids or until < time.monotonic():
            found = _read(set(nsids.values()))
            self._cache = time.monotonic() + CACHE_TIME, nsids, found
        return found


def _read(ids: set[int]) -> Addresses:
    with NetlinkSocket(strict=True) as route:
        return {nsid: _inside(route, nsid) for nsid in ids}


def _inside(route: NetlinkSocket, nsid: int) -> frozenset[bytes]:
    """Return the addresses in one namespace; none if it was removed meanwhile."""
    target = attribute(TARGET_NETNSID, struct.pack("=i", nsid))
    try:
        bodies = route.dump(RTM_GETADDR, MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + target)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return frozenset()
    found = [attributes(body, MESSAGE.size) for body in bodies]
    # On point-to-point links IFA_ADDRESS is the peer's; elsewhere IPv6 has no IFA_LOCAL.
    return frozenset(address.get(LOCAL) or address[ADDRESS] for address in found)
