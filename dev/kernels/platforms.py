"""What a machine is emulated with, by architecture: qemu, its board, and the machine's files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Platform:
    """An architecture. A machine has this machine's files, and those of `userland` above them."""

    qemu: tuple[str, ...]
    board: tuple[str, ...]
    console: str
    busybox: Path
    python: Path
    """the folder of python3"""
    chosen: Path
    """a list of kernel tests"""
    selection: str
    """those of them that are run, as pytest's -k has it"""
    userland: Path | None = None


HERE = Path(__file__).parent
BUSYBOX = Path("/usr/bin/busybox")
AMD64 = Platform(
    qemu=("qemu-system-x86_64",),
    board=("-machine", "q35", "-cpu", "max,-erms"),  # `rep movsb` is emulated byte by byte
    console="ttyS0",
    busybox=BUSYBOX,
    python=Path(sys.executable).parent,
    chosen=HERE / "chosen",
    # Of the two libbpf that tests run with here, the wheel's is taken: it is that of `serve`.
    selection="not libbpf.so.1",
)
