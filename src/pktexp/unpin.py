"""`pktexp unpin`: takes away what `serve --pin` has left (kernel/pins.py)."""

from __future__ import annotations

from pathlib import Path

from pktexp.errors import PktexpError
from pktexp.kernel import libbpf
from pktexp.kernel.pins import Pins, remove


def unpin(root: Path) -> str:
    """What was removed; PktexpError if there is nothing, or a process has it in use."""
    if not root.is_dir():
        raise PktexpError(f"nothing is pinned at {root}", "give the path that --pin was given")
    pins = Pins(libbpf.find(), root)
    try:
        links, maps = remove(root)
    finally:
        pins.close()
    return f"{root}: {links} links and {maps} maps are no more"
