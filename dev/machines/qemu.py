"""A qemu that emulates all cards: the installed one, or that of Debian's backports.

igb came with qemu 8.0. An older machine gets qemu unpacked into the cache of dev/kernels, beside
its own, which other tests use.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from kernels.machine import QEMU
from kernels.packages import kept, unpack
from kernels.releases import BACKPORTS

PACKAGES = ("qemu-system-x86", "qemu-system-common", "qemu-system-data")
FIRMWARE = (Path("/usr/share/seabios"), Path("/usr/share/qemu"))


def command() -> tuple[str, ...]:
    """Return the command of a qemu with igb. Raises CalledProcessError if there is none."""
    if _emulates_igb():
        return (QEMU,)
    usr = kept("qemu", lambda folder: unpack(BACKPORTS, folder, lambda _: list(PACKAGES))) / "usr"
    modules = next(usr.glob("lib/*/qemu"))
    firmware = (word for folder in (usr / "share/qemu", *FIRMWARE) for word in ("-L", str(folder)))
    return ("env", f"QEMU_MODULE_DIR={modules}", str(usr / "bin" / QEMU), *firmware)


def version(command: tuple[str, ...]) -> str:
    """Return the version of a qemu, such as "10.0.2"."""
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[3]


def _emulates_igb() -> bool:
    asked = [QEMU, "-machine", "none", "-device", "igb,help"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return said.stdout.startswith("igb options")
