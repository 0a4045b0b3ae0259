"""Cells: packets in a hash map of the kernel by any key, for programs that see few packets."""

from __future__ import annotations

import ctypes as c
import errno
from typing import Any

import numpy as np

from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.packet.records import Records

PACKETS = np.dtype("u8")


def cell_type(key: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a cell with such a key."""
    return np.dtype([("key", key), ("packets", PACKETS)])


class Cells:
    """The cells of a loaded object's map."""

    def __init__(self, lib: Libbpf, fd: int, key: np.dtype[Any], most: int) -> None:
        """`most`: the number of cells for which the map has room."""
        self._lib = lib
        self._fd = fd
        self._key = key
        self._most = most

    def read(self) -> Records:
        """Return all cells, an array of `cell_type`, in no order."""
        keys, packets = np.zeros(self._most, self._key), np.zeros(self._most, PACKETS)
        place, count = c.c_uint64(), c.c_uint32(self._most)
        buffers = (None, c.addressof(place), keys.ctypes.data, packets.ctypes.data)
        arguments = (self._fd, *buffers, c.byref(count), None)
        try:
            self._lib("read the cells", "bpf_map_lookup_batch", *arguments)
        except BpfError as error:
            if error.errno != errno.ENOENT:  # the end of the map; the cells before it are read
                raise
        cells = np.zeros(count.value, cell_type(self._key))
        cells["key"], cells["packets"] = keys[: count.value], packets[: count.value]
        return cells

    def remove(self, keys: Records) -> None:
        """Remove cells by their keys, to make room for others."""
        for key in keys:
            try:
                self._lib("remove a cell", "bpf_map_delete_elem", self._fd, key.tobytes())
            except BpfError as error:
                if error.errno != errno.ENOENT:  # another scrape has removed it
                    raise
