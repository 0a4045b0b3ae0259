"""Which interfaces there are, told by netlink as they come, change and go; read by interfaces.py.

A plain non-blocking route socket with pyroute2's parser. What the socket's buffer could not hold
(ENOBUFS) is made good by asking for everything again.
"""

from __future__ import annotations

import errno
import logging
import select
import socket
import struct
from dataclasses import dataclass

from pyroute2.netlink import NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE
from pyroute2.netlink.rtnl import RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, RTMGRP_LINK
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from pktexp.errors import PktexpError
from pktexp.kernel.records import LinkType

log = logging.getLogger(__name__)

BUFFER = 1 << 20  # bytes of one read; the kernel's dumps come in chunks of at most 32 KiB
QUEUE = 8 << 20  # bytes asked for the socket's queue, so that overruns are rare
HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
INTERFACE_INFO = struct.Struct("=BxHiII")  # struct ifinfomsg
TIMEOUT = 10  # seconds to wait for the kernel's first list

# include/uapi/linux/if_arp.h (6.1): hardware types and what their frames begin with.
ETHERNET_TYPES = {1, 772}  # ARPHRD_ETHER, ARPHRD_LOOPBACK
IP_TYPES = {
    519,
    768,
    769,
    776,
    778,
    823,
    0xFFFE,
}  # RAWIP, TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE, NONE


@dataclass(frozen=True)
class Link:
    """An interface as netlink describes it."""

    ifindex: int
    name: str
    hardware_type: int
    up: bool
    mtu: int

    @property
    def link_type(self) -> LinkType:
        """What its frames begin with."""
        if self.hardware_type in ETHERNET_TYPES:
            return LinkType.ETHERNET
        return LinkType.IP if self.hardware_type in IP_TYPES else LinkType.OPAQUE


class LinkMonitor:
    """Follows the interfaces of this network namespace; `links`: what is there now, by ifindex."""

    def __init__(self) -> None:
        """Subscribe, and wait for the first whole list; PktexpError if netlink refuses."""
        self.links: dict[int, Link] = {}
        self.gone: set[int] = set()
        self.overruns = 0
        self.synchronised = False
        self._again = False
        self._listed: set[int] = set()
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
            self._socket.bind((0, RTMGRP_LINK))
        except OSError as error:
            hint = (
                "pktexp needs a netlink route socket: allow AF_NETLINK (RestrictAddressFamilies=)"
            )
            raise PktexpError(f"cannot follow the network interfaces: {error}", hint) from error
        self._socket.setblocking(False)
        self._request()
        while not self.synchronised:
            if not select.select([self._socket], [], [], TIMEOUT)[0]:
                raise PktexpError("the kernel lists no network interfaces", "is netlink filtered?")
            self.receive()

    def fileno(self) -> int:
        """The socket: readable when something has changed."""
        return self._socket.fileno()

    def receive(self) -> None:
        """Take in everything that has been told; never blocks."""
        while True:
            try:
                data = self._socket.recv(BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._overrun()
            else:
                self._read(data)

    def take_gone(self) -> set[int]:
        """Interfaces that went since the last call; a new one may have the same index by now."""
        gone, self.gone = self.gone, set()
        return gone

    def close(self) -> None:
        """Stop following."""
        self._socket.close()

    def _overrun(self) -> None:
        self.overruns += 1
        log.info("netlink overrun: asking for all interfaces again")
        if self.synchronised:
            self._request()
        else:
            self._again = True  # a socket has one listing at a time (EBUSY)

    def _request(self) -> None:
        """Ask for every interface; what is not in the answer is gone."""
        self._listed = set()
        self.synchronised = False
        body = INTERFACE_INFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        length = HEADER.size + len(body)
        flags = NLM_F_REQUEST | NLM_F_DUMP
        self._socket.send(HEADER.pack(length, RTM_GETLINK, flags, 1, 0) + body)

    def _read(self, data: bytes) -> None:
        offset = 0
        while offset + HEADER.size <= len(data):
            length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
            self._take(kind, flags, data[offset : offset + length])
            offset += (max(length, HEADER.size) + 3) & ~3

    def _take(self, kind: int, flags: int, message: bytes) -> None:
        if kind == NLMSG_DONE:
            self._listing_ends(interrupted=bool(flags & NLM_F_DUMP_INTR))
        elif kind in (RTM_NEWLINK, RTM_DELLINK):
            # A bridge tells of its ports in messages of its own family, also when a port leaves it.
            if message[HEADER.size] != socket.AF_UNSPEC:
                return
            link = _parse(message)
            if kind == RTM_DELLINK:
                self.links.pop(link.ifindex, None)
                self.gone.add(link.ifindex)
            else:
                self.links[link.ifindex] = link
                self._listed.add(link.ifindex)

    def _listing_ends(self, interrupted: bool) -> None:
        if interrupted or self._again:
            self._again = False
            self._request()
            return
        self.gone |= self.links.keys() - self._listed
        self.links = {index: link for index, link in self.links.items() if index in self._listed}
        self.synchronised = True


def _parse(message: bytes) -> Link:
    parsed = ifinfmsg(message)
    parsed.decode()
    return Link(
        ifindex=parsed["index"],
        name=_text(parsed.get_attr("IFLA_IFNAME")),
        hardware_type=parsed["ifi_type"],
        up=bool(parsed["flags"] & 1),
        mtu=parsed.get_attr("IFLA_MTU") or 0,
    )


def _text(name: str | bytes) -> str:
    """A name as text: the kernel takes any bytes, and the parser leaves those that are no UTF-8."""
    return name if isinstance(name, str) else name.decode(errors="backslashreplace")
