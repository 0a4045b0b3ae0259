"""Gives capabilities up, for good: capset(2) and prctl(2) of libc; called by privileges.py.

Own code, as the libraries for it are not kept any more: python-prctl's last release is of 2020,
pyprctl's of 2021.
"""

from __future__ import annotations

import ctypes as c
import os
from pathlib import Path

# include/uapi/linux/prctl.h (3.5) and capability.h (2.6.26).
CAPBSET_DROP = 24
SET_NO_NEW_PRIVS = 38
VERSION_3 = 0x20080522
CAP_SETPCAP = 8

LAST = Path("/proc/sys/kernel/cap_last_cap")
STATUS = Path("/proc/thread-self/status")


class Header(c.Structure):
    """struct __user_cap_header_struct; the thread 0 is the caller."""

    _fields_ = (("version", c.c_uint32), ("pid", c.c_int))


class Sets(c.Structure):
    """struct __user_cap_data_struct: 32 capabilities."""

    _fields_ = (
        ("effective", c.c_uint32),
        ("permitted", c.c_uint32),
        ("inheritable", c.c_uint32),
    )


def held(kind: str) -> int:
    """This thread's capabilities of a kind, "CapEff" or another of proc(5), as a bit mask."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1], 16)
    return 0


def keep(mask: int) -> None:
    """Leave this thread, and those that it starts from now on, only what it has of `mask`.

    The sets that a program run by it would inherit are emptied, and no program run by it can get
    more than it has. Other threads keep theirs. OSError if the kernel refuses.
    """
    mask &= held("CapPrm")
    if held("CapEff") >> CAP_SETPCAP & 1:  # else the bounding set can't be changed
        for capability in range(int(LAST.read_text()) + 1):
            if not mask >> capability & 1:
                _call("prctl", CAPBSET_DROP, capability, 0, 0, 0)
    _call("prctl", SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    words = [mask & 0xFFFFFFFF, mask >> 32]
    sets = (Sets * 2)(*(Sets(word, word, 0) for word in words))
    # What is not inheritable leaves the ambient set, too (capabilities(7)).
    _call("capset", c.byref(Header(VERSION_3, 0)), sets)


def _call(name: str, *arguments: object) -> None:
    libc = c.CDLL(None, use_errno=True)
    # prctl(2) takes longs, and has no prototype here that would make them such.
    wide = [c.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if getattr(libc, name)(*wide) < 0:
        raise OSError(c.get_errno(), f"{name}: {os.strerror(c.get_errno())}")
