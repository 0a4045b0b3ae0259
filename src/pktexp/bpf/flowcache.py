"""Drain the flow cache of bpf/flowcache.h, in which each CPU sums packets by flow.

The cache has two halves. Programs add to one while the other is read and cleared here, so every
packet is taken once. A drain swaps the halves and waits for programs that still use the old one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np

from pktexp.bpf.clock import boot_time
from pktexp.bpf.ring import BATCH
from pktexp.packet.records import FLOW_SLOT, FLOW_WAYS, Records

HALVES = 2


class FlowCache:
    """The mapped flow cache of all CPUs, both halves of it."""

    def __init__(self, epoch: Records, sets: Records, synchronize: Callable[[], None]) -> None:
        """`sets`: the mapped cache, an array of FLOW_SET by CPU, half and hash.

        `synchronize` returns when every program that ran at the time of the call has ended.
        """
        self._epoch = epoch
        self._sets = sets
        self._synchronize = synchronize
        self.turned_at = boot_time()
        """seconds since the boot until which packets are in the half drained last"""
        self._lock = threading.Lock()

    @property
    def entries(self) -> int:
        """Flows that the cache of each CPU has room for, in one half."""
        return int(self._sets.shape[2]) * FLOW_WAYS

    @property
    def nbytes(self) -> int:
        """Kernel memory of both halves on all CPUs, in bytes."""
        return self._sets.nbytes

    def turn(self) -> Records:
        """Swap the halves; return the one that programs used until now.

        Its shape is (CPUs, entries) of FLOW_SLOT, and no program writes to it until the next turn.
        Raises BpfError if waiting for the programs failed; the halves are then as before.
        """
        old, turned_at = int(self._epoch[0]), boot_time()
        self._epoch[0] = old ^ 1
        try:
            self._synchronize()
        except BaseException:
            self._epoch[0] = old
            raise
        self.turned_at = turned_at
        half: Records = self._sets[:, old].view(FLOW_SLOT).reshape(len(self._sets), -1)
        return half

    def drain(self) -> Iterator[Records]:
        """Yield copies of the slots in use, at most BATCH at a time.

        A batch is cleared in the cache before it is yielded: the caller must account for it. Only
        one drain runs at a time; others wait for it.
        """
        with self._lock:
            for cpu in self.turn():
                for start in range(0, len(cpu), BATCH):
                    yield from _take(cpu[start : start + BATCH])


def _take(slots: Records) -> Iterator[Records]:
    batch = slots[slots["flow"]["packets"] > 0]
    if len(batch):
        slots.view(np.uint64)[:] = 0
        yield batch
