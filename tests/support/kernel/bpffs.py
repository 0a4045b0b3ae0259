"""A bpffs for one test, and the names that are pinned there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from support.netns.namespace import run


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """Mount a bpffs while the context is open; its pins go with it.

    `ip netns exec` hides the one below /sys.
    """
    folder.mkdir()
    run("mount", "-t", "bpf", "bpf", str(folder))
    try:
        yield folder
    finally:
        run("umount", str(folder))


def pinned(root: Path) -> list[str]:
    """Return the names of all pins, without those of folders."""
    return sorted(path.name for path in root.rglob("*") if not path.is_dir())
