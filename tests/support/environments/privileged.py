"""Processes with chosen capabilities, and the capability sets of their threads."""

from __future__ import annotations

from pathlib import Path

NOBODY = 54321  # a user that is in no file
BITS = {"net_admin": 12, "sys_admin": 21, "perfmon": 38, "bpf": 39}
SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def as_nobody(*capabilities: str) -> list[str]:
    """Return the words before a command that run it as nobody with these capabilities."""
    names = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    sets = [f"--{kind}={names}" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *sets]


def mask(*capabilities: str) -> int:
    return sum(1 << BITS[name] for name in capabilities)


def threads(pid: int) -> list[dict[str, str]]:
    """Return the fields of /proc/PID/task/*/status, a dictionary for each thread."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found.append({key: value.strip() for key, _, value in (x.partition(":") for x in lines)})
    return found


def held(pid: int, *kinds: str) -> set[int]:
    """Return the masks that any thread has in any of these capability sets."""
    return {int(thread[kind], 16) for thread in threads(pid) for kind in kinds}
