"""The datapath: the loaded packet programs, their maps as numpy views, their rings and hooks.

It checks that the object's structs are those of packet/, sizes the maps, loads the programs, and
attaches them through `hooks`.
"""

from __future__ import annotations

import ctypes as c
import logging
import math
import os
import struct
from importlib.resources import files
from pathlib import Path

from pktexp.bpf import layout
from pktexp.bpf.counters import Counters, chunk_shape
from pktexp.bpf.flowcache import HALVES, FlowCache
from pktexp.bpf.hooks import Hooks
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.mapmaker import MAKER_BYTES, MapMaker
from pktexp.bpf.maps import Maps
from pktexp.bpf.object import BpfObject, explained, mapped, run_program
from pktexp.bpf.options import DatapathOptions
from pktexp.bpf.pins import Pins
from pktexp.bpf.probes import (
    can_read_kernel,
    has_multi_buffer,
    has_tcx,
    highest_online_cpu,
    require_ring_buffer,
)
from pktexp.bpf.ring import Ring
from pktexp.bpf.softirqs import Softirqs
from pktexp.packet import records
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS, Records

log = logging.getLogger(__name__)

OBJECT = Path(str(files("pktexp") / "packet.bpf.o"))
XDP_PROGRAM = "count_xdp"
SKB_PROGRAMS = {Direction.INGRESS: "count_ingress", Direction.EGRESS: "count_egress"}
PROGRAMS = (XDP_PROGRAM, *SKB_PROGRAMS.values())
# struct xdp_md (include/uapi/linux/bpf.h, 5.8): data, data_end and data_meta as offsets, then two
# interfaces and a queue. The bytes before data are metadata.
XDP_CONTEXT = struct.Struct("=6I")
WIRE_LENGTH = struct.Struct("=I")
XDP_HAS_FRAGS = 1 << 5  # BPF_F_XDP_HAS_FRAGS (include/uapi/linux/bpf.h, 5.18)


class Datapath:
    """The packet programs and maps of one pktexp. Close it to detach all programs."""

    def __init__(
        self,
        lib: Libbpf,
        options: DatapathOptions,
        path: Path = OBJECT,
        pins: Pins | None = None,
    ) -> None:
        """Open, check and load the object at `path`; with `pins`, use the maps that are pinned.

        Raises PktexpError if the object is missing, broken or of another build, VerifierError or
        BpfError if the kernel refuses it.
        """
        require_ring_buffer(lib)
        self._lib = lib
        self.options = options
        self.pins = pins
        self.object = BpfObject(lib, path)
        cpus = highest_online_cpu() + 1
        self._chunk_shape = chunk_shape(cpus)
        self._map_maker: MapMaker | None = None
        self._maps = Maps(lib, self.object, pins, math.prod(self._chunk_shape))
        try:
            layout.check(self.object.btf)
            self._configure(cpus)
            self.inherited = self._maps.share(options.layout(cpus), options.rings)
            self._load()
            self._maps.keep()
            skb_programs = {d: self.object.program_fd(name) for d, name in SKB_PROGRAMS.items()}
            xdp_program = self.object.program_fd(XDP_PROGRAM)
            self.hooks = Hooks(lib, skb_programs, xdp_program, has_tcx(lib), pins)
            self.interfaces = self.object.view(
                "interfaces", records.INTERFACE_BUCKET, options.slots
            )
            self.ifbs = self.object.view(".data.ifbs", records.IFBS, 1)
            self.leases = self.object.view("leases", records.LEASE, options.slots)
            self.rings = self._make_rings() if options.events else []
            self.flow_cache = self._view_flow_cache(cpus) if options.flow_sets else None
            epochs = self.flow_cache.epochs if self.flow_cache else None
            self.counters = Counters(options.slots, self._make_chunk, epochs)
        except BaseException:
            self.object.close()
            raise

    def test_run(
        self, frame: bytes, repeat: int = 1, program: str = XDP_PROGRAM, context: bytes = b""
    ) -> int:
        """Run one of PROGRAMS over a frame by BPF_PROG_TEST_RUN, as if `lo` had received it.

        Returns the program's verdict. Frames larger than a page need Linux 5.18.
        """
        fd = self.object.program_fd(program)
        return run_program(self._lib, fd, frame, repeat, context)

    def run_captured(self, frame: bytes, length: int) -> None:
        """Run the XDP program over the first bytes of a frame of `length` bytes on the wire.

        Needs the option wire_lengths. `frame` has at least 14 bytes and at most about 3,000.
        """
        data = WIRE_LENGTH.pack(length) + frame
        context = XDP_CONTEXT.pack(WIRE_LENGTH.size, len(data), 0, 0, 0, 0)
        self.test_run(data, context=context)

    @property
    def program_ids(self) -> set[int]:
        """The kernel's ids of the programs."""
        return {int(self.object.program_info(name)["prog_id"]) for name in PROGRAMS}

    @property
    def counter_bytes(self) -> int:
        """Kernel memory of the interfaces' counters and tables, in bytes."""
        return self.counters.nbytes + self.interfaces.nbytes + self.leases.nbytes

    @property
    def ring_bytes(self) -> int:
        """Kernel memory of the ring buffers, in bytes."""
        return len(self.rings) * self.options.ring_size

    @property
    def flow_cache_bytes(self) -> int:
        """Kernel memory of the flow cache, in bytes; 0 without one."""
        return self.flow_cache.nbytes if self.flow_cache else 0

    @property
    def flow_cache_entries(self) -> int:
        """Flows that the cache of each CPU has room for; 0 without a cache."""
        return self.flow_cache.entries if self.flow_cache else 0

    @property
    def kernel_bytes(self) -> int:
        """Kernel memory of counters, rings and flow cache together, in bytes."""
        return self.counter_bytes + self.ring_bytes + self.flow_cache_bytes

    def outlast_capabilities(self) -> None:
        """Prepare for later interfaces, whose counters are made when CAP_BPF is given up.

        A process that keeps it is started, unless all counters take less memory than that.
        """
        missing = self.counters.missing
        if missing * math.prod(self._chunk_shape) * INTERFACE_COUNTERS.itemsize <= MAKER_BYTES:
            self.counters.require_all()
            return
        try:
            self._map_maker = MapMaker(self._lib, self._maps.chunk_spec, missing)
        except OSError as error:
            log.warning(
                "failed to start the process that makes counters: %s; "
                "at most %d interfaces can be counted",
                error,
                self.counters.room,
            )
        else:
            self._maps.make_chunk = self._map_maker.make

    def close(self) -> None:
        """Detach from every interface, and release the programs and maps."""
        if self._map_maker:
            self._map_maker.close()
        self.hooks.close()
        self.rings = []
        self.object.close()

    def _configure(self, cpus: int) -> None:
        for name, entries in self.options.sizes(cpus).items():
            self.object.resize(name, entries)
        constants = self.options.constants(cpus, read_kernel=can_read_kernel(self._lib))
        self.object.set_constants(".rodata.config", constants.tobytes())

    def _load(self) -> None:
        # Not by a section named xdp.frags: libbpf would set the flag on every kernel.
        if has_multi_buffer(self._lib):
            self.object.set_program_flags(XDP_PROGRAM, XDP_HAS_FRAGS)
        else:
            log.info(
                "no multi-buffer XDP (Linux 5.18) in this kernel: jumbo MTUs may need generic XDP"
            )
        try:
            template = self._maps.chunk_spec.create(self._lib)
            try:
                self.object.set_template("counters", template)
                self.object.load(PROGRAMS)
            finally:
                os.close(template)
        except BpfError as error:
            if explanation := explained(error):
                raise explanation from error
            raise

    def _make_rings(self) -> list[Ring]:
        wakeups = self.object.view("wakeups", records.RING_WAKEUP, self.options.rings)
        return [self._make_ring(index, wakeups[index : index + 1]) for index in range(len(wakeups))]

    def _make_ring(self, index: int, wakeup: Records) -> Ring:
        size = self.options.ring_size
        ring = Ring(self._maps.ring(index, size), size, wakeup)
        self._enter("rings", index, ring.fd)
        return ring

    def _make_chunk(self, index: int) -> Records:
        fd = self._maps.chunk(index)
        try:
            values = mapped(fd, records.INTERFACE_COUNTERS, math.prod(self._chunk_shape))
            self._enter("counters", index, fd)
        finally:
            os.close(fd)
        return values.reshape(self._chunk_shape)

    def _enter(self, outer: str, index: int, fd: int) -> None:
        """Put a map into a map of maps."""
        key, value = c.c_uint32(index), c.c_uint32(fd)
        arguments = (self.object.map_fd(outer), c.byref(key), c.byref(value), 0)
        self._lib(f"register one of the {outer}", "bpf_map_update_elem", *arguments)

    def _view_flow_cache(self, cpus: int) -> FlowCache:
        shape = (cpus, HALVES, self.options.flow_sets)
        sets = self.object.view("flows", records.FLOW_SET, math.prod(shape)).reshape(shape)
        misses = self.object.view("misses", records.CACHE_MISSES, cpus)
        epoch = self.object.view(".data.epoch", records.EPOCH, 1)
        return FlowCache(epoch, sets, misses, Softirqs(self.wait_for_grace).finish)

    def wait_for_grace(self) -> None:
        """Wait until every program that runs now has ended, whatever it runs in.

        Registering a ring again in its own place waits: an update of a map of maps returns after an
        RCU grace period (kernel commit 1ae80cf31938, 4.20).
        """
        self._enter("rings", 0, self.rings[0].fd)
