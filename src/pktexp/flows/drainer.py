"""Drain the flow cache through a merger, on a timer and on request.

Readers read the records that left the cache earlier. A worker thread waits for the kernel and
merges. A failed drain is counted, and the next one finds all records that it left.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Executor
from itertools import chain

from pktexp.bpf.flowcache import FlowCache
from pktexp.failures import FailureCounter
from pktexp.flows.merger import Merger

log = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds between drains on the timer


class Drainer:
    """Drains one flow cache. There is one drainer for a cache; its counters only grow."""

    def __init__(self, cache: FlowCache, merger: Merger, executor: Executor) -> None:
        self._cache = cache
        self._executor = executor
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self.merger = merger
        self.drains = 0
        self.failures = FailureCounter(log)
        self.seconds = 0.0
        self.drained_until = cache.turned_at
        """seconds since the boot until which packets in the cache are merged"""
        self.merging = threading.Lock()
        """held while a drain is half merged, when flows of the cache are of two moments"""

    async def run(self) -> None:
        """Drain until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.drain()

    async def drain(self) -> None:
        """Merge all packets counted before the call; waiting callers share one drain."""
        if self._next is None:
            self._next = asyncio.create_task(self._drain_next())
        await asyncio.shield(self._next)

    async def _drain_next(self) -> None:
        async with self._lock:
            self._next = None  # packets of later callers may miss this drain
            await asyncio.get_running_loop().run_in_executor(self._executor, self._drain)

    def _drain(self) -> None:
        started = time.perf_counter()
        with self.failures.suppressed("failed to drain the flow cache, retrying"):
            batches = self._cache.drain()
            first = [batch for batch in [next(batches, None)] if batch is not None]  # a long wait
            with self.merging:
                for batch in chain(first, batches):
                    self.merger(batch)
                self.drained_until = self._cache.turned_at
        self.drains += 1
        self.seconds += time.perf_counter() - started
