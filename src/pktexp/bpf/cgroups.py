"""Programs at the root of cgroup2 that count packets by cgroup: bpf/cgroups.bpf.c."""

from __future__ import annotations

import ctypes as c
import hashlib
import os
from importlib.resources import files
from pathlib import Path

import numpy as np

from pktexp.bpf import layout
from pktexp.bpf.cgroupmaps import (
    CGROUP_BUCKET,
    CGROUP_CONFIG,
    CGROUP_COUNTERS,
    CGROUP_LEASE,
    CGROUP_PLACE,
    STRUCTS,
    WAYS,
    kernel_bytes,
)
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.object import BpfObject, run_program
from pktexp.bpf.pins import Pins
from pktexp.bpf.probes import highest_online_cpu
from pktexp.packet.enums import Direction
from pktexp.packet.records import U64, Records

OBJECT = Path(str(files("pktexp") / "cgroups.bpf.o"))
PROGRAMS = {Direction.INGRESS: "count_received", Direction.EGRESS: "count_sent"}
# enum bpf_attach_type and BPF_F_ALLOW_MULTI (include/uapi/linux/bpf.h, 4.15)
ATTACH_TYPES = {Direction.INGRESS: 0, Direction.EGRESS: 1}
ALLOW_MULTI = 1 << 1
MAPS = ("cgroup_ids", "cgroup_counts", "cgroup_places", "cgroup_leases")
PIN = "cgroups-"


class CgroupPrograms:
    """The programs and maps of one pktexp. Close it to detach the programs, unless pinned.

    `ids`: the cgroup of each place, 0 where there is none; `counts`: (CPUs + 1, places + 1) of
    CGROUP_COUNTERS; `places` (places + 1): what user space knows about each; `leases` (limit + 1):
    the paths that have series of their own. The last place is that of cgroups without one, the
    last lease that of all others.
    """

    def __init__(
        self, lib: Libbpf, limit: int, pins: Pins | None = None, path: Path = OBJECT
    ) -> None:
        """Load the programs with room for `limit` leases; with `pins`, use the maps pinned there.

        Raises PktexpError if the object is missing, broken or of another build, BpfError if the
        kernel refuses it.
        """
        self._lib = lib
        self._pins = pins
        self._links: list[int] = []
        self._rows = highest_online_cpu() + 2  # one more, for CPUs that come online later
        self._buckets = 1 << (limit - 1).bit_length()
        self._limit = limit
        self.object = BpfObject(lib, path)
        try:
            layout.check_structs(self.object.btf, STRUCTS)
            self._configure()
            self.object.load(tuple(PROGRAMS.values()))
            self._view()
            if pins:
                for name in MAPS:
                    pins.keep(self._pin(name), self.object.map_fd(name))
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Number of places, eight times the limit or more."""
        return self._buckets * WAYS

    @property
    def nbytes(self) -> int:
        """Kernel memory of the maps, in bytes."""
        return kernel_bytes(self._limit, self._rows - 1)

    def attach(self, root: Path) -> None:
        """Attach both programs to the cgroup at `root`, beside those of others.

        A pinned link gets its new program in one step (bpf_link_update, 5.7). Raises BpfError if
        the kernel refuses, OSError if `root` cannot be opened.
        """
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._links += [self._attach(fd, direction) for direction in PROGRAMS]
        finally:
            os.close(fd)

    def test_run(self, direction: Direction, frame: bytes, repeat: int = 1) -> int:
        """Run a program over a frame by BPF_PROG_TEST_RUN; return the verdict.

        The packet is one of the calling process's cgroup.
        """
        fd = self.object.program_fd(PROGRAMS[direction])
        return run_program(self._lib, fd, frame, repeat)

    def close(self) -> None:
        """Detach the programs, unless they are pinned, and release the maps."""
        while self._links:
            os.close(self._links.pop())
        self.object.close()

    def _configure(self) -> None:
        for name, entries in zip(MAPS, self._entries(), strict=True):
            self.object.resize(name, entries)
        values = (self._rows - 1, self.size + 1, self._buckets - 1)
        config = np.array(values, CGROUP_CONFIG)
        self.object.set_constants(".rodata.config", config.tobytes())
        if self._pins:
            drop_pins(self._pins, but=self._pin(""))
            for name in MAPS:
                self._pins.share(self._pin(name), self.object, name)

    def _view(self) -> None:
        buckets, counts, places, leases = self._entries()
        self.ids: U64 = self.object.view("cgroup_ids", CGROUP_BUCKET, buckets)["ids"].reshape(-1)
        counters = self.object.view("cgroup_counts", CGROUP_COUNTERS, counts)
        self.counts: Records = counters.reshape(self._rows, places)
        self.places: Records = self.object.view("cgroup_places", CGROUP_PLACE, places)
        self.leases: Records = self.object.view("cgroup_leases", CGROUP_LEASE, leases)

    def _entries(self) -> tuple[int, ...]:
        """Return the number of entries of each of MAPS."""
        places = self.size + 1
        return self._buckets, self._rows * places, places, self._limit + 1

    def _attach(self, root: int, direction: Direction) -> int:
        program = self.object.program_fd(PROGRAMS[direction])
        name = self._pin(f"link-{direction.name.lower()}")
        if self._pins and (link := self._pins.get(name)) is not None:
            self._lib("exchange the program of a link", "bpf_link_update", link, program, None)
            return link
        arguments = (program, root, ATTACH_TYPES[direction], None)
        made: int = self._lib("attach to the root of cgroup2", "bpf_link_create", *arguments)
        if self._pins:
            self._pins.put(name, made)
        return made

    def _pin(self, name: str) -> str:
        """Return the name of a pin, which contains the layout of the maps."""
        described = [str(dtype.descr) for dtype in STRUCTS.values()]
        digest = hashlib.sha256(f"{described} {self._entries()}".encode()).hexdigest()[:8]
        return f"{PIN}{digest}-{name.replace('_', '-')}"


def drop_pins(pins: Pins, but: str = PIN.upper()) -> None:
    """Unpin the links and maps of cgroups, but for those whose names start with `but`."""
    found = sorted(pins.folder.glob(f"{PIN}*"), key=lambda path: "link" not in path.name)
    for path in found:
        if not path.name.startswith(but):
            pins.drop(path.name)


def is_exclusive(lib: Libbpf, root: Path) -> bool:
    """Return whether a program at `root` allows no other beside it. Needs CAP_NET_ADMIN."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return any(_excludes(lib, fd, kind) for kind in ATTACH_TYPES.values())
    finally:
        os.close(fd)


def _excludes(lib: Libbpf, root: int, kind: int) -> bool:
    flags, count, ids = c.c_uint32(), c.c_uint32(64), (c.c_uint32 * 64)()
    arguments = (root, kind, 0, c.byref(flags), c.byref(ids), c.byref(count))
    lib("list the programs at the root of cgroup2", "bpf_prog_query", *arguments)
    return count.value > 0 and not flags.value & ALLOW_MULTI
