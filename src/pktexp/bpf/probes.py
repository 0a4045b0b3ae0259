"""What the running kernel can do, asked through libbpf; for datapath.py and tracing.py."""

from __future__ import annotations

import ctypes as c
import errno
import mmap
import os
from pathlib import Path

from pktexp.bpf.btf import kernel_btf
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.errors import PktexpError

# From include/uapi/linux/bpf.h (6.6).
PROG_TYPE_XDP = 6
MAP_TYPE_RINGBUF = 27
HELPER_XDP_GET_BUFF_LEN = 188
TCX_INGRESS = 46
TCX_EGRESS = 47
ONLINE_CPUS = Path("/sys/devices/system/cpu/online")
LOOPBACK = 1  # the ifindex of lo, which every namespace has


def highest_online_cpu(path: Path = ONLINE_CPUS) -> int:
    """Return the highest number of an online CPU, from a list such as "0-3,8" (cpu-hotplug.rst)."""
    return int(path.read_text().strip().replace("-", ",").split(",")[-1])


def require_ring_buffer(lib: Libbpf) -> None:
    """PktexpError where there are no BPF ring buffers (5.8), BpfError where none may be made."""
    # Made here, not by libbpf's probe, for which a refusal (seccomp) is a kernel without them.
    arguments = (MAP_TYPE_RINGBUF, None, 0, 0, mmap.PAGESIZE, None)
    try:
        os.close(lib("make a BPF ring buffer", "bpf_map_create", *arguments))
    except BpfError as error:
        if error.errno != errno.EINVAL:
            raise
        hint = "pktexp is made for Linux 5.15 and later; ring buffers came with 5.8"
        raise PktexpError("this kernel has no BPF ring buffer", hint) from error


def has_multi_buffer(lib: Libbpf) -> bool:
    """Whether XDP programs may see frames of several buffers (5.18)."""
    probe = ("libbpf_probe_bpf_helper", PROG_TYPE_XDP, HELPER_XDP_GET_BUFF_LEN, None)
    try:
        return bool(lib("ask the kernel for multi-buffer XDP", *probe))
    except BpfError:
        return False


def has_tcx(lib: Libbpf) -> bool:
    """Whether programs can be attached to TCX (6.6): whether it can be asked who is."""
    flags, count = c.c_uint32(), c.c_uint32()
    arguments = (LOOPBACK, TCX_INGRESS, 0, c.byref(flags), None, c.byref(count))
    try:
        lib("ask the kernel for TCX", "bpf_prog_query", *arguments)
    except BpfError:
        return False
    return True


def has_btf(lib: Libbpf) -> bool:
    """Whether the kernel's types are to be had."""
    try:
        with kernel_btf(lib):
            return True
    except BpfError:
        return False


def is_named(lib: Libbpf, enum: str, enumerator: str) -> bool | None:
    """Whether the kernel's BTF has it, for those who may not ask otherwise; None without BTF."""
    try:
        with kernel_btf(lib) as btf:
            return enumerator in btf.enum(enum)
    except BpfError:
        return None


def tracepoint_arguments(lib: Libbpf, name: str) -> int:
    """How many a tracepoint has; 0 where there is no such tracepoint, or no BTF that tells."""
    try:
        with kernel_btf(lib) as btf:
            return btf.parameters(f"btf_trace_{name}") - 1  # the first one is not the tracepoint's
    except BpfError:
        return 0
