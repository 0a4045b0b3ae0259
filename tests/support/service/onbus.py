"""Makes a veth look like hardware to one service, by a preloaded library (onbus.c)."""

from __future__ import annotations

from pathlib import Path

from support.netns.namespace import run

SOURCE = Path(__file__).with_suffix(".c")


def on_bus(folder: Path, interface: str) -> list[str]:
    """Return the words before a command that make this interface look like hardware to it."""
    library = folder / "onbus.so"
    run("clang", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE))
    return ["env", f"LD_PRELOAD={library}", f"ON_BUS={interface}"]
