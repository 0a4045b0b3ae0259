"""Find the most memory that this process can ever have: the machine's, or its cgroups' limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
# Name of the limit's file, by type of file system: version 1 and version 2.
FILES = {"cgroup": "memory.limit_in_bytes", "cgroup2": "memory.max"}
# Values of the kernel's parameter cgroup.memory with which no limit includes BPF maps
# (Documentation/admin-guide/kernel-parameters.txt, 6.3).
EXEMPT = re.compile(r"\bcgroup\.memory=\S*\b(nokmem|nobpf)\b")


class Limit(NamedTuple):
    """A limit in bytes, and its name for the operator."""

    bytes: int
    name: str


def lowest() -> Limit | None:
    """Return the lowest limit that is known; None if the kernel shows none.

    A cgroup's limit includes all cgroups below it, in version 1 too (kernel commit bef8620cd8e0,
    5.11). Cgroups whose file system is not mounted here cannot be seen.
    """
    return min([*_machine(), *_cgroups()], default=None)


def _machine() -> Iterator[Limit]:
    if found := re.search(r"^MemTotal: +(\d+) kB$", _text(PROC / "meminfo"), re.MULTILINE):
        yield Limit(int(found[1]) << 10, "this machine's memory")


def _cgroups() -> Iterator[Limit]:
    """Yield the limits of this process's memory cgroups and of those above, as far as mounted."""
    paths = {} if EXEMPT.search(_text(PROC / "cmdline")) else dict(_paths())
    for line in _text(PROC / "self/mountinfo").splitlines():
        mount, _, rest = line.partition(" - ")
        root, point = mount.split()[3:5]
        kind, _, options = rest.split()[:3]
        if kind in paths and (kind == "cgroup2" or "memory" in options.split(",")):
            yield from _upwards(Path(point), _below(root, paths[kind]), FILES[kind])


def _paths() -> Iterator[tuple[str, str]]:
    """Yield the type of file system and the path in it of this process's memory cgroups."""
    for line in _text(PROC / "self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield "cgroup2", path
        elif "memory" in controllers.split(","):
            yield "cgroup", path


def _below(root: str, path: str) -> str:
    """Return a cgroup's path below the mounted `root`; "" if it is elsewhere.

    A container without a cgroup namespace has the host's path, but only its own part mounted.
    """
    place = Path(path)
    return str(place.relative_to(root)) if place.is_relative_to(root) else ""


def _upwards(top: Path, below: str, file: str) -> Iterator[Limit]:
    folder = top / below
    for each in (folder, *folder.parents):
        # Without a limit, version 2 has the word "max", and version 1 a number beyond any memory.
        if (text := _text(each / file).strip()).isdigit():
            yield Limit(int(text), f"the limit of cgroup {each}")
        if each == top:
            return


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
