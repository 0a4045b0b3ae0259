"""Reads one ring (kernel/ring.py) into the flow table, a batch at a time, through a merger.

Batches are views into the ring: they wait there, in a queue that the kernel bounds. When merging
falls behind, the ring fills, and the kernel counts what finds no room, exactly and per interface.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from pktexp.bpf.ring import Ring
from pktexp.flows.merger import Merger
from pktexp.wakeup import Wakeup

INTERVAL = 0.25  # seconds after which even a few records are read


class Reader:
    """One ring's reader; `alive` tells whether it reads."""

    def __init__(self, ring: Ring, merger: Merger, executor: Executor) -> None:
        self._ring = ring
        self._executor = executor
        self._lock = asyncio.Lock()
        self._wakeup = Wakeup(ring.fd)
        self.merger = merger
        self.alive = False

    @property
    def wakeups(self) -> int:
        """How often the kernel woke this reader."""
        return self._wakeup.count

    @property
    def unread(self) -> int:
        """Bytes that wait in the ring."""
        return self._ring.unread

    async def run(self) -> None:
        """Read until cancelled."""
        self.alive = True
        try:
            while True:
                self._ring.arm()
                await self._wakeup.wait(INTERVAL)
                await self.drain()
        finally:
            self.alive = False
            self._wakeup.close()

    async def drain(self) -> None:
        """Merge what is in the ring now; what comes meanwhile waits for the next time."""
        async with self._lock:
            end = self._ring.produced
            while len(batch := self._ring.batch(end)):
                await asyncio.get_running_loop().run_in_executor(self._executor, self.merger, batch)
                self._ring.release(batch)
