"""Provide the datapath's maps: new ones, or those that an earlier process pinned."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable
from typing import NamedTuple

from pktexp.bpf.libbpf import Libbpf, MapCreateOpts
from pktexp.bpf.object import BpfObject
from pktexp.bpf.pins import Pins
from pktexp.bpf.probes import MAP_TYPE_RINGBUF
from pktexp.packet.records import INTERFACE_COUNTERS

MAP_TYPE_ARRAY = 2  # include/uapi/linux/bpf.h
BPF_F_MMAPABLE = 1 << 10
# Maps of the object that outlast the process: state that programs of two processes share during a
# takeover. So do the maps inside the maps of maps: chunks of counters, and rings.
SHARED = ("interfaces", "leases", "flows", "misses", ".data.epoch", "reversed")


class MapSpec(NamedTuple):
    """The arguments with which libbpf creates a map."""

    kind: int
    key_size: int
    value_size: int
    entries: int
    flags: int

    @property
    def options(self) -> MapCreateOpts:
        """The arguments that libbpf takes as a struct."""
        return MapCreateOpts(sz=c.sizeof(MapCreateOpts), map_flags=self.flags)

    def create(self, lib: Libbpf) -> int:
        """Return the descriptor of a new map. Raises BpfError."""
        unit = "bytes" if self.kind == MAP_TYPE_RINGBUF else "values"
        arguments = (*self[:1], b"pktexp", *self[1:4], c.byref(self.options))
        return int(lib(f"create a map of {self.entries} {unit}", "bpf_map_create", *arguments))


class Maps:
    """The maps of one datapath, pinned or not."""

    def __init__(
        self, lib: Libbpf, bpf_object: BpfObject, pins: Pins | None, chunk_entries: int
    ) -> None:
        """`chunk_entries`: number of interface_counters in a chunk."""
        self._lib = lib
        self._object = bpf_object
        self._pins = pins
        sizes = (4, INTERFACE_COUNTERS.itemsize, chunk_entries)
        self.chunk_spec = MapSpec(MAP_TYPE_ARRAY, *sizes, BPF_F_MMAPABLE)
        self.make_chunk: Callable[[], int] = lambda: self.chunk_spec.create(lib)
        """returns the descriptor of a new map of `chunk_spec`; raises BpfError"""

    def share(self, layout: str, rings: int) -> bool:
        """Before loading, use the pinned maps; return whether a complete set was found."""
        if self._pins is None:
            return False
        names = [*map(_pin, SHARED), *(f"ring-{i}" for i in range(rings))]
        inherited = self._pins.choose(layout, names)
        for name in SHARED:
            self._pins.share(_pin(name), self._object, name)
        return inherited

    def keep(self) -> None:
        """After loading, pin the maps that are new."""
        if self._pins:
            for name in SHARED:
                self._pins.keep(_pin(name), self._object.map_fd(name))

    def ring(self, index: int, size: int) -> int:
        """Return the descriptor of a ring buffer of `size` bytes."""
        spec = MapSpec(MAP_TYPE_RINGBUF, 0, 0, size, 0)
        return self._inner(f"ring-{index}", lambda: spec.create(self._lib))

    def chunk(self, index: int) -> int:
        """Return the descriptor of a chunk of counters. Raises BpfError."""
        return self._inner(f"counters-{index}", self.make_chunk)

    def _inner(self, name: str, create: Callable[[], int]) -> int:
        if self._pins and (pinned := self._pins.get(name)) is not None:
            return pinned
        fd = create()
        if self._pins:
            self._pins.put(name, fd)
        return fd


def _pin(name: str) -> str:
    """Return the name under which a map is pinned: a bpffs allows no dots."""
    return name.replace(".", "")
