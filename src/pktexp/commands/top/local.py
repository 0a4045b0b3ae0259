"""Events without a service: loads its own programs, for as long as the body runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson

from pktexp.commands.top.events import Event, Query
from pktexp.live.documents import Live
from pktexp.live.flows import Query as FlowQuery
from pktexp.pipeline import counting, prepare
from pktexp.settings import Settings


@dataclass(frozen=True)
class Local:
    """What this process counts."""

    live: Live
    where: str = "this machine"

    async def events(self, query: Query) -> AsyncIterator[Event]:
        """As of the stream: the same documents."""
        wanted = FlowQuery(
            top=int(query["top"]),
            sort=query["sort"],
            interface=query.get("interface", "*"),
            direction=query.get("direction", ""),
            protocol="",
            search=query.get("search", ""),
        )
        taken = -1
        await self.live.sampler.now()
        while True:
            samples = await self.live.sampler.after(taken)
            taken = self.live.sampler.taken
            event: Event = orjson.loads(await self.live.document(samples, wanted))
            yield event


@asynccontextmanager
async def local(settings: Settings) -> AsyncIterator[Local]:
    """Attached while the body runs; PktexpError if it cannot start."""
    prepare()
    async with counting(settings) as counted:
        yield Local(counted.live)
