"""What an idle machine with many CPUs and interfaces costs, from arrays of its size.

Run it with `just bench-idle`. It reads counters and drains a flow cache, both of the default
options, while BUSY interfaces have a few packets between two drains.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import numpy as np

import report
from pktexp.bpf.counters import Counters, chunk_shape
from pktexp.bpf.flowcache import HALVES, FlowCache
from pktexp.bpf.options import DatapathOptions, cached_flows
from pktexp.live.sampler import FLOWS
from pktexp.packet.records import CACHE_MISSES, EPOCH, FLOW_SET, INTERFACE_COUNTERS, Records

ROUNDS = 31
# In FLOWS seconds: a sample each second, two readings of the accounting check, and
# two drains, of the timer and of that check.
READINGS = FLOWS + 2
DRAINS = 2
BUSY = 3  # interfaces, each on one CPU, that have a few packets all the time


class Machine:
    """Counters and a flow cache of the default options."""

    def __init__(self, cpus: int, interfaces: int) -> None:
        options = DatapathOptions(flow_cache=cached_flows(None, cpus))
        self.chunks: list[Records] = []
        self._shape = chunk_shape(cpus)
        self._misses = np.zeros(cpus, CACHE_MISSES)
        sets = np.zeros((cpus, HALVES, options.flow_sets), FLOW_SET)
        self.cache = FlowCache(np.zeros(1, EPOCH), sets, self._misses, lambda: None)
        self._slots = np.arange(interfaces)
        self._counters = Counters(options.slots, self._make, self.cache.epochs)
        for slot in range(interfaces):
            self._counters.restart(slot)

    def _make(self, _: int) -> Records:
        chunk = np.ones(math.prod(self._shape) * INTERFACE_COUNTERS.itemsize // 8, np.uint64)
        self.chunks.append(chunk.view(INTERFACE_COUNTERS).reshape(self._shape))
        return self.chunks[-1]

    def traffic(self) -> None:
        """Mark the counters of BUSY interfaces, as the first packets after a drain do."""
        for slot in range(min(BUSY, len(self._misses))):
            self.chunks[0]["marks"][slot, slot] += 1
            self._misses["packets"][slot] += 1

    def read(self) -> None:
        """Read the totals of all interfaces."""
        self._counters.read(self._slots)

    def drain(self) -> None:
        """Drain the flow cache, which has nothing in it."""
        for _ in self.cache.drain():
            pass


def milliseconds(work: Callable[[], None]) -> float:
    """Return the CPU time of a call."""
    started = time.thread_time()
    work()
    return (time.thread_time() - started) * 1e3


def measure(cpus: int, interfaces: int) -> list[object]:
    """Return medians: ms of a reading and of a drain, and percent of a CPU."""
    machine = Machine(cpus, interfaces)
    for _ in range(3):
        machine.read()
        machine.drain()
    readings, drains = [], []
    for _ in range(ROUNDS):
        machine.traffic()
        readings += [milliseconds(machine.read) for _ in range(READINGS // DRAINS)]
        drains.append(milliseconds(machine.drain))
    reading, drain = statistics.median(readings), statistics.median(drains)
    percent = (READINGS * reading + DRAINS * drain) / FLOWS / 10
    return [cpus, interfaces, f"{reading:.2f}", f"{drain:.2f}", f"{percent:.2f}"]


def main() -> None:
    """Measure machines of several sizes, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="publish nothing")
    chosen = parser.parse_args()
    rows = [measure(*size) for size in ((2, 10), (64, 20), (128, 100), (256, 500))]
    head = ("CPUs", "interfaces", "reading, ms", "drain, ms", "% of a CPU")
    text = f"{report.machine()}; medians of {ROUNDS} rounds.\n\n{report.table(head, rows)}"
    report.publish("idle", text, chosen.quick)


if __name__ == "__main__":
    main()
