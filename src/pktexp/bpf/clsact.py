"""Attach programs as filters of the clsact qdisc, for kernels without TCX (before 6.6).

A filter is not bound to a file descriptor: it stays when its process is killed. Each filter
therefore has the process id in its name, and attaching removes those of ended processes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pktexp.netlink.rtnetlink import NetlinkSocket, attribute, attributes
from pktexp.packet.enums import Direction

# include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h (5.15).
RTM_NEWQDISC, RTM_DELQDISC = 36, 37
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
NLM_F_EXCL_CREATE = 0x200 | 0x400
TCMSG = struct.Struct("=BxxxiIII")  # struct tcmsg: family, ifindex, handle, parent, info
U32 = struct.Struct("=I")
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_BPF_FD, TCA_BPF_NAME, TCA_BPF_FLAGS = 6, 7, 8
DIRECT_ACTION = 1
QDISC, QDISC_PARENT = 0xFFFF0000, 0xFFFFFFF1
PARENTS = {Direction.INGRESS: 0xFFFFFFF2, Direction.EGRESS: 0xFFFFFFF3}
# The first filter at ingress and the last at egress, so that packets are as on the wire.
PRIORITIES = {Direction.INGRESS: 1, Direction.EGRESS: 0xFFFF}
ALL_PROTOCOLS = 0x0300  # ETH_P_ALL, in network byte order
NAME_PREFIX = "pktexp-"


class Filter(NamedTuple):
    """A BPF filter of an interface, as the kernel lists it."""

    parent: int
    handle: int
    info: int
    name: str


class Clsact:
    """The filters of this process; methods raise OSError with the kernel's errno."""

    def __init__(self) -> None:
        self._name = f"{NAME_PREFIX}{os.getpid()}"
        self._interfaces: dict[int, bool] = {}  # ifindex -> whether we added its qdisc
        self._attached: set[tuple[int, Direction]] = set()

    def attach(self, ifindex: int, direction: Direction, program: int) -> None:
        """Add a filter that runs `program`, a file descriptor."""
        with NetlinkSocket() as netlink:
            ours = self._add_qdisc(netlink, ifindex)
            self._interfaces[ifindex] = ours or self._interfaces.get(ifindex, False)
            _remove_orphans(netlink, ifindex)
            options = (
                attribute(TCA_BPF_FD, U32.pack(program))
                + attribute(TCA_BPF_NAME, self._name.encode() + b"\0")
                + attribute(TCA_BPF_FLAGS, U32.pack(DIRECT_ACTION))
            )
            info = PRIORITIES[direction] << 16 | ALL_PROTOCOLS
            head = TCMSG.pack(0, ifindex, 0, PARENTS[direction], info)
            body = head + attribute(TCA_KIND, b"bpf\0") + attribute(TCA_OPTIONS, options)
            netlink.change(RTM_NEWTFILTER, NLM_F_EXCL_CREATE, body)
        self._attached.add((ifindex, direction))

    def detach(self, ifindex: int) -> None:
        """Remove an interface's filters, and the qdisc if this process added it and it is empty."""
        if ifindex not in self._interfaces:
            return
        ours = self._interfaces.pop(ifindex)
        self._attached -= {(ifindex, direction) for direction in Direction}
        with NetlinkSocket() as netlink, contextlib.suppress(OSError):  # the interface may be gone
            for found in list(_filters(netlink, ifindex)):
                if found.name == self._name:
                    _remove(netlink, ifindex, found)
            if ours and not list(_filters(netlink, ifindex)):
                netlink.change(RTM_DELQDISC, 0, _qdisc(ifindex))

    def forget(self, ifindex: int) -> None:
        """Forget an interface that is gone: the kernel has removed its filters and its qdisc."""
        self._interfaces.pop(ifindex, None)
        self._attached -= {(ifindex, direction) for direction in Direction}

    def lost(self) -> Iterator[tuple[int, Direction]]:
        """Yield the interfaces and directions without our filter; the interface may be gone.

        Stops early when the kernel does not reply: whoever removes many interfaces holds its lock.
        """
        with NetlinkSocket() as netlink, contextlib.suppress(TimeoutError):
            for ifindex, direction in list(self._attached):
                if PARENTS[direction] not in self._parents(netlink, ifindex):
                    yield ifindex, direction

    def close(self) -> None:
        """Remove all filters of this process."""
        for ifindex in list(self._interfaces):
            self.detach(ifindex)

    def _parents(self, netlink: NetlinkSocket, ifindex: int) -> set[int]:
        """Return where this process has filters; nowhere if the interface is gone."""
        try:
            return {x.parent for x in _filters(netlink, ifindex) if x.name == self._name}
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return set()

    def _add_qdisc(self, netlink: NetlinkSocket, ifindex: int) -> bool:
        """Add the qdisc; return False if there is one already."""
        try:
            netlink.change(RTM_NEWQDISC, NLM_F_EXCL_CREATE, _qdisc(ifindex))
        except FileExistsError:
            return False
        return True


def _qdisc(ifindex: int) -> bytes:
    head = TCMSG.pack(0, ifindex, QDISC, QDISC_PARENT, 0)
    return head + attribute(TCA_KIND, b"clsact\0")


def _filters(netlink: NetlinkSocket, ifindex: int) -> Iterator[Filter]:
    """Yield every BPF filter of an interface, in both directions."""
    for parent in PARENTS.values():
        for body in netlink.dump(RTM_GETTFILTER, TCMSG.pack(0, ifindex, 0, parent, 0)):
            _, _, handle, _, info = TCMSG.unpack_from(body)
            options = attributes(attributes(body, TCMSG.size).get(TCA_OPTIONS, b""), 0)
            if handle:  # 0: the head of a priority's list
                name = options.get(TCA_BPF_NAME, b"").rstrip(b"\0").decode(errors="replace")
                yield Filter(parent, handle, info, name)


def _remove_orphans(netlink: NetlinkSocket, ifindex: int) -> None:
    for found in list(_filters(netlink, ifindex)):
        pid = found.name.removeprefix(NAME_PREFIX)
        if pid != found.name and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove(netlink, ifindex, found)


def _remove(netlink: NetlinkSocket, ifindex: int, found: Filter) -> None:
    head = TCMSG.pack(0, ifindex, found.handle, found.parent, found.info)
    try:
        netlink.change(RTM_DELTFILTER, 0, head + attribute(TCA_KIND, b"bpf\0"))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
