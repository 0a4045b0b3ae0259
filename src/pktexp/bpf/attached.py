"""Programs at the hooks of an interface, as the kernel reports them, whoever attached them.

Needs CAP_NET_ADMIN for TCX hooks. An interface is asked by ifindex in the caller's network
namespace: a link reports its interface's ifindex in whichever namespace the interface is.
"""

from __future__ import annotations

import ctypes as c
import errno

from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.probes import TCX_EGRESS, TCX_INGRESS
from pktexp.netlink.links import xdp_programs

TCX = {Hook.TCX_INGRESS: TCX_INGRESS, Hook.TCX_EGRESS: TCX_EGRESS}
MOST = 64  # programs at a TCX hook (BPF_MPROG_MAX, include/linux/bpf_mprog.h, 6.6)


def programs_at(lib: Libbpf, ifindex: int, hook: Hook) -> set[int]:
    """Return the ids of the programs at an XDP or TCX hook; none if the interface is gone."""
    try:
        return set(xdp_programs(ifindex)) if hook.xdp else _tcx_programs(lib, ifindex, hook)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return set()


def _tcx_programs(lib: Libbpf, ifindex: int, hook: Hook) -> set[int]:
    ids, flags, count = (c.c_uint32 * MOST)(), c.c_uint32(), c.c_uint32(MOST)
    arguments = (ifindex, TCX[hook], 0, c.byref(flags), c.byref(ids), c.byref(count))
    lib("list the programs at a TCX hook", "bpf_prog_query", *arguments)
    return set(ids[: count.value])
