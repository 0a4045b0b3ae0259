"""What a datapath is told when it is loaded: sizes of its maps, and constants of its programs.

Given by assembly.py and replay.py, and put into the object by datapath.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pktexp.bpf.flowcache import HALVES
from pktexp.packet import records
from pktexp.packet.enums import Direction, Tunnel
from pktexp.packet.records import FLOW_WAYS, Records

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
REVERSED = 16384  # connections remembered whose serving side their ports would not tell
# Kernel memory in bytes: of an interface, for each CPU and once more; of a cached flow.
INTERFACE_BYTES = records.INTERFACE_COUNTERS.itemsize * len(Direction)
CACHED_FLOW_BYTES = records.FLOW_SLOT.itemsize * HALVES
WAKEUP_SHARE = 8  # a reader is woken when this part of its ring has filled


@dataclass(frozen=True)
class DatapathOptions:
    """What is fixed when the object is loaded."""

    slots: int = 1024
    """interfaces that can be counted at one time; a power of two"""
    rings: int = 1
    """ring buffers, each with its own reader"""
    ring_size: int = 8 << 20
    """bytes a ring; a power of two and a multiple of the page size"""
    events: bool = True
    """tell user space whose packets they were"""
    ports: bool = True
    """ports tell flows apart, not just addresses"""
    services: bool = False
    """of the ports only that of the serving side"""
    decap: Collection[Tunnel] = ()
    """tunnels whose inside tells flows apart"""
    flow_cache: int = 0
    """flows that a CPU sums up before it sends a record, a multiple of FLOW_WAYS; 0: each packet
    is a record"""

    @property
    def flow_sets(self) -> int:
        """Sets of FLOW_WAYS places that a CPU has; without events there is nothing to keep."""
        return self.flow_cache // FLOW_WAYS if self.events else 0

    def sizes(self, rows: int) -> dict[str, int]:
        """Entries of each map that has no fixed number; `rows`: of counters, one a CPU and one."""
        return {
            "interfaces": self.slots,
            "counters": rows * self.slots * len(Direction),
            "copies": max(rows - 1, 1),
            "reversed": REVERSED if self.services else 1,
            "rings": self.rings,
            "wakeups": self.rings,
            "flows": max((rows - 1) * HALVES * self.flow_sets, 1),
        }

    def constants(self, rows: int) -> Records:
        """() of CONFIG; its random numbers are others each time."""
        config = np.zeros((), records.CONFIG)
        config["counter_rows"] = rows
        config["slots"] = self.slots
        config["rings"] = self.rings
        config["wakeup_bytes"] = self.ring_size // WAKEUP_SHARE
        config["flow_sets"] = self.flow_sets
        config["events"] = self.events
        config["ports"] = self.ports
        config["services"] = self.services
        config["decap"] = sum(1 << tunnel for tunnel in self.decap)
        config["ephemeral"] = [int(port) for port in EPHEMERAL.read_text().split()]
        config["hash_seed"] = [secrets.randbits(64) for _ in range(records.HASH_SEEDS)]
        config["hash_multiplier"] = secrets.randbits(64) | 1
        return config

    def layout(self, rows: int) -> str:
        """What maps must have in common for one datapath to go on with another's."""
        types = (records.INTERFACE_BUCKET, records.INTERFACE_COUNTERS, records.FLOW_SET)
        descriptions = [str(dtype.descr) for dtype in (*types, records.RING_RECORD, records.LEASE)]
        sizes = (rows, self.slots, self.rings, self.ring_size, self.flow_sets)
        return f"{descriptions} {sizes} {self.services}"
