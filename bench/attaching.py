"""An empty program on an interface, in pktexp's place; for throughput.py and impact.py."""

from __future__ import annotations

import ctypes as c
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pktexp.bpf import libbpf
from pktexp.bpf.libbpf import LinkCreateOpts
from support.netns.namespace import Namespace

# Hook: (attach type, flags), from include/uapi/linux/bpf.h and if_link.h.
HOOKS = {"xdp-native": (37, 1 << 2), "xdp-generic": (37, 1 << 1), "tcx-ingress": (46, 0)}


@contextmanager
def attached(namespace: Namespace, interface: str, hook: str, program: int) -> Iterator[str]:
    """Attach a program, by its file descriptor, for as long as the body runs; gives the hook."""
    attach_type, flags = HOOKS[hook]
    options = LinkCreateOpts(sz=c.sizeof(LinkCreateOpts), flags=flags)
    with namespace.entered():
        arguments = (program, socket.if_nametoindex(interface), attach_type, c.byref(options))
        link = libbpf.find()(f"attach {hook}", "bpf_link_create", *arguments)
    try:
        yield hook
    finally:
        os.close(link)
