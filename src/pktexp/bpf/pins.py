"""Maps and links that outlast the process: pinned in a folder of a bpffs, and found there again.

datapath.py pins its maps here, hooks.py and tracing.py their links. What is pinned belongs to the
layout of maps that wrote it: another layout has another folder, and its pins are removed.
"""

from __future__ import annotations

import ctypes as c
import errno
import fcntl
import hashlib
import logging
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.object import BpfObject
from pktexp.bpf.probes import has_tcx
from pktexp.errors import PktexpError

log = logging.getLogger(__name__)

VERSION = 1  # of what the pins mean to each other; the layout is hashed beside it
MOUNTS = Path("/proc/self/mountinfo")
LOCKS = Path("/proc/locks")
NAMESPACE = Path("/proc/thread-self/ns/net")
LINK = "link-"
FOLDER = re.compile(r"v[0-9]+-[0-9a-f]{16}")
MOUNT = "a folder of a bpffs, as /sys/fs/bpf/pktexp (mount -t bpf bpf /sys/fs/bpf)"


class LinkInfo(c.Structure):
    """struct bpf_link_info (include/uapi/linux/bpf.h, 6.6), of XDP and TCX."""

    _fields_ = (
        *((name, c.c_uint32) for name in ("type", "id", "program", "_pad", "ifindex", "attach")),
        ("_rest", c.c_uint8 * 40),
    )


class Pins:
    """A folder that one process at a time has; close it to let another have it.

    `whole`: whether all is there that is to be, so that counting goes on by it.
    """

    def __init__(self, lib: Libbpf, root: Path) -> None:
        """PktexpError if it is no folder of a bpffs, or another process has it."""
        self._lib = lib
        self.root = root
        self.folder = root
        self.whole = False
        try:
            root.mkdir(mode=0o700, exist_ok=True)
            self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise PktexpError(f"cannot pin at {root}: {error.strerror}", MOUNT) from error
        try:
            if not _on_bpffs(root):
                raise PktexpError(f"cannot pin at {root}: it is not on a bpffs", MOUNT)
            self._lock()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the folder; remove its pins unless they are complete."""
        if not self.whole and self.folder != self.root and self.folder.is_dir():
            remove(self.folder)
        os.close(self._fd)
        if self.whole:
            root = self.root
            log.info("counting goes on, pinned at %s: 'pktexp unpin %s' ends it", root, root)

    def choose(self, layout: str, maps: Collection[str]) -> bool:
        """Use the folder of this layout; whether all of `maps` are there. Others are removed."""
        netns = NAMESPACE.stat().st_ino
        digest = hashlib.sha256(f"{netns} {layout}".encode()).hexdigest()[:16]
        self.folder = self.root / f"v{VERSION}-{digest}"
        for other in [x for x in ours(self.root) if x != self.folder]:
            log.warning("%s is of another layout or network namespace: replaced", other)
            remove(other)
        self.whole = all((self.folder / name).exists() for name in maps)
        if self.whole:
            return True
        if self.folder.is_dir():  # whoever made it was killed before it was whole
            remove(self.folder)
        self.folder.mkdir(mode=0o700)
        return False

    def get(self, name: str) -> int | None:
        """A new descriptor of what is pinned under a name."""
        path = self.folder / name
        if not path.exists():
            return None
        fd: int = self._lib(f"open {path}", "bpf_obj_get", os.fsencode(path))
        return fd

    def put(self, name: str, fd: int) -> None:
        """Pin what is behind a descriptor."""
        path = self.folder / name
        self._lib(f"pin {path}", "bpf_obj_pin", fd, os.fsencode(path))

    def share(self, name: str, bpf_object: BpfObject, map_name: str) -> None:
        """Before loading: let an object use the map that is pinned under a name, if one is."""
        if (fd := self.get(name)) is not None:
            bpf_object.share(map_name, fd)
            os.close(fd)  # libbpf has one of its own

    def keep(self, name: str, fd: int) -> None:
        """After loading: pin what is not."""
        if not (self.folder / name).exists():
            self.put(name, fd)

    def drop(self, name: str) -> None:
        """Unpin; nothing happens if it is not pinned."""
        (self.folder / name).unlink(missing_ok=True)

    def links(self) -> Iterator[tuple[int, str]]:
        """(ifindex, hook) of every pinned link."""
        for path in sorted(self.folder.glob(f"{LINK}*")):
            ifindex, _, hook = path.name.removeprefix(LINK).partition("-")
            yield int(ifindex), hook

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            message = f"{self.root} is in use by process {_holder(self._fd)}"
            raise PktexpError(message, "end that one first, or pin elsewhere") from error


def open_pins(lib: Libbpf, root: Path) -> Pins:
    """Open the pins at `root` for this process; PktexpError if it cannot have them."""
    if not has_tcx(lib):
        raise PktexpError("--pin needs TCX, which this kernel lacks", "Linux 6.6 has it")
    return Pins(lib, root)


def link_name(ifindex: int, hook: str) -> str:
    """As Pins.links takes it apart."""
    return f"{LINK}{ifindex}-{hook}"


def linked(lib: Libbpf, fd: int) -> LinkInfo:
    """What a link is; its `ifindex` is 0 when the interface is gone."""
    info, size = LinkInfo(), c.c_uint32(c.sizeof(LinkInfo))
    lib("ask what a link is", "bpf_obj_get_info_by_fd", fd, c.byref(info), c.byref(size))
    return info


def ours(root: Path) -> list[Path]:
    """Folders of any layout; a bpffs may have other programs' pins, too."""
    return [path for path in root.iterdir() if FOLDER.fullmatch(path.name)]


def remove(folder: Path) -> tuple[int, int]:
    """Unpin what is in one of `ours`, links first so that nothing is counted half.

    (links, others)
    """
    pins = list(folder.iterdir())
    links = [path for path in pins if LINK.strip("-") in path.name]
    others = [path for path in pins if path not in links]
    for path in (*links, *others):
        path.unlink()
    folder.rmdir()
    return len(links), len(others)


def _on_bpffs(path: Path) -> bool:
    """By the mounts, as statfs(2) is not Python's; the longest mount point is the nearest."""
    best, kind = "", ""
    for line in MOUNTS.read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        where = fields.split()[4]
        if path.resolve().is_relative_to(where) and len(where) >= len(best):
            best, kind = where, rest.split()[0]
    return kind == "bpf"


def _holder(fd: int) -> str:
    inode = f":{os.fstat(fd).st_ino}"
    for line in LOCKS.read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(inode):
            return fields[4]
    return "unknown"
