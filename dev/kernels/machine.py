"""A machine with another kernel, emulated by qemu, that does a job and goes; see init.

It has this machine's files, as they were at the start, below a layer that is thrown away; the
folder of the job is shared, and keeps what the job leaves. Without KVM: it is ten to thirty times
as slow.
"""

from __future__ import annotations

import contextlib
import lzma
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kernels.packages import Kernel
from kernels.platforms import AMD64, BUSYBOX, Platform

INIT = Path(__file__).parent / "init"
# What the machine needs to come to this machine's files.
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
BARE = (
    *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
    *("-accel", "tcg,thread=multi"),
)
SHARED = "local,security_model=none"
READ_ONLY = ",readonly=on,multidevs=remap"
# Emulating what guards against speculation takes as long as everything else.
OPTIONS = "quiet panic=-1 mitigations=off transparent_hugepage=never tsc=reliable"
END = 2000  # characters of the console that an error has


@dataclass(frozen=True)
class Hardware:
    """The machine to emulate. `prefix`: a command that runs qemu; `devices`: arguments of it."""

    platform: Platform = AMD64
    cpus: int = 2
    memory: str = "2G"
    prefix: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    def command(self) -> tuple[str, ...]:
        """Return the command without kernel, console and files."""
        size = ("-smp", str(self.cpus), "-m", self.memory)
        platform = self.platform
        return (*self.prefix, "nice", *platform.qemu, *platform.board, *BARE, *size)


class MachineError(Exception):
    """A machine that did not come to the end of its job."""


def run(
    kernel: Kernel, share: Path, job: str, seconds: float, hardware: Hardware = Hardware()
) -> int:
    """Boot, do the shell script `job`, and power off: the script's status.

    `share`: an empty folder, which the job finds in $SHARE, with `output`, what it says.
    MachineError with the end of the console if it has not ended after so many seconds.
    """
    (share / "job").write_text(job)
    with tempfile.TemporaryDirectory() as work:
        archive = Path(work) / "initramfs"
        _pack(kernel, hardware.platform.busybox, Path(work) / "root", archive)
        _emulate(kernel, share, archive, seconds, hardware)
    try:
        return int((share / "status").read_text())
    except FileNotFoundError:
        console = (share / "console").read_text(errors="replace")[-END:]
        raise MachineError(f"Linux {kernel.version} did not end its job: {console}") from None


def _emulate(
    kernel: Kernel, share: Path, archive: Path, seconds: float, hardware: Hardware
) -> None:
    platform = hardware.platform
    words = f"console={platform.console} {OPTIONS} SHARE={share} MODULES={kernel.modules}"
    folders = [("host", Path("/"), READ_ONLY), ("share", share, "")]
    if platform.userland:
        words += " USERLAND=/userland"
        folders.append(("userland", platform.userland, READ_ONLY))
    command = (
        *hardware.command(),
        *("-kernel", str(kernel.image), "-initrd", str(archive), "-append", words),
        *("-serial", f"file:{share / 'console'}"),
        *hardware.devices,
    )
    for tag, folder, more in folders:
        command += ("-virtfs", f"{SHARED},path={folder},mount_tag={tag}{more}")
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=seconds)


def _pack(kernel: Kernel, busybox: Path, root: Path, archive: Path) -> None:
    """An initramfs in `archive`, of the files that are put into `root`."""
    for name in ("bin", "modules", "host", "userland", "layer", "root", "proc"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    shutil.copy(INIT, root / "init")
    for number, module in enumerate(_modules(kernel)):
        code = module.read_bytes()
        plain = lzma.decompress(code) if module.suffix == ".xz" else code
        (root / "modules" / f"{number:02}.ko").write_bytes(plain)
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with archive.open("wb") as out:
        pack = [str(BUSYBOX), "cpio", "-o", "-H", "newc"]
        subprocess.run(pack, input=names.encode(), stdout=out, cwd=root, check=True)


def _modules(kernel: Kernel) -> list[Path]:
    """Files of modules, each behind those that it needs."""
    where = ("-d", str(kernel.folder), "-S", kernel.version)
    asked = ["modprobe", *where, "--show-depends", "--all", *MODULES]
    told = subprocess.run(asked, capture_output=True, text=True, check=True)
    lines = [line.split() for line in told.stdout.splitlines()]
    return list(dict.fromkeys(Path(line[1]) for line in lines if line[0] == "insmod"))
