"""Check which features the kernel has, and whether it allows this process to use BPF.

Features are probed as `serve` probes them. A process that may not call bpf(2) looks them up in the
kernel's BTF instead, which every user can read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pktexp.bpf import probes
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.runtime import is_measured
from pktexp.bpf.tracepoints import DROPS, RETRANSMITS
from pktexp.commands.check.findings import Finding, finding
from pktexp.errors import PktexpError

SECTION = "kernel"
BTF = Path("/sys/kernel/btf/vmlinux")
LOCKDOWN = Path("/sys/kernel/security/lockdown")
CONFIDENTIALITY = "[confidentiality]"  # the mode that is on (security/lockdown/lockdown.c, 5.4)

# Name of the finding, tracepoint, and the first kernel that has it.
TRACEPOINTS = (
    ("drop reasons", DROPS, "use Linux 5.17 or later"),
    ("retransmissions", RETRANSMITS, ""),
)


def findings(lib: Libbpf | None, allowed: bool) -> Iterator[Finding]:
    """Yield all findings about the kernel; `allowed` is whether this process may call bpf(2)."""
    yield finding(SECTION, "release", True, os.uname().release, needed=False)
    mount = "mount it: mount -t sysfs sysfs /sys"
    yield finding(
        SECTION, "sysfs", probes.ONLINE_CPUS.exists(), "lists the CPUs that are online", mount
    )
    yield _btf(lib)
    if lib:
        yield from _features(lib, allowed)
        yield from _tracepoints(lib)
    yield _statistics()
    if LOCKDOWN.exists():
        yield _lockdown(LOCKDOWN.read_text())


def may_ask(lib: Libbpf) -> bool:
    """Return whether the kernel answers; a seccomp filter may refuse despite all capabilities."""
    try:
        probes.require_ring_buffer(lib)
    except PktexpError:
        return True
    except BpfError:
        return False
    return True


def has_tcx(lib: Libbpf, allowed: bool) -> bool | None:
    """Return whether the kernel has TCX; None if that cannot be determined."""
    if allowed:
        return probes.has_tcx(lib)
    return probes.is_named(lib, "bpf_attach_type", "BPF_TCX_INGRESS")


def _btf(lib: Libbpf | None) -> Finding:
    # libbpf also looks for BTF outside sysfs, for example in /boot.
    found = probes.has_btf(lib) if lib else BTF.exists()
    remedy = f"mount /sys for {BTF}, or use a kernel built with CONFIG_DEBUG_INFO_BTF=y"
    return finding(SECTION, "BTF", found, "the running kernel's types", remedy)


def _features(lib: Libbpf, allowed: bool) -> Iterator[Finding]:
    yield finding(
        SECTION,
        "ring buffer",
        _has_ring_buffer(lib, allowed),
        "carries records from the kernel",
        "use Linux 5.15 or later",
    )
    yield finding(
        SECTION,
        "multi-buffer XDP",
        _has_multi_buffer(lib, allowed),
        "native XDP with jumbo frames (Linux 5.18); otherwise other hooks",
        needed=False,
    )
    detail = "hooks that are removed with the process (Linux 6.6); otherwise clsact filters"
    yield finding(SECTION, "TCX", has_tcx(lib, allowed), detail, needed=False)


def _has_ring_buffer(lib: Libbpf, allowed: bool) -> bool | None:
    if not allowed:
        return probes.is_named(lib, "bpf_map_type", "BPF_MAP_TYPE_RINGBUF")
    try:
        probes.require_ring_buffer(lib)
    except PktexpError:
        return False
    return True


def _has_multi_buffer(lib: Libbpf, allowed: bool) -> bool | None:
    if allowed:
        return probes.has_multi_buffer(lib)
    return probes.is_named(lib, "bpf_func_id", "BPF_FUNC_xdp_get_buff_len")


def _tracepoints(lib: Libbpf) -> Iterator[Finding]:
    for name, tracepoint, remedy in TRACEPOINTS:
        found = probes.tracepoint_arguments(lib, tracepoint.name) >= tracepoint.arguments
        yield finding(SECTION, name, found, f"for {tracepoint.counted}", remedy, needed=False)


def _statistics() -> Finding:
    return finding(
        SECTION,
        "BPF statistics",
        is_measured(),
        "CPU time of the programs (pktexp_bpf_run_seconds_total)",
        "to see it: sysctl kernel.bpf_stats_enabled=1",
        needed=False,
    )


def _lockdown(modes: str) -> Finding:
    return finding(
        SECTION,
        "kernel memory",
        CONFIDENTIALITY not in modes,
        f"lockdown: {modes.strip()}",
        "in mode confidentiality BPF may not read the kernel's memory: drops and retransmissions "
        "may be missing; boot without lockdown=confidentiality to count them",
        needed=False,
    )
