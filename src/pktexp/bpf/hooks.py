"""Attach the datapath's programs, at one hook for each interface and direction.

At XDP and TCX they are attached by a link, which is a file descriptor: when the process ends,
however it ends, the kernel detaches the program. On kernels without TCX (before 6.6) they are
filters of the clsact qdisc. hookchoice.py has the order in which hooks are tried.
"""

from __future__ import annotations

import ctypes as c
import errno
import os
import resource
from collections.abc import Mapping

from pktexp.bpf.clsact import Clsact
from pktexp.bpf.hookchoice import OTHER_XDP, Hook
from pktexp.bpf.libbpf import BpfError, Libbpf, LinkCreateOpts
from pktexp.bpf.pinnedlinks import PinnedLinks, link_info
from pktexp.bpf.pins import Pins
from pktexp.bpf.probes import TCX_EGRESS, TCX_INGRESS
from pktexp.packet.enums import Direction

# From include/uapi/linux/bpf.h and if_link.h (6.6).
ATTACH_XDP = 37
XDP_FLAGS_SKB_MODE = 1 << 1
XDP_FLAGS_DRV_MODE = 1 << 2
BPF_F_BEFORE = 1 << 3
BPF_F_AFTER = 1 << 4

# Attach type and flags of bpf_link_create. First at ingress and last at egress, the programs see
# packets as they are on the wire.
LINKS = {
    Hook.XDP_NATIVE: (ATTACH_XDP, XDP_FLAGS_DRV_MODE),
    Hook.XDP_GENERIC: (ATTACH_XDP, XDP_FLAGS_SKB_MODE),
    Hook.TCX_INGRESS: (TCX_INGRESS, BPF_F_BEFORE),
    Hook.TCX_EGRESS: (TCX_EGRESS, BPF_F_AFTER),
}
RESERVE = 256  # file descriptors that links leave free, for connections and everything else
OCCUPIED = (errno.EBUSY, errno.EEXIST)


class Hooks:
    """The attached programs by ifindex and direction; close it to detach all that are not pinned.

    `tcx`: whether the kernel has TCX, so that every attachment is a link.
    """

    def __init__(
        self,
        lib: Libbpf,
        programs: Mapping[Direction, int],
        xdp: int,
        tcx: bool,
        pins: Pins | None = None,
    ) -> None:
        """`programs`: descriptors of the programs for socket buffers; `xdp`: of the XDP program.

        With `pins`, links are pinned, and links already pinned get the new programs.
        """
        self._lib = lib
        self._programs = programs
        self._xdp = xdp
        self.tcx = tcx
        self._links: dict[tuple[int, Direction], int] = {}
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._room = most - min(RESERVE, most // 4)
        self._clsact = Clsact()
        self._pinned = PinnedLinks(lib, pins) if pins else None

    def attach(self, ifindex: int, direction: Direction, hook: Hook) -> None:
        """Attach to an interface at a hook. Raises BpfError or OSError if the kernel refuses."""
        self._close_link(ifindex, direction)  # a dead one, where somebody has detached it
        program = self._xdp if hook.xdp else self._programs[direction]
        if hook in LINKS:
            taken = self._pinned.take_over(ifindex, hook, program) if self._pinned else None
            self._links[ifindex, direction] = taken or self._link(program, ifindex, hook)
        else:
            self._clsact.attach(ifindex, direction, program)

    @property
    def pinned(self) -> bool:
        """Whether links are pinned, so that they stay when this process ends."""
        return self._pinned is not None

    def inherits(self, ifindex: int, hook: Hook) -> bool:
        """Return whether an earlier process left a pinned link at a hook of an interface."""
        return self._pinned is not None and self._pinned.inherits(ifindex, hook)

    def detach(self, ifindex: int) -> None:
        """Detach from an interface; nothing happens if nothing is attached there."""
        self._release(ifindex)
        self._clsact.detach(ifindex)

    def detach_xdp(self, ifindex: int, hook: Hook) -> None:
        """Detach from an XDP hook of an interface, and from no other hook."""
        self._close_link(ifindex, Direction.INGRESS)
        if self._pinned:
            self._pinned.unpin(ifindex, hook)

    def forget(self, ifindex: int) -> None:
        """Release the links of an interface that is gone; another one may have its ifindex."""
        self._release(ifindex)
        self._clsact.forget(ifindex)

    def lost(self) -> list[tuple[int, Direction]]:
        """Return the interfaces and directions where a program is attached no more.

        Either somebody detached it, or the interface is gone.
        """
        dead = [key for key, fd in self._links.items() if not link_info(self._lib, fd).ifindex]
        return dead + list(self._clsact.lost())

    def drop_inherited(self) -> None:
        """Remove pinned links of an earlier process that no `attach` has taken over."""
        if self._pinned:
            self._pinned.drop_inherited()

    def close(self) -> None:
        """Detach from every interface; pinned links stay and keep counting."""
        for link in self._links.values():
            os.close(link)
        self._links.clear()
        self._clsact.close()

    def _release(self, ifindex: int) -> None:
        for direction in Direction:
            self._close_link(ifindex, direction)
        if self._pinned:
            self._pinned.drop(ifindex)

    def _close_link(self, ifindex: int, direction: Direction) -> None:
        if (fd := self._links.pop((ifindex, direction), None)) is not None:
            os.close(fd)

    def _link(self, program: int, ifindex: int, hook: Hook) -> int:
        attach_type, flags = LINKS[hook]
        options = LinkCreateOpts(sz=c.sizeof(LinkCreateOpts), flags=flags)
        arguments = (program, ifindex, attach_type, c.byref(options))
        attempted = f"attach {hook}"
        fd: int = self._lib(attempted, "bpf_link_create", *arguments)
        try:
            if fd >= self._room:  # the kernel gives the lowest free number
                raise BpfError(errno.EMFILE, attempted)
            if self._pinned:
                self._pinned.pin(ifindex, hook, fd)
        except BaseException:
            os.close(fd)
            raise
        return fd


def refusal(error: OSError, hook: Hook) -> str:
    """Return why the kernel refused a hook, in words."""
    if hook.xdp and error.errno in OCCUPIED:
        return OTHER_XDP
    return os.strerror(error.errno) if isinstance(error, BpfError) and error.errno else str(error)
