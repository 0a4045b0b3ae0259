"""What hangs on an interface, as the kernel says: not every bpftool knows TCX."""

from __future__ import annotations

import ctypes as c
import socket

from pktexp.kernel import libbpf
from pktexp.kernel.probes import TCX_EGRESS, TCX_INGRESS
from support.netns import Namespace


def attached(namespace: Namespace, interface: str) -> dict[str, int]:
    """Hook -> number of programs, for those that have any."""
    lib = libbpf.find()
    counts = {"xdp": int("xdp" in namespace.link(interface))}
    with namespace.entered():
        ifindex = socket.if_nametoindex(interface)
        for name, kind in (("tcx-ingress", TCX_INGRESS), ("tcx-egress", TCX_EGRESS)):
            flags, count = c.c_uint32(), c.c_uint32()
            arguments = (ifindex, kind, 0, c.byref(flags), None, c.byref(count))
            lib("ask what is attached", "bpf_prog_query", *arguments)
            counts[name] = count.value
    return {name: count for name, count in counts.items() if count}
