"""The story of `pktexp replay`: a capture's packets, run through the programs without an interface.

captures.py reads them; BPF_PROG_TEST_RUN runs the programs as if `lo` had received them, while
nothing is attached. What was counted is shown by report.py.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pktexp import privileges
from pktexp.bpf import libbpf
from pktexp.bpf.counters import Counters, InterfaceTable
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.options import DatapathOptions
from pktexp.commands.replay.captures import Packet, reading
from pktexp.errors import PktexpError
from pktexp.flows.table import FlowSnapshot, FlowTable
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.packet.enums import Direction, Tunnel
from pktexp.settings import FlowMode

LOOPBACK = 1  # the ifindex under which XDP programs are test-run (net/bpf/test_run.c, 5.15)
LEASE = 1
SHORTEST = 14  # bytes that a test run needs (ETH_HLEN), whatever the link type
# More than any kernel's test run takes: a page and MAX_SKB_FRAGS more, which are 45 at most (6.3).
LONGEST = 1 << 18
TOO_SHORT = f"shorter than {SHORTEST} bytes"
TOO_LONG = "longer than the kernel runs"
REFUSED = (errno.EINVAL, errno.ENOMEM)
FLOWS = 1 << 20  # that are told one by one; what is beyond them is summed
CACHED = 1 << 14
RING = 1 << 23  # bytes
MERGE = 1 << 16  # packets, each of which sends one record at most: half of what the ring takes


@dataclass(frozen=True)
class Replayed:
    """What was counted, as sources.py wants it, and what was not."""

    totals: Snapshot
    told: FlowSnapshot
    left_out: Counter[str]
    """why packets could not be run -> how many"""
    error: PktexpError | None
    """what ended the capture before its end"""

    def lease_names(self) -> dict[int, str]:
        """The one interface's."""
        return {lease.id: lease.name for lease in self.totals.leases}

    def snapshot(self) -> Snapshot:
        """Of the one interface."""
        return self.totals


class Replayer:
    """A datapath through which captures are run, one after another. Close it at the end."""

    def __init__(self, lib: Libbpf, flows: FlowMode, decap: Collection[Tunnel] = ()) -> None:
        options = DatapathOptions(
            slots=16,
            ring_size=RING,
            events=flows is not FlowMode.OFF,
            ports=flows in (FlowMode.SERVICES, FlowMode.SOCKETS),
            services=flows is FlowMode.SERVICES,
            decap=decap,
            flow_cache=CACHED,
        )
        self._datapath = Datapath(lib, options)
        self._table = InterfaceTable(self._datapath.interfaces)
        self._counters = Counters(self._datapath.counters)

    def run(self, name: str, packets: Iterable[Packet]) -> Replayed:
        """Count the packets, and only them, for an interface of this name."""
        lease, left_out, error = Lease(name, LEASE, LEASE), Counter[str](), None
        flows = FlowTable(FLOWS)
        self._counters.restart(lease.slot)
        try:
            for number, packet in enumerate(packets, 1):
                if reason := self._run(packet):
                    left_out[reason] += 1
                if number % MERGE == 0:
                    self._read_rings(flows)
        except PktexpError as broken:
            error = broken
        self._drain(flows)
        counted = self._counters.read(np.array([lease.slot]))
        totals = Snapshot([lease], counted, (Direction.INGRESS,), {})
        return Replayed(totals, flows.snapshot([lease.id]), left_out, error)

    def close(self) -> None:
        """Let go of the programs and maps."""
        self._datapath.close()

    def _run(self, packet: Packet) -> str:
        """Why it could not be run; "" if it was."""
        if packet.length < SHORTEST:
            return TOO_SHORT
        if packet.length > LONGEST:
            return TOO_LONG
        self._table.set(LOOPBACK, LEASE, packet.link_type)
        try:
            self._datapath.test_run(packet.data[: packet.length].ljust(packet.length, b"\0"))
        except BpfError as error:
            if error.errno not in REFUSED:
                raise
            return TOO_LONG
        return ""

    def _read_rings(self, flows: FlowTable) -> None:
        for ring in self._datapath.rings:
            while len(batch := ring.batch(ring.produced)):
                flows.merge(batch)
                ring.release(batch)

    def _drain(self, flows: FlowTable) -> None:
        self._read_rings(flows)
        if self._datapath.flow_cache:
            for batch in self._datapath.flow_cache.drain():
                flows.merge(batch)


def replay(path: Path, flows: FlowMode, decap: Collection[Tunnel] = ()) -> Replayed:
    """Run a capture; its interface is named as the file, without folder and extension."""
    privileges.require()
    with reading(path) as packets:
        replayer = Replayer(libbpf.find(), flows, decap)
        try:
            return replayer.run(Path(path.name.removesuffix(".gz")).stem, packets)
        finally:
            replayer.close()
