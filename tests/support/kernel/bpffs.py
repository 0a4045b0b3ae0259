"""A bpffs of one's own, and what is pinned there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from support.netns.namespace import run


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """`ip netns exec` hides the one below /sys. What is pinned goes with the mount."""
    folder.mkdir()
    run("mount", "-t", "bpf", "bpf", str(folder))
    try:
        yield folder
    finally:
        run("umount", str(folder))


def pinned(root: Path) -> list[str]:
    """Names, without those of folders."""
    return sorted(path.name for path in root.rglob("*") if not path.is_dir())
