"""Which interfaces there are, told by netlink as they come, change and go; read by interfaces.py.

A plain non-blocking route socket; linkinfo.py reads its messages. What the socket's buffer could
not hold (ENOBUFS) is made good by asking for everything again.
"""

from __future__ import annotations

import errno
import logging
import select
import socket

from pktexp.errors import PktexpError
from pktexp.netlink.linkinfo import INTERFACE_INFO, Link, parse_link
from pktexp.netlink.rtnetlink import (
    BUFFER,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    messages,
    request,
)

log = logging.getLogger(__name__)

# include/uapi/linux/rtnetlink.h (6.1).
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTMGRP_LINK = 16, 17, 18, 1
QUEUE = 8 << 20  # bytes asked for the socket's queue, so that overruns are rare
TIMEOUT = 10  # seconds to wait for the kernel's first list


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
                for kind, flags, body in messages(data):
                    self._take(kind, flags, body)

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
        self._socket.send(request(RTM_GETLINK, NLM_F_DUMP, body))

    def _take(self, kind: int, flags: int, body: bytes) -> None:
        if kind == NLMSG_DONE:
            self._listing_ends(interrupted=bool(flags & NLM_F_DUMP_INTR))
        elif kind in (RTM_NEWLINK, RTM_DELLINK):
            # A bridge tells of its ports in messages of its own family, also when a port leaves it.
            if body[0] != socket.AF_UNSPEC:
                return
            link = parse_link(body)
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
