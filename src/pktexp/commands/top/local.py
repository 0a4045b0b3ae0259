"""Events counted by this process, with BPF programs of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson

from pktexp.commands.top.events import Event, Query
from pktexp.live.documents import Live
from pktexp.live.flows import Query as FlowQuery
from pktexp.pipeline import prepare, running
from pktexp.settings import Settings


@dataclass(frozen=True)
class Local:
    """Events of this process's own pipeline."""

    live: Live
    where: str = "this machine"

    async def events(self, query: Query) -> AsyncIterator[Event]:
        """Yield the same documents as the stream of a service."""
        wanted = FlowQuery(
            top=int(query["top"]),
            sort=query["sort"],
            interface=query.get("interface", "*"),
            direction=query.get("direction", ""),
            protocol="",
            search=query.get("search", ""),
            view=query.get("view", "flows"),
        )
        async for samples in self.live.sampler.each_second():
            event: Event = orjson.loads(await self.live.document(samples, wanted))
            yield event


@asynccontextmanager
async def local(settings: Settings) -> AsyncIterator[Local]:
    """Run the pipeline while the context is open. Raises PktexpError if it cannot start."""
    prepare(settings)
    async with running(settings) as pipeline:
        yield Local(pipeline.live)
