"""A qemu that emulates all cards; igb came with qemu 8.0."""

from __future__ import annotations

import subprocess

from kernels.platforms import AMD64
from kernels.qemu import unpacked


def command() -> tuple[str, ...]:
    """Return the installed qemu, or that of Debian's backports if the installed one is older."""
    if _emulates_igb(AMD64.qemu):
        return AMD64.qemu
    return unpacked("qemu-system-x86", *AMD64.qemu)


def version(command: tuple[str, ...]) -> str:
    """Return the version of a qemu, such as "10.0.2"."""
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[3]


def _emulates_igb(command: tuple[str, ...]) -> bool:
    asked = [*command, "-machine", "none", "-device", "igb,help"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return said.stdout.startswith("igb options")
