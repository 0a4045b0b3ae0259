"""Where the program is attached: one link an interface; part of datapath.py.

A link is a file descriptor: when the process ends, however it ends, the kernel detaches the
program.
"""

from __future__ import annotations

import ctypes as c
import errno
import os

from pktexp.kernel.libbpf import BpfError, Libbpf, LinkCreateOpts

# From include/uapi/linux/bpf.h and if_link.h (6.1).
ATTACH_XDP = 37
XDP_FLAGS_SKB_MODE = 1 << 1
XDP_FLAGS_DRV_MODE = 1 << 2
HOOKS = {"xdp-native": XDP_FLAGS_DRV_MODE, "xdp-generic": XDP_FLAGS_SKB_MODE}
LAST_HOOK = "xdp-generic"
# The device is gone, we may not, another native XDP program is there: no generic hook either.
NO_OTHER_HOOK = (errno.ENODEV, errno.EPERM, errno.EBUSY)


class Hooks:
    """A program's links, by ifindex. Close it to detach from every interface."""

    def __init__(self, lib: Libbpf, program_fd: int) -> None:
        self._lib = lib
        self._program_fd = program_fd
        self._links: dict[int, int] = {}

    def attach(self, ifindex: int) -> tuple[str, str]:
        """Attach to an interface: (hook, why no better hook; "" for the best).

        Native XDP, else generic. BpfError, with the last hook's reason, if neither can be had.
        """
        fallback = ""
        for hook, flags in HOOKS.items():
            try:
                self._links[ifindex] = self._link(ifindex, hook, flags)
                return hook, fallback
            except BpfError as error:
                if hook == LAST_HOOK or error.errno in NO_OTHER_HOOK:
                    raise
                fallback = str(error)
        raise AssertionError("the last hook returns or raises")

    def detach(self, ifindex: int) -> None:
        """Detach from an interface; nothing happens if there is no link to it."""
        if (link := self._links.pop(ifindex, None)) is not None:
            os.close(link)

    def close(self) -> None:
        """Detach from every interface."""
        for ifindex in list(self._links):
            self.detach(ifindex)

    def _link(self, ifindex: int, hook: str, flags: int) -> int:
        options = LinkCreateOpts(sz=c.sizeof(LinkCreateOpts), flags=flags)
        arguments = (self._program_fd, ifindex, ATTACH_XDP, c.byref(options))
        fd: int = self._lib(f"attach {hook}", "bpf_link_create", *arguments)
        return fd
