"""Monitor the network interfaces of this namespace through a non-blocking route socket.

When the kernel drops messages because the socket's buffer is full (ENOBUFS), all interfaces are
listed again. An ifindex whose interface then differs is taken for another interface's.
"""

from __future__ import annotations

import errno
import logging
import select
import socket

from pktexp.errors import PktexpError
from pktexp.netlink.linkinfo import INTERFACE_INFO, Link, parse_link, parse_xdp_programs
from pktexp.netlink.rtnetlink import (
    BUFFER,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NetlinkSocket,
    messages,
    request,
)

log = logging.getLogger(__name__)

# include/uapi/linux/rtnetlink.h (6.1).
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTMGRP_LINK = 16, 17, 18, 1
RECEIVE_BUFFER = 8 << 20  # bytes requested for the socket, so that overruns are rare
TIMEOUT = 10  # seconds to wait for the kernel's first list


class LinkMonitor:
    """Keep `links`, the interfaces of this network namespace, by ifindex.

    `gone` has the ifindexes removed since the last `take_gone()`, and `changed` says whether
    messages arrived since then. `relisted` is set when a list after an overrun is complete, until
    `take_relisted()`. `overruns` only grows.
    """

    def __init__(self) -> None:
        """Subscribe, and wait for the first complete list. Raises PktexpError if it fails."""
        self.links: dict[int, Link] = {}
        self.gone: set[int] = set()
        self.overruns = 0
        self.changed = False
        self.relisted = False
        self.synchronised = False
        self._list_again = False
        self._listed: set[int] = set()
        self._before: dict[int, Link] = {}
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.bind((0, RTMGRP_LINK))
        except OSError as error:
            hint = "allow netlink sockets: AF_NETLINK in systemd's RestrictAddressFamilies="
            raise PktexpError(f"cannot monitor network interfaces: {error}", hint) from error
        self._socket.setblocking(False)
        self._list()
        while not self.synchronised:
            if not select.select([self._socket], [], [], TIMEOUT)[0]:
                message = f"the kernel did not list the network interfaces within {TIMEOUT} s"
                raise PktexpError(message, "check whether a sandbox filters netlink messages")
            self.receive()

    def fileno(self) -> int:
        """Return the socket's file descriptor, which is readable after a change."""
        return self._socket.fileno()

    def receive(self) -> None:
        """Apply all queued messages without blocking."""
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
                    self._apply(kind, flags, body)

    def take_gone(self) -> set[int]:
        """Return the ifindexes removed since the last call; a new interface may reuse one."""
        gone, self.gone, self.changed = self.gone, set(), False
        return gone

    def take_relisted(self) -> bool:
        """Return whether messages were lost, and all interfaces listed again, since the last call.

        A removal may have been among the lost messages.
        """
        relisted, self.relisted = self.relisted, False
        return relisted

    def present(self, ifindex: int) -> bool:
        """Return whether the interface that `links` has under an ifindex still exists.

        The kernel unlists an interface first, then detaches its programs, then sends RTM_DELLINK
        (net/core/dev.c, unregister_netdevice_many). So it is asked, and queued messages are applied
        afterwards: another interface gets the same ifindex only after RTM_DELLINK is queued.
        """
        if not exists(ifindex):
            return False
        self.receive()
        return ifindex in self.links and ifindex not in self.gone

    def close(self) -> None:
        """Stop monitoring."""
        self._socket.close()

    def _overrun(self) -> None:
        self.overruns += 1
        log.info("netlink overrun: listing all interfaces again")
        if self.synchronised:
            self._before = dict(self.links)
            self._list()
        else:
            self._list_again = True  # a socket has one dump at a time (EBUSY)

    def _list(self) -> None:
        """Request all interfaces; those missing in the reply are removed at its end."""
        self._listed = set()
        self.synchronised = False
        body = INTERFACE_INFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        self._socket.send(request(RTM_GETLINK, NLM_F_DUMP, body))

    def _apply(self, kind: int, flags: int, body: bytes) -> None:
        if kind == NLMSG_DONE:
            self._end_list(interrupted=bool(flags & NLM_F_DUMP_INTR))
        elif kind in (RTM_NEWLINK, RTM_DELLINK):
            # A bridge reports its ports in messages of AF_BRIDGE, also when a port leaves it.
            if body[0] != socket.AF_UNSPEC:
                return
            link = parse_link(body)
            self.changed = True
            if kind == RTM_DELLINK:
                self.links.pop(link.ifindex, None)
                self.gone.add(link.ifindex)
            else:
                self.links[link.ifindex] = link
                self._listed.add(link.ifindex)

    def _end_list(self, interrupted: bool) -> None:
        if interrupted or self._list_again:
            self._list_again = False
            self._list()
            return
        self.gone |= self.links.keys() - self._listed
        self.links = {index: link for index, link in self.links.items() if index in self._listed}
        kept = self._before.keys() & self.links.keys()
        self.gone |= {i for i in kept if _identity(self._before[i]) != _identity(self.links[i])}
        self.relisted = self.overruns > 0
        self.synchronised = True


def exists(ifindex: int) -> bool:
    """Ask the kernel whether this network namespace has an interface with an ifindex now."""
    try:
        socket.if_indextoname(ifindex)
    except OSError as error:
        return error.errno not in (errno.ENXIO, errno.ENODEV)
    return True


def read_link(ifindex: int) -> Link | None:
    """Return an interface of this network namespace as it is now; None if it is gone.

    Raises OSError if the kernel does not say.
    """
    with NetlinkSocket() as netlink:
        body = INTERFACE_INFO.pack(socket.AF_UNSPEC, 0, ifindex, 0, 0)
        try:
            return parse_link(netlink.ask(RTM_GETLINK, body))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return None


def xdp_programs(ifindex: int) -> list[int]:
    """Return the ids of an interface's XDP programs. Raises OSError, ENODEV without interface."""
    with NetlinkSocket() as netlink:
        body = INTERFACE_INFO.pack(socket.AF_UNSPEC, 0, ifindex, 0, 0)
        return parse_xdp_programs(netlink.ask(RTM_GETLINK, body))


def _identity(link: Link) -> tuple[object, ...]:
    """Return the properties that interfaces which use an ifindex one after another differ in."""
    return link.name, link.kind, link.hardware_type, link.address
