"""The capabilities of this process: which it needs, which it has, and giving them up for good.

Belongs to the ground layer. capset(2) and prctl(2) are called through ctypes, as the libraries for
them are no longer maintained: python-prctl's last release is of 2020, pyprctl's of 2021.
"""

from __future__ import annotations

import ctypes as c
import logging
import os
from pathlib import Path

from pktexp.errors import PktexpError

log = logging.getLogger(__name__)

# From include/uapi/linux/capability.h (5.8).
CAP_SETPCAP = 8
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21
CAP_PERFMON = 38
CAP_BPF = 39
VERSION_3 = 0x20080522
# From include/uapi/linux/prctl.h (3.5).
CAPBSET_DROP = 24
SET_NO_NEW_PRIVS = 38
CAP_AMBIENT = 47  # 4.3
CAP_AMBIENT_RAISE = 2

# CAP_PERFMON: without it the verifier allows no packet pointer a variable offset, which options and
# extension headers need (kernel/bpf/verifier.c, 6.18, retrieve_ptr_limit).
NEEDED = {"CAP_BPF": CAP_BPF, "CAP_NET_ADMIN": CAP_NET_ADMIN, "CAP_PERFMON": CAP_PERFMON}
PURPOSES = {
    "CAP_BPF": "to load programs and make maps",
    "CAP_NET_ADMIN": "to attach them to interfaces",
    "CAP_PERFMON": "to read packets behind options and extension headers",
}
GRANT = (
    "run as root, or grant them (systemd: AmbientCapabilities=; container: --cap-add, without "
    "no-new-privileges)"
)
LEAVE = "run it outside (container: as root, without --userns; systemd: no PrivateUsers=)"

LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")
STATUS = Path("/proc/thread-self/status")
THREADS = Path("/proc/self/task")
USER_NAMESPACE = Path("/proc/self/ns/user")
INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO, include/linux/proc_ns.h (3.8)


class Header(c.Structure):
    """struct __user_cap_header_struct; pid 0 is the calling thread."""

    _fields_ = (("version", c.c_uint32), ("pid", c.c_int))


class Sets(c.Structure):
    """struct __user_cap_data_struct: 32 capabilities in each of three sets."""

    _fields_ = (
        ("effective", c.c_uint32),
        ("permitted", c.c_uint32),
        ("inheritable", c.c_uint32),
    )


def held(kind: str) -> int:
    """Return one capability set of this thread as a bit mask; `kind` as in proc(5), "CapEff"."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1], 16)
    return 0


def effective() -> int:
    """Return this thread's effective capabilities as a bit mask."""
    return held("CapEff")


def missing(mask: int) -> list[str]:
    """Return the names of needed capabilities that `mask` lacks.

    CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON.
    """
    if mask >> CAP_SYS_ADMIN & 1:
        mask |= 1 << CAP_BPF | 1 << CAP_PERFMON
    return [name for name, bit in NEEDED.items() if not mask >> bit & 1]


def confined() -> bool:
    """Return whether this process is in a user namespace of its own, where BPF is refused.

    The kernel checks BPF capabilities in the initial user namespace.
    """
    namespaces = USER_NAMESPACE.exists()  # else the kernel was built without them
    return namespaces and USER_NAMESPACE.stat().st_ino != INITIAL_USER_NAMESPACE


def require() -> None:
    """Raise PktexpError, naming what is missing, unless this process may load BPF programs."""
    if lacking := missing(effective()):
        message = f"not allowed to load BPF programs: {', '.join(lacking)} missing"
        raise PktexpError(message, GRANT)
    if confined():
        message = "not allowed to load BPF programs: inside a user namespace"
        raise PktexpError(message, LEAVE)


def give_up(tcx: bool, namespaces: bool = False) -> None:
    """Give up all capabilities but those of later work, also for threads started from now on.

    With `tcx` (6.6) every program is attached by a link, and nothing is kept: attaching a program
    and using a map need only their descriptors. Filters of clsact need CAP_NET_ADMIN, and before
    5.19 (commit c8644cd0efe7) every call of bpf() needs CAP_BPF. Reading other network
    `namespaces` needs CAP_NET_ADMIN. If the kernel refuses, a warning is logged.
    """
    later = 0 if tcx else 1 << CAP_NET_ADMIN | 1 << CAP_BPF
    later |= namespaces << CAP_NET_ADMIN
    if not tcx and not effective() >> CAP_BPF & 1:
        later |= 1 << CAP_SYS_ADMIN  # CAP_BPF was held through it
    if others := len(list(THREADS.iterdir())) - 1:
        log.warning("%d threads started earlier keep their capabilities", others)
    try:
        keep(later)
    except OSError as error:
        log.warning("failed to give up capabilities, keeping all of them: %s", error)
    else:
        log.info("capabilities kept: %s", ", ".join(_names(later)) or "none")


def keep(mask: int, *, executed: bool = False) -> None:
    """Reduce this thread's capabilities to those in `mask`, also for threads it starts later.

    A program it executes has them too if `executed`, else none, and cannot gain any. Other running
    threads are unchanged. Raises OSError if the kernel refuses.
    """
    mask &= held("CapPrm")
    if held("CapEff") >> CAP_SETPCAP & 1:  # else the bounding set can't be changed
        for capability in range(int(LAST_CAPABILITY.read_text()) + 1):
            if not mask >> capability & 1:
                _call("prctl", CAPBSET_DROP, capability, 0, 0, 0)
    _call("prctl", SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    words = [mask & 0xFFFFFFFF, mask >> 32]
    sets = (Sets * 2)(*(Sets(word, word, word * executed) for word in words))
    # Clearing the inheritable set also clears the ambient set (capabilities(7)).
    _call("capset", c.byref(Header(VERSION_3, 0)), sets)
    for capability in range(mask.bit_length() * executed):
        if mask >> capability & 1:
            _call("prctl", CAP_AMBIENT, CAP_AMBIENT_RAISE, capability, 0, 0)


def _names(mask: int) -> list[str]:
    names = NEEDED | {"CAP_SYS_ADMIN": CAP_SYS_ADMIN}
    permitted = held("CapPrm")
    return [name for name, bit in names.items() if mask & permitted & 1 << bit]


def _call(name: str, *arguments: object) -> None:
    libc = c.CDLL(None, use_errno=True)
    # prctl(2) reads longs, but is variadic: ctypes would pass ints.
    wide = [c.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if getattr(libc, name)(*wide) < 0:
        raise OSError(c.get_errno(), f"{name}: {os.strerror(c.get_errno())}")
