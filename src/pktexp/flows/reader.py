"""Read a ring buffer through a merger, a batch at a time.

Batches are views into the ring, so records wait there, in a queue that the kernel bounds. When
merging falls behind, the ring fills, and the programs count lost records, exactly, by interface.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from pktexp.bpf.ring import Ring
from pktexp.flows.merger import Merger
from pktexp.wakeup import Wakeup

INTERVAL = 1.0  # seconds after which a reader reads without being woken


class Reader:
    """Reads one ring buffer; `alive` is true while it runs."""

    def __init__(self, ring: Ring, merger: Merger, executor: Executor) -> None:
        self._ring = ring
        self._executor = executor
        self._lock = asyncio.Lock()
        self._wakeup = Wakeup(ring.fd)
        self.merger = merger
        self.alive = False

    @property
    def wakeups(self) -> int:
        """Number of times the kernel woke this reader."""
        return self._wakeup.count

    @property
    def unread(self) -> int:
        """Bytes waiting in the ring."""
        return self._ring.unread

    async def run(self) -> None:
        """Read until cancelled."""
        self.alive = True
        try:
            while True:
                self._ring.arm()
                await self._wakeup.wait(INTERVAL)
                if self.unread:
                    await self.drain()
        finally:
            self.alive = False
            self._wakeup.close()

    async def drain(self) -> None:
        """Merge the records that are in the ring now; later ones wait for the next drain."""
        async with self._lock:
            end = self._ring.produced
            while len(batch := self._ring.batch(end)):
                await asyncio.get_running_loop().run_in_executor(self._executor, self.merger, batch)
                self._ring.release(batch)
