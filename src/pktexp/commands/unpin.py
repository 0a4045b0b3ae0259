"""Remove the pinned programs and maps of `pktexp serve --pin`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pktexp.bpf import libbpf
from pktexp.bpf.pins import Pins, pin_folders, remove
from pktexp.errors import PktexpError


def unpin(root: Path) -> str:
    """Remove all pins below `root`, and return a sentence about them.

    Raises PktexpError if nothing is pinned there, or a process uses the pins.
    """
    if not (root.is_dir() and pin_folders(root)):
        raise PktexpError(f"nothing is pinned at {root}", "give the path that serve has as --pin")
    pins = Pins(libbpf.find(), root)
    try:
        removed = [remove(folder) for folder in pin_folders(root)]
    finally:
        pins.close()
    with contextlib.suppress(OSError):  # not empty, or the root of the bpffs
        root.rmdir()
    links, maps = (sum(counts) for counts in zip(*removed, strict=True))
    return f"{root}: removed {links} links and {maps} maps"
