"""Whether this process may do what it is about to, and what of that it gives up afterwards.

service.py asks before anything else, and gives up what it can when all is attached;
kernel/capabilities.py does it. check.py shows what is missing, and what for.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pktexp import capabilities
from pktexp.errors import PktexpError

log = logging.getLogger(__name__)

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
THREADS = Path("/proc/self/task")
USER_NAMESPACE = Path("/proc/self/ns/user")
INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO, include/linux/proc_ns.h (3.8)
GRANT = (
    "run as root, or grant them (systemd: AmbientCapabilities=; container: --cap-add, without "
    "no-new-privileges)"
)
LEAVE = "run it outside (container: as root, without --userns; systemd: no PrivateUsers=)"


def effective() -> int:
    """This process's effective capabilities, as a bit mask."""
    return capabilities.held("CapEff")


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


def give_up(tcx: bool, namespaces: bool = False) -> None:
    """Keep only what later work takes, also in threads to come; a refusal costs a log line.

    Where there are links for everything (`tcx`, 6.6) that is nothing: attaching a program takes its
    descriptor alone, and so does using a map. Filters of clsact take CAP_NET_ADMIN, and before 5.19
    (commit c8644cd0efe7) bpf() takes CAP_BPF for whatever it does. Asking what is in other
    `namespaces` takes CAP_NET_ADMIN.
    """
    later = 0 if tcx else 1 << CAP_NET_ADMIN | 1 << CAP_BPF
    later |= namespaces << CAP_NET_ADMIN
    if not tcx and not effective() >> CAP_BPF & 1:
        later |= 1 << CAP_SYS_ADMIN  # which stood in for it
    if others := len(list(THREADS.iterdir())) - 1:
        log.warning("%d threads were there before, and keep their capabilities", others)
    try:
        capabilities.keep(later)
    except OSError as error:
        log.warning("capabilities that are not needed any more are kept: %s", error)
    else:
        log.info("capabilities kept: %s", ", ".join(_names(later)) or "none")


def _names(mask: int) -> list[str]:
    names = NEEDED | {"CAP_SYS_ADMIN": CAP_SYS_ADMIN}
    held = capabilities.held("CapPrm")
    return [name for name, bit in names.items() if mask & held & 1 << bit]
