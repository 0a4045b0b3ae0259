"""Where the datapath's maps come from: made anew, or, with pins (pins.py), those that are there.

Part of datapath.py. What user space alone keeps of each slot lies in maps only where it is pinned.
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
from pktexp.packet.records import INTERFACE_COUNTERS, LEASE, Records

MAP_TYPE_ARRAY = 2  # include/uapi/linux/bpf.h
BPF_F_MMAPABLE = 1 << 10
# Of the object: what is counted, and what programs of the one and of the next have to agree on.
SHARED = ("interfaces", "counters", "flows", ".data.epoch", "reversed")
SLOT_COUNTERS = np.dtype((INTERFACE_COUNTERS, len(Direction)))


class Maps:
    """Of one datapath."""

    def __init__(self, lib: Libbpf, bpf_object: BpfObject, pins: Pins | None) -> None:
        self._lib = lib
        self._object = bpf_object
        self._pins = pins

    def share(self, layout: str, rings: int) -> bool:
        """Before loading: use the maps that are pinned; whether there are any."""
        if self._pins is None:
            return False
        names = [*map(_pin, SHARED), "leases", "since", *(f"ring-{i}" for i in range(rings))]
        inherited = self._pins.choose(layout, names)
        for name in SHARED:
            self._pins.share(_pin(name), self._object, name)
        return inherited

    def keep(self) -> None:
        """After loading: pin what is new."""
        if self._pins:
            for name in SHARED:
                self._pins.keep(_pin(name), self._object.map_fd(name))

    def of_slots(self, slots: int) -> tuple[Records, Records]:
        """(slots) of LEASE, and (slots, directions) of INTERFACE_COUNTERS."""
        if self._pins is None:
            return np.zeros(slots, LEASE), np.zeros((slots, len(Direction)), INTERFACE_COUNTERS)
        return self._mapped("leases", LEASE, slots), self._mapped("since", SLOT_COUNTERS, slots)

    def ring(self, index: int, size: int) -> int:
        """A ring buffer's descriptor."""
        return self._user_map(f"ring-{index}", MAP_TYPE_RINGBUF, 0, 0, size, 0)

    def _mapped(self, name: str, dtype: np.dtype[Any], count: int) -> Records:
        fd = self._user_map(name, MAP_TYPE_ARRAY, 4, dtype.itemsize, count, BPF_F_MMAPABLE)
        values = mapped(fd, dtype, count)
        os.close(fd)
        return values

    def _user_map(self, name: str, kind: int, key: int, value: int, count: int, flags: int) -> int:
        if self._pins and (fd := self._pins.get(name)) is not None:
            return fd
        options = MapCreateOpts(sz=c.sizeof(MapCreateOpts), map_flags=flags)
        attempted = f"make a map of {count} {'bytes' if kind == MAP_TYPE_RINGBUF else 'values'}"
        arguments = (kind, b"pktexp", key, value, count, c.byref(options))
        made: int = self._lib(attempted, "bpf_map_create", *arguments)
        if self._pins:
            self._pins.put(name, made)
        return made


def _pin(name: str) -> str:
    """A name on a bpffs has no dots."""
    return name.replace(".", "")
