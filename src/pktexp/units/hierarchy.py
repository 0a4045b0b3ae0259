"""The tree of cgroup2: find its root, and the paths of cgroups by id.

The id of a cgroup is the inode of its directory (kernel commit 67c0496e87d1, 5.5). The root's is 1;
a mount that begins elsewhere shows a part of the tree only, as in most containers.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pktexp.errors import PktexpError

MOUNTS = Path("/proc/self/mountinfo")
OCTAL = re.compile(r"\\([0-7]{3})")  # as mountinfo writes spaces and the like
ROOT_ID = 1
MOST = 65_536  # cgroups that a scan looks at
MOUNT = "mount the host's /sys/fs/cgroup, read only"
ABSENT = "mount /sys/fs/cgroup; a host with cgroup v1 only: mount -t cgroup2 cgroup2 /mnt"


class Scan(NamedTuple):
    """Paths of cgroups by id; `complete` is False if there are more than a scan looks at."""

    paths: dict[int, str]
    complete: bool
    seconds: float


def find(mounts: Path = MOUNTS) -> Path:
    """Return where the root of cgroup2 is mounted. Raises PktexpError, which says why not."""
    partial = None
    for point in _mount_points(mounts):
        try:
            if point.stat().st_ino == ROOT_ID:
                os.scandir(point).close()
                return point
        except OSError as error:
            raise PktexpError(f"cannot read {point}: {error.strerror}", MOUNT) from error
        partial = point
    if partial:
        raise PktexpError(f"{partial} shows only a part of the host's cgroups", MOUNT)
    raise PktexpError("cgroup2 is not mounted", ABSENT)


def scan(root: Path, most: int = MOST) -> Scan:
    """Read the paths of all cgroups below `root`, at most `most`. Raises OSError at the root."""
    started, paths, folders = time.monotonic(), {ROOT_ID: "/"}, [""]
    os.scandir(root).close()
    while folders and len(paths) < most:
        above = folders.pop()
        for name, number in _children(f"{root}{above}"):
            path = f"{above}/{name}"
            paths[number] = path
            folders.append(path)
    return Scan(paths, not folders, time.monotonic() - started)


def exists(root: Path, path: str, number: int | None = None) -> bool:
    """Return whether there is a cgroup at a path, with this id if one is given."""
    try:
        found = Path(f"{root}{path}").stat().st_ino
    except OSError:
        return False
    return number in (None, found)


def _children(folder: str) -> Iterator[tuple[str, int]]:
    """Yield names and ids of the cgroups in a folder; none if it is gone or closed to us."""
    try:
        with os.scandir(folder) as entries:
            yield from [(e.name, e.inode()) for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return


def _mount_points(mounts: Path) -> Iterator[Path]:
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError as error:
        raise PktexpError(f"cannot read {mounts}: {error.strerror}", "mount /proc") from error
    for line in lines:
        mount, _, rest = line.partition(" - ")
        if rest.split()[0] == "cgroup2":
            yield Path(OCTAL.sub(lambda found: chr(int(found[1], 8)), mount.split()[4]))
