"""Run the packets of a capture through the BPF programs, without attaching to an interface.

BPF_PROG_TEST_RUN runs the programs as if `lo` had received the packets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pktexp import privileges
from pktexp.bpf import libbpf
from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.options import DatapathOptions
from pktexp.commands.replay.captures import reading
from pktexp.commands.replay.packets import Packet
from pktexp.errors import PktexpError
from pktexp.flows.table import FlowSnapshot, FlowTable
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.packet.enums import Direction, Tunnel
from pktexp.settings import FlowMode, flow_options

LOOPBACK = 1  # the ifindex that XDP test runs use (net/bpf/test_run.c, 5.15)
LEASE = 1
SHORTEST = 14  # bytes; a test run needs ETH_HLEN, whatever the link type
# Bytes of a packet that are run: less than a page without what a test run has around a frame, which
# is 256 bytes and a struct skb_shared_info (768 bytes at most, with 45 fragments; 6.3).
KEPT = 3000
FLOWS = 1 << 20  # flows kept individually; all others are summed
CACHED = 1 << 14
RING = 1 << 23  # bytes
MERGE = 1 << 16  # packets between reads; each sends at most one record: half of the ring


@dataclass(frozen=True)
class Replayed:
    """The result of a replay; a source of totals with one interface."""

    totals: Snapshot
    told: FlowSnapshot
    left_out: Counter[str]
    """number of packets not run, by reason"""
    error: PktexpError | None
    """the error that ended the capture early"""

    def lease_names(self) -> dict[int, str]:
        """Return the name of the interface by lease."""
        return {lease.id: lease.name for lease in self.totals.leases}

    def snapshot(self) -> Snapshot:
        """Return the totals of the interface."""
        return self.totals


class Replayer:
    """A datapath that runs captures, one after another. Close it at the end."""

    def __init__(self, lib: Libbpf, flows: FlowMode, decap: Collection[Tunnel] = ()) -> None:
        options = DatapathOptions(
            slots=16,
            ring_size=RING,
            decap=decap,
            flow_cache=CACHED,
            wire_lengths=True,
            **flow_options(flows),
        )
        self._datapath = Datapath(lib, options)
        self._table = InterfaceTable(self._datapath.interfaces)
        self._counters = self._datapath.counters

    def run(self, name: str, packets: Iterable[Packet]) -> Replayed:
        """Count only these packets, for an interface called `name`."""
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
        """Unload the programs and free the maps."""
        self._datapath.close()

    def _run(self, packet: Packet) -> str:
        """Run a packet; return why it was left out, or ""."""
        if not packet.left_out:
            self._table.set(LOOPBACK, LEASE, packet.link_type)
            frame = packet.data[:KEPT].ljust(SHORTEST, b"\0")
            self._datapath.run_captured(frame, packet.length)
        return packet.left_out

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
    """Run a capture; its interface has the name of the file, without folder and extension.

    Raises PktexpError if the file cannot be read, or this process lacks a capability.
    """
    privileges.require()
    with reading(path) as packets:
        replayer = Replayer(libbpf.find(), flows, decap)
        try:
            return replayer.run(Path(path.name.removesuffix(".gz")).stem, packets)
        finally:
            replayer.close()
