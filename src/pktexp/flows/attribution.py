"""Whose packets they were: the rings' readers and the cache's drainer, filling the sums.

Put together here for service.py; metrics.py and selfmetrics.py show what comes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from pktexp.bpf.datapath import Datapath
from pktexp.flows.drainer import Drainer
from pktexp.flows.merger import Merger, Sink
from pktexp.flows.reader import Reader
from pktexp.tasks import background


class Attribution:
    """One reader a ring; a drainer unless each packet is an event."""

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
        """Whether every reader reads."""
        return all(reader.alive for reader in self.readers)

    def runs(self) -> list[Coroutine[None, None, None]]:
        """What is to run in the background."""
        return [source.run() for source in self._sources]

    async def settle(self) -> None:
        """Wait until all that has been counted by now is merged, however long it takes.

        The cache comes first: what leaves it meanwhile is in the rings afterwards.
        """
        if self.drainer:
            await self.drainer.drain()
        for reader in self.readers:
            await reader.drain()

    async def flush(self, timeout: float) -> None:
        """Wait until all that has been counted by now is merged, at most `timeout` seconds.

        What isn't done by then goes on by itself: a merge cancelled halfway would count twice.
        """
        tasks = [asyncio.create_task(source.drain()) for source in self._sources]
        await asyncio.wait(tasks, timeout=timeout)


@asynccontextmanager
async def attributing(datapath: Datapath, sinks: Sequence[Sink]) -> AsyncIterator[Attribution]:
    """Reads and drains beside the body, into all of `sinks`."""
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(len(datapath.rings) + 1, "merge"))
        attribution = Attribution(datapath, sinks, executor)
        for work in attribution.runs():
            await stack.enter_async_context(background(work))
        yield attribution
