"""Pin maps and links in a folder of a bpffs, where they outlast the process.

Pins belong to one layout of maps and one network namespace, which have a folder of their own. Pins
of any other layout or namespace are removed.
"""

from __future__ import annotations

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
from pktexp.bpf.probes import has_tcx, network_namespace
from pktexp.errors import PktexpError

log = logging.getLogger(__name__)

VERSION = 1  # of the names and meanings of pins; the layout of maps is hashed into the name
MOUNTS = Path("/proc/self/mountinfo")
LOCKS = Path("/proc/locks")
LINK = "link-"
FOLDER = re.compile(r"v[0-9]+-[0-9a-f]{16}")
USE_BPFFS = "give a folder of a bpffs, such as /sys/fs/bpf/pktexp (mount -t bpf bpf /sys/fs/bpf)"


class Pins:
    """A folder of pins, locked by one process at a time; close it to unlock it.

    `complete`: whether everything is pinned, so that counting continues without the process.
    """

    def __init__(self, lib: Libbpf, root: Path) -> None:
        """Create and lock `root`; PktexpError if it is not on a bpffs, or locked already."""
        self._lib = lib
        self.root = root
        self.folder = root
        self.complete = False
        try:
            root.mkdir(mode=0o700, exist_ok=True)
            self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise PktexpError(f"cannot pin at {root}: {error.strerror}", USE_BPFFS) from error
        try:
            if not _on_bpffs(root):
                raise PktexpError(f"cannot pin at {root}: it is not on a bpffs", USE_BPFFS)
            self._lock()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unlock the folder; remove its pins unless they are complete."""
        if not self.complete and self.folder != self.root and self.folder.is_dir():
            remove(self.folder)
        os.close(self._fd)
        if self.complete:
            root = self.root
            log.info("counting continues, pinned at %s; 'pktexp unpin %s' ends it", root, root)

    def choose(self, layout: str, maps: Collection[str]) -> bool:
        """Choose the folder of this layout, remove all others; return whether it has all `maps`."""
        digest = hashlib.sha256(f"{network_namespace()} {layout}".encode()).hexdigest()[:16]
        self.folder = self.root / f"v{VERSION}-{digest}"
        for other in [x for x in pin_folders(self.root) if x != self.folder]:
            log.warning("removing %s: its layout of maps or network namespace is another", other)
            remove(other)
        self.complete = all((self.folder / name).exists() for name in maps)
        if self.complete:
            return True
        if self.folder.is_dir():  # its process was killed before it had pinned everything
            remove(self.folder)
        self.folder.mkdir(mode=0o700)
        return False

    def get(self, name: str) -> int | None:
        """Return a new descriptor of the map or link pinned as `name`; None if there is none."""
        path = self.folder / name
        if not path.exists():
            return None
        fd: int = self._lib(f"open {path}", "bpf_obj_get", os.fsencode(path))
        return fd

    def put(self, name: str, fd: int) -> None:
        """Pin the map or link behind a descriptor."""
        path = self.folder / name
        self._lib(f"pin {path}", "bpf_obj_pin", fd, os.fsencode(path))

    def share(self, name: str, bpf_object: BpfObject, map_name: str) -> None:
        """Before loading, replace an object's map by the one pinned as `name`, if there is one."""
        if (fd := self.get(name)) is not None:
            bpf_object.share(map_name, fd)
            os.close(fd)  # libbpf has duplicated it

    def keep(self, name: str, fd: int) -> None:
        """After loading, pin a map unless its name is pinned already."""
        if not (self.folder / name).exists():
            self.put(name, fd)

    def drop(self, name: str) -> None:
        """Unpin `name`, if it is pinned."""
        (self.folder / name).unlink(missing_ok=True)

    def links(self) -> Iterator[tuple[int, str]]:
        """Yield (ifindex, hook) of every pinned link of an interface."""
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
            raise PktexpError(message, "end that process, or give --pin another folder") from error


def open_pins(lib: Libbpf, root: Path) -> Pins:
    """Lock the pins at `root` for this process; PktexpError if that is not possible."""
    if not has_tcx(lib):
        message = "--pin needs TCX, which this kernel lacks"
        raise PktexpError(message, "use Linux 6.6 or later, or leave out --pin")
    return Pins(lib, root)


def link_name(ifindex: int, hook: str) -> str:
    """Return the name under which a link is pinned, as Pins.links parses it."""
    return f"{LINK}{ifindex}-{hook}"


def pin_folders(root: Path) -> list[Path]:
    """Return pktexp's folders of any layout; a bpffs may hold pins of other programs too."""
    return [path for path in root.iterdir() if FOLDER.fullmatch(path.name)]


def remove(folder: Path) -> tuple[int, int]:
    """Remove one of `pin_folders`; return how many links and how many others were pinned.

    Links are removed first, so that no program counts into maps that are already unpinned.
    """
    pins = list(folder.iterdir())
    links = [path for path in pins if LINK.strip("-") in path.name]
    others = [path for path in pins if path not in links]
    for path in (*links, *others):
        path.unlink()
    folder.rmdir()
    return len(links), len(others)


def hides_another(path: Path) -> bool:
    """Return whether a path is on a bpffs that is mounted over another one, or below it."""
    return sum(kind == "bpf" for _, kind in _mounts_above(path)) > 1


def _on_bpffs(path: Path) -> bool:
    """Return whether a path is on a bpffs, by the mount with the longest mount point above it.

    Python has no statfs(2).
    """
    mounts = _mounts_above(path)
    return bool(mounts) and max(mounts, key=lambda mount: len(mount[0]))[1] == "bpf"


def _mounts_above(path: Path) -> list[tuple[str, str]]:
    """Return (mount point, kind) of the file systems at or above a path, the latest first."""
    found = []
    for line in MOUNTS.read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        where = fields.split()[4]
        if path.resolve().is_relative_to(where):
            found.append((where, rest.split()[0]))
    return found[::-1]


def _holder(fd: int) -> str:
    """Return the id of the process that has locked the folder behind `fd`."""
    inode = f":{os.fstat(fd).st_ino}"
    for line in LOCKS.read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(inode):
            return fields[4]
    return "unknown"
