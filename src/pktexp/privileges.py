"""Whether this process may do what it is about to; asked by service.py before anything else."""

from __future__ import annotations

from pathlib import Path

from pktexp.errors import PktexpError

# From include/uapi/linux/capability.h (5.8).
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21
CAP_PERFMON = 38
CAP_BPF = 39
# CAP_PERFMON: without it the verifier allows no packet pointer a variable offset, which options and
# extension headers need (kernel/bpf/verifier.c, 6.18, retrieve_ptr_limit).
NEEDED = {"CAP_BPF": CAP_BPF, "CAP_NET_ADMIN": CAP_NET_ADMIN, "CAP_PERFMON": CAP_PERFMON}
STATUS = Path("/proc/self/status")


def effective(status: Path = STATUS) -> int:
    """The process's effective capabilities, as a bit mask (proc(5), CapEff)."""
    for line in status.read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def missing(mask: int) -> list[str]:
    """Names of the capabilities that `mask` lacks; CAP_SYS_ADMIN stands in for the newer ones."""
    if mask >> CAP_SYS_ADMIN & 1:
        mask |= 1 << CAP_BPF | 1 << CAP_PERFMON
    return [name for name, bit in NEEDED.items() if not mask >> bit & 1]


def require(mask: int | None = None) -> None:
    """PktexpError that names what is missing, if anything is."""
    if lacking := missing(effective() if mask is None else mask):
        raise PktexpError(
            f"not allowed to load BPF programs: {', '.join(lacking)} missing",
            "run as root, or grant them (systemd: AmbientCapabilities=; container: --cap-add)",
        )
