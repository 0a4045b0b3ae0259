"""Programs at tracepoints that count packets by interface and reason, in a hash map of cells.

The structs mirror bpf/cells.h. A program shares the datapath's interfaces and leases, so that lease
ids mean the same in both.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from pktexp import logs
from pktexp.bpf import layout, probes
from pktexp.bpf.cells import PACKETS, Cells, cell_type
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.object import BpfObject
from pktexp.bpf.pins import Pins
from pktexp.packet.records import Records

log = logging.getLogger(__name__)

NO_INTERFACE = 0
CELL_BYTES = 80  # of kernel memory: struct htab_elem, key, packets, and a bucket (hashtab.c, 6.18)

TRACE_CONFIG = np.dtype([("netns", "u4"), ("slots", "u4"), ("arguments", "u4")])
CELL_KEY = np.dtype([("interface", "u4"), ("reason", "u4")])
CELL = cell_type(CELL_KEY)
SHARED = ("interfaces", "leases")  # maps of the datapath
PINNED = ("cells", ".data.overflow")
TRACE_STRUCTS = {"trace_config": TRACE_CONFIG, "cell_key": CELL_KEY}


@dataclass(frozen=True)
class Tracepoint:
    """A tracepoint and the program for it, which needs at least `arguments` of its arguments."""

    name: str
    arguments: int
    object: str
    program: str
    counted: str
    """the packets that the program counts, in words for the operator"""
    cells: int
    """pairs of interface and reason that can be counted"""
    limitation: str
    """the predicate of "this kernel ..." where the tracepoint has fewer arguments"""


class Tracing:
    """A program at a tracepoint; it counts packets of the calling thread's network namespace.

    Close it to detach the program, unless it is pinned. The kernel detaches it when the process
    ends, as its link is a file descriptor.
    """

    def __init__(
        self, lib: Libbpf, datapath: Datapath, tracepoint: Tracepoint, arguments: int
    ) -> None:
        """Load and attach the program.

        `arguments`: how many the tracepoint has on this kernel. Raises BpfError if the kernel
        refuses, PktexpError if the object is missing, broken, or of another build.
        """
        self._lib = lib
        self._link: int | None = None
        self._program = tracepoint.program
        self.object = BpfObject(lib, Path(str(files("pktexp") / tracepoint.object)))
        try:
            self._configure(datapath, arguments, tracepoint.cells)
            if datapath.pins:
                for name in PINNED:
                    datapath.pins.share(_pin(tracepoint, name), self.object, name)
            self.object.load([tracepoint.program])
            self._cells = Cells(lib, self.object.map_fd("cells"), CELL_KEY, tracepoint.cells)
            self._overflow = self.object.view(".data.overflow", PACKETS, 1)
            self._attach(tracepoint, datapath.pins)
        except BaseException:
            self.close()
            raise

    @property
    def overflow(self) -> int:
        """Packets that were counted in no cell, as the map was full."""
        return int(self._overflow[0])

    @property
    def misses(self) -> int:
        """Packets missed because the program was running on the same CPU.

        The kernel counts them for tracepoints since 6.1, in the program's fdinfo (kernel commit
        9ed9e9ba2337, 5.12).
        """
        return int(self.object.program_info(self._program).get("recursion_misses", 0))

    def read(self) -> Records:
        """Return all cells, an array of CELL, in no order."""
        return self._cells.read()

    def remove(self, keys: Records) -> None:
        """Remove cells by `keys`, an array of CELL_KEY, to make room for others."""
        self._cells.remove(keys)

    def close(self) -> None:
        """Detach and release the program and its map, unless they are pinned."""
        if self._link is not None:
            os.close(self._link)
            self._link = None
        self.object.close()

    def _attach(self, tracepoint: Tracepoint, pins: Pins | None) -> None:
        """Attach, replacing a pinned link: the kernel cannot exchange a tracepoint's program."""
        if pins:
            for name in PINNED:
                pins.keep(_pin(tracepoint, name), self.object.map_fd(name))
            pins.drop(_pin(tracepoint, "link"))
        program = self.object.program_fd(self._program)
        attempted = f"attach to the tracepoint {tracepoint.name}"
        self._link = self._lib(attempted, "bpf_raw_tracepoint_open", None, program)
        if pins:
            pins.put(_pin(tracepoint, "link"), self._link)

    def _configure(self, datapath: Datapath, arguments: int, cells: int) -> None:
        layout.check_structs(self.object.btf, TRACE_STRUCTS)
        self.object.resize("cells", cells)
        for name in SHARED:
            self.object.share(name, datapath.object.map_fd(name))
        constants = (probes.network_namespace(), datapath.options.slots, arguments)
        config = np.array(constants, TRACE_CONFIG)
        self.object.set_constants(".rodata.config", config.tobytes())


def start(lib: Libbpf, datapath: Datapath, tracepoint: Tracepoint) -> Tracing | None:
    """Start counting; log one line and return None if the kernel lacks something or refuses."""
    arguments = probes.tracepoint_arguments(lib, tracepoint.name)
    if arguments < tracepoint.arguments:
        log.info("%s are not counted: this kernel %s", tracepoint.counted, tracepoint.limitation)
        return None
    try:
        with lib.quiet():
            return Tracing(lib, datapath, tracepoint, arguments)
    except BpfError as error:
        log.warning("%s are not counted: %s", tracepoint.counted, error)
        logs.debug_lines(log, "the verifier", getattr(error, "log", ""))
        return None


def _pin(tracepoint: Tracepoint, name: str) -> str:
    return f"{tracepoint.program}-{name.replace('.', '')}"
