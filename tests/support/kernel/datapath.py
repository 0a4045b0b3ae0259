"""A loaded datapath with its maps, and readings of them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pktexp.bpf import libbpf
from pktexp.bpf.counters import Counters, InterfaceTable
from pktexp.bpf.datapath import Datapath
from pktexp.packet import labels
from pktexp.packet.enums import Direction
from pktexp.packet.records import CHUNK_SLOTS, FLOW_RECORD, Records
from support.patience import finished

LOOPBACK = 1  # the ifindex under which BPF_PROG_TEST_RUN runs XDP programs
SLOT = 5
ROOT = Path(__file__).parents[3]


def build(source: Path, folder: Path) -> Path:
    """Compile another BPF object by the project's Makefile; return its path."""
    built = folder / source.with_suffix(".o").name
    command = ["make", "-s", "-C", str(ROOT / "bpf"), f"SRC={source}", f"OUT={built}"]
    finished(command, check=True)
    return built


def chunk_fd(datapath: Datapath, slot: int) -> int:
    """Return a new descriptor of the chunk of counters that holds a slot."""
    dll = ctypes.CDLL(libbpf.find().path)
    key, number = ctypes.c_uint32(slot // CHUNK_SLOTS), ctypes.c_uint32()
    outer = datapath.object.map_fd("counters")
    assert dll.bpf_map_lookup_elem(outer, ctypes.byref(key), ctypes.byref(number)) == 0
    fd: int = dll.bpf_map_get_fd_by_id(number)
    assert fd >= 0
    return fd


@dataclass
class Bench:
    datapath: Datapath
    table: InterfaceTable
    counters: Counters

    def totals(self, direction: Direction = Direction.INGRESS) -> Records:
        return self.counters.read(np.array([SLOT]))[:, direction]

    def traffic(
        self, direction: Direction = Direction.INGRESS
    ) -> dict[tuple[str, str], tuple[int, int]]:
        tallies = self.totals(direction)[0]["classes"]
        seen = np.flatnonzero(tallies["packets"]).tolist()
        return {
            labels.PACKET_CLASSES[i]: (int(tallies[i]["packets"]), int(tallies[i]["bytes"]))
            for i in seen
        }

    def unparsed(self, direction: Direction = Direction.INGRESS) -> dict[str, int]:
        counts = self.totals(direction)[0]["unparsed"]
        return {labels.UNPARSED[i]: int(counts[i]) for i in np.flatnonzero(counts).tolist()}

    def events(self) -> Records:
        """Read everything out of the rings."""
        batches = []
        for ring in self.datapath.rings:
            batch = ring.batch(ring.produced)
            batches.append(batch["flow"].copy())
            ring.release(batch)
        return np.concatenate(batches)

    def cached(self) -> Records:
        """Read everything out of the flow cache."""
        assert self.datapath.flow_cache
        batches = [batch["flow"] for batch in self.datapath.flow_cache.drain()]
        return np.concatenate([np.zeros(0, FLOW_RECORD), *batches])
