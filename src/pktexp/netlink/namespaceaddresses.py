"""IP addresses inside the network namespaces that links lead to; for infometrics.py.

The kernel lists them (IFA_TARGET_NETNSID, 4.20) for whoever knows this namespace's id of the other
one, and has CAP_NET_ADMIN there. None is entered.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Mapping

from pktexp.netlink.rtnetlink import RouteSocket, attribute, attributes

RTM_GETADDR = 22  # include/uapi/linux/rtnetlink.h (6.1)
MESSAGE = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix, flags, scope, ifindex
ADDRESS, LOCAL, TARGET_NETNSID = 1, 2, 10  # IFA_…, include/uapi/linux/if_addr.h (4.20)
LASTS = 10.0  # seconds

Addresses = dict[int, frozenset[bytes]]
"""this namespace's id of another -> addresses there, of four or 16 bytes in network byte order"""


class NamespaceAddresses:
    """Asks at most every LASTS, as long as the same links lead to the same namespaces."""

    def __init__(self) -> None:
        self._known: tuple[float, Mapping[int, int], Addresses] = (0.0, {}, {})

    def of(self, leads: Mapping[int, int]) -> Addresses:
        """`leads`: namespace ids by ifindex; OSError if netlink cannot be asked.

        The ifindexes count: an id goes to another namespace when the one that had it is gone.
        """
        until, before, found = self._known
        if before != leads or until < time.monotonic():
            found = _ask(set(leads.values()))
            self._known = time.monotonic() + LASTS, leads, found
        return found


def _ask(ids: set[int]) -> Addresses:
    with RouteSocket(strict=True) as route:
        return {nsid: _inside(route, nsid) for nsid in ids}


def _inside(route: RouteSocket, nsid: int) -> frozenset[bytes]:
    """Nothing if the namespace is gone by now."""
    question = MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    try:
        bodies = route.dump(
            RTM_GETADDR, question + attribute(TARGET_NETNSID, struct.pack("=i", nsid))
        )
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return frozenset()
    told = [attributes(body, MESSAGE.size) for body in bodies]
    # IFA_ADDRESS is the other end's on point-to-point links; IPv6 has no IFA_LOCAL elsewhere.
    return frozenset(found.get(LOCAL) or found[ADDRESS] for found in told)
