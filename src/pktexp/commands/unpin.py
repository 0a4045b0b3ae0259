"""`pktexp unpin`: takes away what `serve --pin` has left (kernel/pins.py)."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pktexp.bpf import libbpf
from pktexp.bpf.pins import Pins, ours, remove
from pktexp.errors import PktexpError


def unpin(root: Path) -> str:
    """What was removed; PktexpError if there is nothing, or a process has it in use."""
    if not (root.is_dir() and ours(root)):
        raise PktexpError(f"nothing is pinned at {root}", "give the path that --pin was given")
    pins = Pins(libbpf.find(), root)
    try:
        removed = [remove(folder) for folder in ours(root)]
    finally:
        pins.close()
    with contextlib.suppress(OSError):  # it has something of others, or is where the bpffs begins
        root.rmdir()
    links, maps = (sum(counts) for counts in zip(*removed, strict=True))
    return f"{root}: {links} links and {maps} maps are no more"
