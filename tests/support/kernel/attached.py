"""Programs attached to an interface, as the kernel lists them; not every bpftool knows TCX."""

from __future__ import annotations

import ctypes as c
import socket

from pktexp.bpf import libbpf
from pktexp.bpf.probes import TCX_EGRESS, TCX_INGRESS, has_tcx
from support.netns.namespace import Namespace

TCX = {"tcx-ingress": TCX_INGRESS, "tcx-egress": TCX_EGRESS}
MOST = 64


def attached(namespace: Namespace, interface: str) -> dict[str, int]:
    """Return the number of programs by hook, for hooks that have any."""
    hooks = TCX if has_tcx(libbpf.find()) else ()
    counts = {hook: len(programs(namespace, interface, hook)) for hook in hooks}
    counts["xdp"] = int("xdp" in namespace.link(interface))
    return {hook: count for hook, count in counts.items() if count}


def programs(namespace: Namespace, interface: str, hook: str) -> list[int]:
    """Return the ids of the programs at a TCX hook, in the order in which they run."""
    ids, flags, count = (c.c_uint32 * MOST)(), c.c_uint32(), c.c_uint32(MOST)
    with namespace.entered():
        ifindex = socket.if_nametoindex(interface)
        arguments = (ifindex, TCX[hook], 0, c.byref(flags), c.byref(ids), c.byref(count))
        libbpf.find()("ask what is attached", "bpf_prog_query", *arguments)
    return list(ids[: count.value])
