"""What the kernel can do and lets be done, as rows; part of check.py.

Features are asked for as `serve` asks. Whoever may not ask is answered by the kernel's BTF, which
anybody can read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pktexp.bpf import probes
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.runtime import is_measured
from pktexp.bpf.tracepoints import DROPS, RETRANSMITS
from pktexp.commands.check.rows import Row, row
from pktexp.errors import PktexpError

SECTION = "kernel"
BTF = Path("/sys/kernel/btf/vmlinux")
LOCKDOWN = Path("/sys/kernel/security/lockdown")
CONFIDENTIALITY = "[confidentiality]"  # the mode that is on (security/lockdown/lockdown.c, 5.4)

# Row's name, what is counted there, and since when kernels have it.
TRACEPOINTS = (
    ("drop reasons", DROPS, "Linux 5.17 has them"),
    ("retransmissions", RETRANSMITS, ""),
)


def rows(lib: Libbpf | None, allowed: bool) -> Iterator[Row]:
    """All of them; `allowed`: whether this process may ask the kernel."""
    yield row(SECTION, "release", True, os.uname().release, needed=False)
    mount = "mount it: mount -t sysfs sysfs /sys"
    yield row(SECTION, "sysfs", probes.ONLINE_CPUS.exists(), "which CPUs are online", mount)
    yield _btf(lib)
    if lib:
        yield from _features(lib, allowed)
        yield from _tracepoints(lib)
    yield _statistics()
    if LOCKDOWN.exists():
        yield _lockdown(LOCKDOWN.read_text())


def may_ask(lib: Libbpf) -> bool:
    """Whether the kernel answers: a seccomp filter may refuse it whatever the capabilities."""
    try:
        probes.require_ring_buffer(lib)
    except PktexpError:
        return True
    except BpfError:
        return False
    return True


def has_tcx(lib: Libbpf, allowed: bool) -> bool | None:
    """Whether there is TCX; None if nobody can tell."""
    if allowed:
        return probes.has_tcx(lib)
    return probes.is_named(lib, "bpf_attach_type", "BPF_TCX_INGRESS")


def _btf(lib: Libbpf | None) -> Row:
    """Asking libbpf is best: it also looks elsewhere."""
    found = probes.has_btf(lib) if lib else BTF.exists()
    remedy = f"mount /sys for {BTF}, or take a kernel built with CONFIG_DEBUG_INFO_BTF=y"
    return row(SECTION, "BTF", found, "the running kernel's types", remedy)


def _features(lib: Libbpf, allowed: bool) -> Iterator[Row]:
    yield row(
        SECTION,
        "ring buffer",
        _has_ring_buffer(lib, allowed),
        "how records come from the kernel",
        "take a later kernel: pktexp is made for Linux 5.15 and later",
    )
    yield row(
        SECTION,
        "multi-buffer XDP",
        _has_multi_buffer(lib, allowed),
        "native XDP with jumbo frames (Linux 5.18); else at other hooks",
        needed=False,
    )
    detail = "hooks that go with the process (Linux 6.6); else filters of clsact"
    yield row(SECTION, "TCX", has_tcx(lib, allowed), detail, needed=False)


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


def _tracepoints(lib: Libbpf) -> Iterator[Row]:
    for name, tracepoint, remedy in TRACEPOINTS:
        found = probes.tracepoint_arguments(lib, tracepoint.name) >= tracepoint.arguments
        yield row(SECTION, name, found, f"for {tracepoint.what}", remedy, needed=False)


def _statistics() -> Row:
    return row(
        SECTION,
        "BPF statistics",
        is_measured(),
        "what the programs cost (pktexp_bpf_run_seconds_total)",
        "to see it: sysctl kernel.bpf_stats_enabled=1",
        needed=False,
    )


def _lockdown(modes: str) -> Row:
    return row(
        SECTION,
        "kernel memory",
        CONFIDENTIALITY not in modes,
        f"lockdown: {modes.strip()}",
        "in mode confidentiality BPF may not read the kernel's memory: drops and retransmissions "
        "may be missing; boot without lockdown=confidentiality to have them",
        needed=False,
    )
