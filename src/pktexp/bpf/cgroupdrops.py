"""The program that counts dropped packets by cgroup and reason: bpf/cgroupdrops.bpf.c."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import numpy as np

from pktexp.bpf import layout
from pktexp.bpf.cells import PACKETS, Cells
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.object import BpfObject
from pktexp.packet.records import Records

OBJECT = Path(str(files("pktexp") / "cgroupdrops.bpf.o"))
PROGRAM = "count_cgroup_drop"
CELLS_PER_CGROUP = 8  # reasons for each cgroup on average
CGROUP_DROP_CONFIG = np.dtype([("arguments", "u4")])
CGROUP_CELL_KEY = np.dtype([("cgroup", "u8"), ("reason", "u4"), ("_pad", "u4")])
STRUCTS = {"cgroup_drop_config": CGROUP_DROP_CONFIG, "cgroup_cell_key": CGROUP_CELL_KEY}


class CgroupDropProgram:
    """The program at the tracepoint kfree_skb. Close it to detach it."""

    def __init__(self, lib: Libbpf, limit: int, arguments: int) -> None:
        """Load and attach the program.

        `limit`: number of cgroups, with CELLS_PER_CGROUP reasons each on average; `arguments`: how
        many the tracepoint has on this kernel. Raises BpfError if the kernel refuses, PktexpError
        if the object is missing, broken, or of another build.
        """
        self._link: int | None = None
        self.object = BpfObject(lib, OBJECT)
        try:
            layout.check_structs(self.object.btf, STRUCTS)
            self.object.resize("cells", limit * CELLS_PER_CGROUP)
            config = np.array((arguments,), CGROUP_DROP_CONFIG)
            self.object.set_constants(".rodata.config", config.tobytes())
            self.object.load([PROGRAM])
            fd = self.object.map_fd("cells")
            self.cells = Cells(lib, fd, CGROUP_CELL_KEY, limit * CELLS_PER_CGROUP)
            self._overflow: Records = self.object.view(".data.overflow", PACKETS, 1)
            attempted = "attach to the tracepoint kfree_skb"
            program = self.object.program_fd(PROGRAM)
            self._link = lib(attempted, "bpf_raw_tracepoint_open", None, program)
        except BaseException:
            self.close()
            raise

    @property
    def overflow(self) -> int:
        """Packets that were counted in no cell, as the map was full."""
        return int(self._overflow[0])

    def close(self) -> None:
        """Detach and release the program and its maps."""
        if self._link is not None:
            os.close(self._link)
            self._link = None
        self.object.close()
