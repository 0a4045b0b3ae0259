"""The flow cache's quiet half: turn the epoch, wait for the programs, take what was summed.

Made by datapath.py over maps of bpf/flowcache.h, drained by drainer.py. Every packet is taken once:
the programs add to one half while the other is read and cleared here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np

from pktexp.bpf.ring import BATCH
from pktexp.packet.records import FLOW_SLOT, FLOW_WAYS, Records

HALVES = 2


class FlowCache:
    """Both halves of every CPU's cache."""

    def __init__(self, epoch: Records, sets: Records, synchronize: Callable[[], None]) -> None:
        """`sets`: the mapped cache, an array of FLOW_SET by CPU, half and hash.

        `synchronize` returns when no program runs any more that ran when it was called.
        """
        self._epoch = epoch
        self._sets = sets
        self._synchronize = synchronize
        self._lock = threading.Lock()

    @property
    def entries(self) -> int:
        """Flows that a CPU has room for."""
        return int(self._sets.shape[2]) * FLOW_WAYS

    @property
    def nbytes(self) -> int:
        """Kernel memory, in bytes."""
        return self._sets.nbytes

    def turn(self) -> Records:
        """The half that programs added to until now, (CPUs, entries) of FLOW_SLOT.

        Nobody else writes to it until the next turn. BpfError if the kernel refused to wait; the
        half is then still in use, and the next turn will find it.
        """
        old = int(self._epoch[0])
        self._epoch[0] = old ^ 1
        try:
            self._synchronize()
        except BaseException:
            self._epoch[0] = old
            raise
        half: Records = self._sets[:, old].view(FLOW_SLOT).reshape(len(self._sets), -1)
        return half

    def drain(self) -> Iterator[Records]:
        """Copies of the slots that hold something, at most BATCH at a time.

        A batch is cleared in the cache before it is handed out: whoever takes it must account for
        it. Only one drain runs at a time; others wait for their turn.
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
