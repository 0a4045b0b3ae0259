"""Probes of the running kernel: CPUs, network namespace, features, BTF and tracepoints."""

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
PROG_TYPE_SCHED_CLS = 3
PROG_TYPE_XDP = 6
MAP_TYPE_RINGBUF = 27
HELPER_XDP_GET_BUFF_LEN = 188
TCX_INGRESS = 46
TCX_EGRESS = 47
# A program that reads a byte of the kernel's memory by the helper probe_read_kernel (113):
# r1 = r10 - 8, r2 = 1, r3 = 0, call 113, exit.
READ_KERNEL = bytes.fromhex(
    "bfa1000000000000 07010000f8ffffff b702000001000000 b703000000000000"
    "8500000071000000 9500000000000000"
)
ONLINE_CPUS = Path("/sys/devices/system/cpu/online")
NAMESPACE = Path("/proc/thread-self/ns/net")
LOOPBACK_IFINDEX = 1  # ifindex of lo in every network namespace


def online_cpus(path: Path = ONLINE_CPUS) -> list[int]:
    """Return the numbers of the online CPUs, from a list such as "0-3,8" (cpu-hotplug.rst)."""
    spans = [[int(n) for n in part.split("-")] for part in path.read_text().split(",")]
    return [n for span in spans for n in range(span[0], span[-1] + 1)]


def highest_online_cpu(path: Path = ONLINE_CPUS) -> int:
    """Return the highest number of an online CPU."""
    return online_cpus(path)[-1]


def network_namespace() -> int:
    """Return the number of the calling thread's network namespace, an inode of nsfs."""
    return NAMESPACE.stat().st_ino


def require_ring_buffer(lib: Libbpf) -> None:
    """Raise PktexpError on a kernel without BPF ring buffers (before 5.8).

    Raises BpfError if the kernel has them but refuses to create one.
    """
    # libbpf's own probe takes a refusal (seccomp) for a kernel without ring buffers.
    arguments = (MAP_TYPE_RINGBUF, None, 0, 0, mmap.PAGESIZE, None)
    try:
        os.close(lib("create a BPF ring buffer", "bpf_map_create", *arguments))
    except BpfError as error:
        if error.errno != errno.EINVAL:
            raise
        hint = "use Linux 5.15 or later"
        raise PktexpError("this kernel has no BPF ring buffer", hint) from error


def has_multi_buffer(lib: Libbpf) -> bool:
    """Return whether XDP programs can receive frames of several buffers (5.18)."""
    probe = ("libbpf_probe_bpf_helper", PROG_TYPE_XDP, HELPER_XDP_GET_BUFF_LEN, None)
    try:
        return bool(lib("probe the kernel for multi-buffer XDP", *probe))
    except BpfError:
        return False


def can_read_kernel(lib: Libbpf) -> bool:
    """Return whether programs of socket buffers may read the kernel's memory.

    They may not under lockdown=confidentiality (security/lockdown/lockdown.c, 5.4).
    """
    # Not by libbpf's own probe: before 1.5 it does not know how kernels since 6.11 refuse a helper.
    arguments = (PROG_TYPE_SCHED_CLS, None, b"GPL", READ_KERNEL, len(READ_KERNEL) // 8, None)
    try:
        os.close(lib("probe the kernel for reading its memory", "bpf_prog_load", *arguments))
    except BpfError:
        return False
    return True


def has_tcx(lib: Libbpf) -> bool:
    """Return whether the kernel has TCX hooks (6.6): whether their programs can be queried."""
    flags, count = c.c_uint32(), c.c_uint32()
    arguments = (LOOPBACK_IFINDEX, TCX_INGRESS, 0, c.byref(flags), None, c.byref(count))
    try:
        lib("probe the kernel for TCX", "bpf_prog_query", *arguments)
    except BpfError:
        return False
    return True


def has_btf(lib: Libbpf) -> bool:
    """Return whether the running kernel has BTF."""
    try:
        with kernel_btf(lib):
            return True
    except BpfError:
        return False


def is_named(lib: Libbpf, enum: str, enumerator: str) -> bool | None:
    """Return whether an enum of the kernel's BTF has this enumerator; None without BTF.

    It shows a feature to processes that may not call bpf().
    """
    try:
        with kernel_btf(lib) as btf:
            return enumerator in btf.enum(enum)
    except BpfError:
        return None


def tracepoint_arguments(lib: Libbpf, name: str) -> int:
    """Return a tracepoint's number of arguments; 0 without the tracepoint or without BTF."""
    try:
        with kernel_btf(lib) as btf:
            return btf.parameters(f"btf_trace_{name}") - 1  # the first is the caller's context
    except BpfError:
        return 0
