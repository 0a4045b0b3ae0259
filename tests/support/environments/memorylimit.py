"""A memory cgroup around a command, of version 1 or 2, whichever the machine has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from support.patience import wait_for

HOME = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def limited(bytes_: int) -> Iterator[tuple[str, ...]]:
    """Yield the words before a command that limit its memory to so many bytes."""
    first = (HOME / "memory").is_dir()  # version 1
    group = HOME / ("memory" if first else "") / f"pktexp-test-{os.getpid()}"
    if not first:
        (HOME / "cgroup.subtree_control").write_text("+memory")
    group.mkdir()
    try:
        name = "memory.limit_in_bytes" if first else "memory.max"
        (group / name).write_text(str(bytes_))
        yield ("sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh")
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """Remove a group once the kernel has released its processes."""

    def removed() -> bool:
        with contextlib.suppress(OSError):
            group.rmdir()
        return not group.exists()

    wait_for(removed)
