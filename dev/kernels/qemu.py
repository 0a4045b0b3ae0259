"""qemu of Debian's backports, unpacked into the cache: no installed package is touched."""

from __future__ import annotations

from pathlib import Path

from kernels.packages import kept, unpack
from kernels.releases import BACKPORTS

SHARED = ("qemu-system-common", "qemu-system-data")
FIRMWARE = (Path("/usr/share/seabios"), Path("/usr/share/qemu"))


def unpacked(package: str, program: str) -> tuple[str, ...]:
    """Return the command of a program of a package. Raises CalledProcessError if there is none."""
    names = [package, *SHARED]
    usr = kept(package, lambda folder: unpack(BACKPORTS, folder, lambda _: names)) / "usr"
    modules = next(usr.glob("lib/*/qemu"))
    firmware = (word for folder in (usr / "share/qemu", *FIRMWARE) for word in ("-L", str(folder)))
    return ("env", f"QEMU_MODULE_DIR={modules}", str(usr / "bin" / program), *firmware)
