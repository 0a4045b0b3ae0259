"""Options of a datapath, and the sizes of maps and constants of programs that follow from them."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pktexp.bpf.counters import chunk_shape
from pktexp.bpf.flowcache import HALVES
from pktexp.packet import records
from pktexp.packet.enums import Direction, Tunnel
from pktexp.packet.records import CHUNK_SLOTS, FLOW_WAYS, Records

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
REVERSED = 16384  # connections remembered whose ports do not show the serving side
# Bytes of kernel memory: for an interface on each CPU, for an interface that could be counted, and
# for a cached flow.
INTERFACE_BYTES = records.INTERFACE_COUNTERS.itemsize * len(Direction)
SLOT_BYTES = records.INTERFACE_BUCKET.itemsize + records.LEASE.itemsize
CACHED_FLOW_BYTES = records.FLOW_SLOT.itemsize * HALVES
CPU_CACHE = 2 << 20  # bytes of the flow cache for each CPU by default: 16,384 flows
MACHINE_CACHE = 32 << 20  # bytes of it for all CPUs, by default at most
WAKEUP_SHARE = 8  # a reader is woken when 1/WAKEUP_SHARE of its ring is full


class Memory(NamedTuple):
    """Kernel memory of the largest maps, in bytes."""

    counters: int
    rings: int
    flow_cache: int


@dataclass(frozen=True)
class DatapathOptions:
    """The choices that are fixed when the object is loaded."""

    slots: int = 4096
    """number of interfaces that can be counted at one time, a power of two"""
    rings: int = 1
    """number of ring buffers, each with its own reader"""
    ring_size: int = 8 << 20
    """size of a ring in bytes, a power of two and a multiple of the page size"""
    events: bool = True
    """send records from which user space sums packets by flow"""
    ports: bool = True
    """distinguish flows by ports too, not by addresses alone"""
    services: bool = False
    """keep only the port of the serving side"""
    decap: Collection[Tunnel] = ()
    """tunnels that are decapsulated, so that flows are those inside"""
    flow_cache: int = 0
    """number of flows that each CPU sums before it sends a record, a multiple of FLOW_WAYS; with 0
    each packet is a record"""
    wire_lengths: bool = False
    """run captured frames, whose lengths are given beside them (Datapath.run_captured)"""

    @property
    def flow_sets(self) -> int:
        """Number of sets of FLOW_WAYS flows on each CPU; 0 without events."""
        return self.flow_cache // FLOW_WAYS if self.events else 0

    def sizes(self, cpus: int) -> dict[str, int]:
        """Return the number of entries of each map whose size depends on the options."""
        return {
            "interfaces": self.slots,
            "leases": self.slots,
            "counters": -(-self.slots // CHUNK_SLOTS),
            "copies": max(cpus, 1),
            "misses": max(cpus, 1),
            "reversed": REVERSED if self.services else 1,
            "rings": self.rings,
            "wakeups": self.rings,
            "flows": max(cpus * HALVES * self.flow_sets, 1),
        }

    def memory(self, cpus: int, interfaces: int) -> Memory:
        """Return the memory of the largest maps, while so many interfaces have a slot."""
        chunk = math.prod(chunk_shape(cpus)) * records.INTERFACE_COUNTERS.itemsize
        counters = -(-interfaces // CHUNK_SLOTS) * chunk + self.slots * SLOT_BYTES
        cached = cpus * HALVES * self.flow_sets * records.FLOW_SET.itemsize
        rings = self.rings * self.ring_size if self.events else 0
        return Memory(counters, rings, cached)

    def constants(self, cpus: int, *, read_kernel: bool) -> Records:
        """Return the programs' constants, a CONFIG, with new random numbers at each call.

        `read_kernel`: whether the kernel lets the programs read its memory.
        """
        config = np.zeros((), records.CONFIG)
        config["counter_rows"] = cpus + 1  # one more, for CPUs that come online later
        config["slots"] = self.slots
        config["rings"] = self.rings
        config["wakeup_bytes"] = self.ring_size // WAKEUP_SHARE
        config["flow_sets"] = self.flow_sets
        config["events"] = self.events
        config["ports"] = self.ports
        config["services"] = self.services
        config["read_kernel"] = read_kernel
        config["wire_lengths"] = self.wire_lengths
        config["decap"] = sum(1 << tunnel for tunnel in self.decap)
        config["ephemeral"] = ephemeral_ports()
        config["hash_seed"] = [secrets.randbits(64) for _ in range(records.HASH_SEEDS)]
        config["hash_multiplier"] = secrets.randbits(64) | 1
        return config

    def layout(self, cpus: int) -> str:
        """Return a text that is equal for two datapaths if one can take over the other's maps."""
        types = (records.INTERFACE_BUCKET, records.INTERFACE_COUNTERS, records.FLOW_SET)
        descriptions = [str(dtype.descr) for dtype in (*types, records.RING_RECORD, records.LEASE)]
        sizes = (cpus, self.slots, self.rings, self.ring_size, self.flow_sets)
        return f"{descriptions} {sizes} {self.services}"


def cached_flows(size: int | None, cpus: int) -> int:
    """Return how many flows each CPU caches, for DatapathOptions.flow_cache.

    `size`: kernel memory of the whole cache in bytes, None for the default.
    """
    share = min(CPU_CACHE, MACHINE_CACHE // cpus) if size is None else size // cpus
    return max(share // CACHED_FLOW_BYTES // FLOW_WAYS, 1) * FLOW_WAYS


def ephemeral_ports() -> tuple[int, int]:
    """Return the lowest and the highest port that the kernel gives to clients."""
    low, high = EPHEMERAL.read_text().split()
    return int(low), int(high)
