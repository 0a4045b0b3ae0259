"""The cgroup of a socket of this network namespace, as sock_diag(7) reports it."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable

from pktexp.netlink.rtnetlink import NetlinkSocket, attributes

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
AF_INET, AF_INET6, UDP = 2, 10, 17
# include/uapi/linux/inet_diag.h (5.8): the heads of inet_diag_req_v2 and its inet_diag_sockid, with
# the ports in network byte order, then both addresses, interface and cookie.
REQUEST = struct.Struct("=BBBxI")
PORTS = struct.Struct("!HH")
ANY_SOCKET = struct.Struct("=III").pack(0, 0xFFFFFFFF, 0xFFFFFFFF)  # no interface, no cookie
MESSAGE = 72  # bytes of struct inet_diag_msg
CGROUP_ID = 21  # INET_DIAG_CGROUP_ID (kernel commit 6e3a401fc8af, 5.8)
# From include/uapi/linux/rtnetlink.h and if_addr.h (5.8).
RTM_GETADDR, IFADDRMSG = 22, 8
IFA_ADDRESS, IFA_LOCAL = 1, 2

Endpoint = tuple[bytes, int]
"""address of 4 or 16 bytes, port"""
Question = tuple[int, Endpoint, Endpoint]
"""IP protocol (TCP or UDP), local and remote end"""


def cgroups_of(questions: Iterable[Question]) -> list[int]:
    """Return the ids of the cgroups of sockets; 0 where there is none.

    With a remote port of 0 it is that of the socket that listens at the local end. Local ends have
    to be addresses of this namespace: a socket that listens at any address matches all others, too.
    Raises OSError if the kernel lacks sock_diag or refuses.
    """
    with NetlinkSocket(NETLINK_SOCK_DIAG) as netlink:
        return [_ask(netlink, question) for question in questions]


def local_addresses() -> set[bytes]:
    """Return the addresses of all interfaces of this namespace. Raises OSError."""
    with NetlinkSocket() as netlink:
        found = [
            attributes(body, IFADDRMSG) for body in netlink.dump(RTM_GETADDR, bytes(IFADDRMSG))
        ]
    return {told.get(IFA_LOCAL) or told.get(IFA_ADDRESS, b"") for told in found}


def _ask(netlink: NetlinkSocket, question: Question) -> int:
    protocol, *ends = question
    # The ends of UDP come in the other order (udp_dump_one in net/ipv4/udp_diag.c, 5.15).
    (source, source_port), (dest, dest_port) = ends[::-1] if protocol == UDP else ends
    family = AF_INET if len(source) == 4 else AF_INET6
    body = REQUEST.pack(family, protocol, 0, 0) + PORTS.pack(source_port, dest_port)
    body += source.ljust(16, b"\0") + dest.ljust(16, b"\0") + ANY_SOCKET
    try:
        told = attributes(netlink.ask(SOCK_DIAG_BY_FAMILY, body), MESSAGE)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return 0
    return int.from_bytes(told.get(CGROUP_ID, b""), "little")
