"""Reads one ring (kernel/ring.py) into the flow table (flows.py), a batch at a time.

Batches are views into the ring: they wait there, in a queue that the kernel bounds. When merging
falls behind, the ring fills, and the kernel counts what finds no room, exactly and per interface.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor

from pktexp.flows import FlowTable
from pktexp.kernel.records import Records
from pktexp.kernel.ring import Ring
from pktexp.wakeup import Wakeup

log = logging.getLogger(__name__)

INTERVAL = 0.25  # seconds after which even a few records are read


class Reader:
    """One ring's reader. Its counters only grow; `alive` tells whether it reads."""

    def __init__(self, ring: Ring, flows: FlowTable, executor: Executor) -> None:
        self._ring = ring
        self._flows = flows
        self._executor = executor
        self._lock = asyncio.Lock()
        self._wakeup = Wakeup(ring.fd)
        self.alive = False
        self.events = 0
        self.batches = 0
        self.largest_batch = 0
        self.merge_seconds = 0.0
        self.merge_failures = 0

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
                await asyncio.get_running_loop().run_in_executor(self._executor, self._take, batch)
                self._ring.release(batch)

    def _take(self, batch: Records) -> None:
        started = time.perf_counter()
        try:
            self._flows.merge(batch)
        except Exception as error:
            self.merge_failures += 1
            debug = log.isEnabledFor(logging.DEBUG)
            log.error("a batch of %d events counts as other: %s", len(batch), error, exc_info=debug)
            self._flows.fold(batch)
        self.events += len(batch)
        self.batches += 1
        self.largest_batch = max(self.largest_batch, len(batch))
        self.merge_seconds += time.perf_counter() - started


async def flush(readers: Sequence[Reader], timeout: float) -> None:
    """Wait until all that is in the rings now is merged, at most `timeout` seconds.

    What isn't done by then goes on by itself: a merge that is cancelled halfway would count twice.
    """
    if readers:
        await asyncio.wait([asyncio.create_task(r.drain()) for r in readers], timeout=timeout)
