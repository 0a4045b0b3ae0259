"""Attribute packets to flows: read ring buffers and the flow cache into the sinks.

One reader for each ring buffer and one drainer for the cache run in the background. Each has a
merger of its own, and all feed the same sinks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from pktexp.bpf.clock import boot_time
from pktexp.bpf.datapath import Datapath
from pktexp.flows.drainer import Drainer
from pktexp.flows.merger import Merger, Sink
from pktexp.flows.reader import Reader
from pktexp.tasks import background


class Attribution:
    """The readers, one for each ring, and the drainer; None if each packet is a record."""

    def __init__(self, datapath: Datapath, sinks: Sequence[Sink], executor: Executor) -> None:
        self.readers = [Reader(ring, Merger(sinks), executor) for ring in datapath.rings]
        self.drainer = (
            Drainer(datapath.flow_cache, Merger(sinks), executor) if datapath.flow_cache else None
        )

    @property
    def _sources(self) -> Sequence[Reader | Drainer]:
        return [*self.readers, self.drainer] if self.drainer else self.readers

    @property
    def alive(self) -> bool:
        """Whether every reader is running."""
        return all(reader.alive for reader in self.readers)

    def runs(self) -> list[Coroutine[None, None, None]]:
        """Return the coroutines to run in the background."""
        return [source.run() for source in self._sources]

    @contextmanager
    def between_drains(self) -> Iterator[float]:
        """Hold merges of the cache back while the context is open.

        Yields the time, in seconds since the boot, until which packets are merged. Packets that
        left the cache through a ring since then may be merged, too.
        """
        if self.drainer is None:
            yield boot_time()
            return
        with self.drainer.merging:
            yield self.drainer.drained_until

    async def settle(self) -> None:
        """Wait, however long it takes, until all packets counted before the call are merged.

        The cache comes first: records that leave it during the drain are in the rings afterwards.
        """
        if self.drainer:
            await self.drainer.drain()
        for reader in self.readers:
            await reader.drain()

    async def flush(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until all packets counted before the call are merged.

        Merges that take longer continue: a merge cancelled halfway would count packets twice.
        """
        tasks = [asyncio.create_task(source.drain()) for source in self._sources]
        await asyncio.wait(tasks, timeout=timeout)


@asynccontextmanager
async def attributing(datapath: Datapath, sinks: Sequence[Sink]) -> AsyncIterator[Attribution]:
    """Read and drain into all of `sinks` while the context is open."""
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(len(datapath.rings) + 1, "merge"))
        attribution = Attribution(datapath, sinks, executor)
        for work in attribution.runs():
            await stack.enter_async_context(background(work))
        yield attribution
