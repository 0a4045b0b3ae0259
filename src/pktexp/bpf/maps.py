"""Provide the datapath's maps: new ones, or those that an earlier process pinned.

Sums of earlier leases belong to user space alone; with pins they are kept in a map too.
"""

from __future__ import annotations

import ctypes as c
import os
from typing import Any

import numpy as np

from pktexp.bpf.libbpf import Libbpf, MapCreateOpts
from pktexp.bpf.object import BpfObject, mapped
from pktexp.bpf.pins import Pins
from pktexp.bpf.probes import MAP_TYPE_RINGBUF
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS, Records

MAP_TYPE_ARRAY = 2  # include/uapi/linux/bpf.h
BPF_F_MMAPABLE = 1 << 10
# Maps of the object that outlast the process: the counters, and state that programs of two
# processes share during a takeover.
SHARED = ("interfaces", "leases", "counters", "flows", ".data.epoch", "reversed")
SLOT_COUNTERS = np.dtype((INTERFACE_COUNTERS, len(Direction)))


class Maps:
    """The maps of one datapath, pinned or not."""

    def __init__(self, lib: Libbpf, bpf_object: BpfObject, pins: Pins | None) -> None:
        self._lib = lib
        self._object = bpf_object
        self._pins = pins

    def share(self, layout: str, rings: int) -> bool:
        """Before loading, use the pinned maps; return whether a complete set was found."""
        if self._pins is None:
            return False
        names = [*map(_pin, SHARED), "since", *(f"ring-{i}" for i in range(rings))]
        inherited = self._pins.choose(layout, names)
        for name in SHARED:
            self._pins.share(_pin(name), self._object, name)
        return inherited

    def keep(self) -> None:
        """After loading, pin the maps that are new."""
        if self._pins:
            for name in SHARED:
                self._pins.keep(_pin(name), self._object.map_fd(name))

    def since(self, slots: int) -> Records:
        """Return sums before each slot's lease: (slots, directions) of INTERFACE_COUNTERS."""
        if self._pins is None:
            return np.zeros((slots, len(Direction)), INTERFACE_COUNTERS)
        return self._mapped("since", SLOT_COUNTERS, slots)

    def ring(self, index: int, size: int) -> int:
        """Return the descriptor of a ring buffer of `size` bytes."""
        return self._user_map(f"ring-{index}", MAP_TYPE_RINGBUF, 0, 0, size, 0)

    def _mapped(self, name: str, dtype: np.dtype[Any], count: int) -> Records:
        fd = self._user_map(name, MAP_TYPE_ARRAY, 4, dtype.itemsize, count, BPF_F_MMAPABLE)
        values = mapped(fd, dtype, count)
        os.close(fd)
        return values

    def _user_map(self, name: str, kind: int, key: int, value: int, count: int, flags: int) -> int:
        if self._pins and (pinned := self._pins.get(name)) is not None:
            return pinned
        options = MapCreateOpts(sz=c.sizeof(MapCreateOpts), map_flags=flags)
        attempted = f"create a map of {count} {'bytes' if kind == MAP_TYPE_RINGBUF else 'values'}"
        arguments = (kind, b"pktexp", key, value, count, c.byref(options))
        fd: int = self._lib(attempted, "bpf_map_create", *arguments)
        if self._pins:
            self._pins.put(name, fd)
        return fd


def _pin(name: str) -> str:
    """Return the name under which a map is pinned: a bpffs allows no dots."""
    return name.replace(".", "")
