"""Whether this process may do what it is about to; asked by service.py before anything else.

check.py shows what is missing, and what for.
"""

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
PURPOSES = {
    "CAP_BPF": "to load programs and make maps",
    "CAP_NET_ADMIN": "to attach them to interfaces",
    "CAP_PERFMON": "to read packets behind options and extension headers",
}
STATUS = Path("/proc/self/status")
USER_NAMESPACE = Path("/proc/self/ns/user")
INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO, include/linux/proc_ns.h (3.8)
GRANT = (
    "run as root, or grant them (systemd: AmbientCapabilities=; container: --cap-add, without "
    "no-new-privileges)"
)
LEAVE = "run it outside (container: as root, without --userns; systemd: no PrivateUsers=)"


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


def confined() -> bool:
    """Whether the capabilities are those of a user namespace: BPF asks for the initial one's."""
    namespaces = USER_NAMESPACE.exists()  # else the kernel was built without them
    return namespaces and USER_NAMESPACE.stat().st_ino != INITIAL_USER_NAMESPACE


def require() -> None:
    """PktexpError that names what is missing, if anything is."""
    if lacking := missing(effective()):
        message = f"not allowed to load BPF programs: {', '.join(lacking)} missing"
        raise PktexpError(message, GRANT)
    if confined():
        message = "not allowed to load BPF programs: inside a user namespace"
        raise PktexpError(message, LEAVE)
