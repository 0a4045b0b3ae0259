"""Drain the flow cache of bpf/flowcache.h, in which each CPU sums packets by flow.

The cache has two halves. Programs add to one while the other is read and cleared here, so every
packet is taken once. A drain swaps the halves and waits for programs that still use the old one.
Parts of CPUs to which no flow was added are skipped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np

from pktexp.bpf.clock import boot_time
from pktexp.bpf.counters import Epochs
from pktexp.bpf.ring import BATCH
from pktexp.packet.records import FLOW_SLOT, FLOW_WAYS, Records

HALVES = 2


class FlowCache:
    """The mapped flow cache of all CPUs, both halves of it."""

    def __init__(
        self, epoch: Records, sets: Records, misses: Records, synchronize: Callable[[], None]
    ) -> None:
        """`sets`: the mapped cache, an array of FLOW_SET by CPU, half and hash.

        `misses`: an array of CACHE_MISSES by CPU. `synchronize` returns when every program that ran
        at the time of the call has ended.
        """
        self._epoch = epoch
        self._sets = sets
        self._misses = misses["packets"]
        self._synchronize = synchronize
        self._missed = self._misses.copy()
        self._used = np.ones((HALVES, len(sets)), np.bool_)
        """whether flows may be in a CPU's part of a half"""
        self.epochs = Epochs(clean=False)  # an earlier process may have left flows
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

    def turn(self) -> int:
        """Swap the halves; return the one that programs used until now.

        No program writes to it until the next turn. Raises BpfError if waiting for the programs
        failed; the halves are then as before.
        """
        old, turned_at = int(self._epoch[0]), boot_time()
        new = old ^ 1
        self.epochs.clean = not self._used[new].any()
        self.epochs.begun += 1
        self._epoch[0] = new
        try:
            self._synchronize()
        except BaseException:
            self._epoch[0] = old
            self._used[new] = True
            self.epochs.clean = False
            raise
        self.epochs.ended = self.epochs.begun - 1
        self.turned_at = turned_at
        return old

    def drain(self) -> Iterator[Records]:
        """Yield copies of the slots in use, at most BATCH at a time.

        A batch is cleared in the cache before it is yielded: the caller must account for it. Only
        one drain runs at a time; others wait for it.
        """
        with self._lock:
            half = self.turn()
            self._note_misses()
            for cpu in np.flatnonzero(self._used[half]):
                slots = self._sets[cpu, half].view(FLOW_SLOT).reshape(-1)
                for start in range(0, len(slots), BATCH):
                    yield from _take(slots[start : start + BATCH])
                self._used[half, cpu] = False

    def _note_misses(self) -> None:
        """Note on which CPUs flows were added since the latest drain.

        They may be in either half: programs used the new one already when misses were read.
        """
        missed = self._misses.copy()
        self._used[:, missed != self._missed] = True
        self._missed = missed


def _take(slots: Records) -> Iterator[Records]:
    batch = slots[slots["flow"]["packets"] > 0]
    if len(batch):
        slots.view(np.uint64)[:] = 0
        yield batch
