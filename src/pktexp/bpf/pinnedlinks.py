"""Pinned links of interfaces: taken over by the programs of a new process, or removed."""

from __future__ import annotations

import ctypes as c
import os
from pathlib import Path

from pktexp.bpf.attached import programs_at
from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.pins import LINK, Pins, link_name

EGRESS = "egress"  # part of the names of egress hooks


class LinkInfo(c.Structure):
    """struct bpf_link_info (include/uapi/linux/bpf.h, 6.6) of XDP and TCX links."""

    _fields_ = (
        *((name, c.c_uint32) for name in ("type", "id", "program", "_pad", "ifindex", "attach")),
        ("_rest", c.c_uint8 * 40),
    )


class PinnedLinks:
    """The links that an earlier process pinned, and those that this process pins."""

    def __init__(self, lib: Libbpf, pins: Pins) -> None:
        self._lib = lib
        self._pins = pins
        self._inherited: dict[tuple[int, str], int] = {}
        self._find()

    def _find(self) -> None:
        """Open the pinned links; remove those that are not at an interface of this namespace."""
        for ifindex, hook in self._pins.links():
            fd = self._pins.get(link_name(ifindex, hook))
            assert fd is not None, f"the pin of {ifindex} at {hook} was just listed"
            # Moved to another namespace, an interface keeps its links, and may keep its ifindex.
            if link_info(self._lib, fd).program in programs_at(self._lib, ifindex, Hook(hook)):
                self._inherited[ifindex, hook] = fd
            else:
                self._remove(ifindex, hook, fd)

    def inherits(self, ifindex: int, hook: str) -> bool:
        """Return whether there is a pinned link to take over."""
        return (ifindex, hook) in self._inherited

    def take_over(self, ifindex: int, hook: str, program: int) -> int | None:
        """Replace the program of a pinned link; return its descriptor, None if there is no link.

        The kernel exchanges the programs in one step (bpf_link_update: XDP since 5.9, commit
        026a4c28e1db; TCX since 6.6): each packet is seen by exactly one of them.
        """
        if (fd := self._inherited.pop((ifindex, hook), None)) is None:
            self._drop_instead(ifindex, hook)
            return None
        arguments = (fd, program, None)
        try:
            self._lib("exchange the program of a link", "bpf_link_update", *arguments)
        except OSError:  # the caller creates a new link
            self._remove(ifindex, hook, fd)
            return None
        return fd

    def pin(self, ifindex: int, hook: str, fd: int) -> None:
        """Pin a new link in place of one that another program had detached."""
        self._pins.drop(name := link_name(ifindex, hook))
        self._pins.put(name, fd)

    def drop(self, ifindex: int) -> None:
        """Unpin all links of an interface."""
        for other, hook in list(self._pins.links()):
            if other == ifindex:
                self.unpin(ifindex, hook)

    def unpin(self, ifindex: int, hook: str) -> None:
        """Unpin the link at one hook of an interface, if it is pinned."""
        self._pins.drop(link_name(ifindex, hook))

    def drop_inherited(self) -> None:
        """Remove the inherited links that `take_over` has not returned."""
        for (ifindex, hook), fd in self._inherited.items():
            self._remove(ifindex, hook, fd)
        self._inherited.clear()

    def _drop_instead(self, ifindex: int, hook: str) -> None:
        """Remove inherited links at other hooks of the direction, to count no packet twice."""
        egress = EGRESS in hook
        for key in [k for k in self._inherited if k[0] == ifindex and (EGRESS in k[1]) == egress]:
            self._remove(*key, self._inherited.pop(key))

    def _remove(self, ifindex: int, hook: str, fd: int) -> None:
        self._pins.drop(link_name(ifindex, hook))
        os.close(fd)


def pinned_programs(lib: Libbpf, root: Path) -> set[int]:
    """Return the ids of the programs of all links that are pinned at `root`."""
    found = set()
    for path in root.glob(f"*/{LINK}*"):
        fd = lib(f"open {path}", "bpf_obj_get", os.fsencode(path))
        found.add(link_info(lib, fd).program)
        os.close(fd)
    return found


def link_info(lib: Libbpf, fd: int) -> LinkInfo:
    """Return a link's description; its `ifindex` is 0 when the interface is gone."""
    info, size = LinkInfo(), c.c_uint32(c.sizeof(LinkInfo))
    lib("describe a link", "bpf_obj_get_info_by_fd", fd, c.byref(info), c.byref(size))
    return info
