"""All documents of the API as JSON, from the latest samples.

They are written in a thread of their own, one at a time, so that a scrape never waits for them.
Requests for the same document at the same time share it.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from pktexp.live.drops import drops
from pktexp.live.flows import Flows, Query
from pktexp.live.flowservices import FlowServices
from pktexp.live.history import History
from pktexp.live.interfaces import interfaces
from pktexp.live.past import past
from pktexp.live.readers import Readers
from pktexp.live.sample import Parts, Sample
from pktexp.live.sampler import Sampler
from pktexp.live.services import services
from pktexp.live.status import Status
from pktexp.tasks import background

log = logging.getLogger(__name__)

COMPRESSION = 1  # gzip's fastest, as for the metrics

Samples = Sequence[Sample]
Document = dict[str, Any]


@dataclass(frozen=True)
class Common:
    """The parts that all events of a sample share, already written."""

    sample: Sample
    parts: dict[str, orjson.Fragment]


class Live:
    """Writes the documents, and counts the readers of the stream."""

    def __init__(self, sampler: Sampler, status: Status, executor: Executor) -> None:
        self.sampler = sampler
        self.readers = Readers()
        self._status = status
        self._executor = executor
        self._flows = Flows(FlowServices(sampler.parts.cgroups))
        self._common: Common | None = None
        self._under_way: dict[Hashable, asyncio.Future[bytes]] = {}

    def status(self, samples: Samples) -> Document:
        """Build the answer to GET /status."""
        return self._status.document(samples, self.sampler, self.readers)

    def interfaces(self, samples: Samples) -> list[Document]:
        """Build the answer to GET /interfaces."""
        return interfaces(samples, self.sampler.known_links)

    def largest_flows(self, samples: Samples, query: Query) -> Document | None:
        """Build the answer to GET /flows; None with --flows off."""
        return self._flows(samples, query)

    def drops(self, samples: Samples, interface: str) -> Document:
        """Build the answer to GET /drops."""
        return drops(samples, interface)

    def services(self, samples: Samples, name: str) -> list[Document] | None:
        """Build the answer to GET /services; None if cgroups are not counted."""
        pods = self.sampler.parts.pods
        return services(samples, pods.by_uid if pods else {}, name)

    def past(self, samples: Samples, interface: str, seconds: int, step: int) -> Document:
        """Build the answer to GET /history."""
        known, history = self.sampler.known_links, self.sampler.history
        return past(history, samples[-1], known, interface, seconds, step)

    async def event(self, samples: Samples, query: Query) -> bytes:
        """Write an event of the stream, framed as a server-sent event."""
        key = ("event", query, samples[-1].at)
        return await self._shared(key, lambda: _framed(self._event(samples, query)))

    async def document(self, samples: Samples, query: Query) -> bytes:
        """Write an event of the stream as plain JSON."""
        key = ("document", query, samples[-1].at)
        return await self._shared(key, lambda: orjson.dumps(self._event(samples, query)))

    async def write(
        self, key: Hashable, document: Callable[[], Document | None], compress: bool = False
    ) -> bytes:
        """Write a document as JSON; requests with an equal `key` at one moment share it."""
        return await self._shared(key, lambda: _written(document(), compress))

    def _event(self, samples: Samples, query: Query) -> Document:
        common = self._common
        if common is None or common.sample is not samples[-1]:
            common = self._common = Common(samples[-1], self._same_for_all(samples))
        last, flows = samples[-1], self.largest_flows(samples, query)
        return {"now": last.now, "second": last.second, **common.parts, "flows": flows}

    def _same_for_all(self, samples: Samples) -> dict[str, orjson.Fragment]:
        documents = {
            "status": self.status(samples),
            "interfaces": self.interfaces(samples),
            "drops": self.drops(samples, "*")["drops"],
            "services": self.services(samples, "*"),
        }
        return {name: orjson.Fragment(orjson.dumps(x)) for name, x in documents.items()}

    async def _shared(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        if (task := self._under_way.get(key)) is None:
            task = asyncio.get_running_loop().run_in_executor(self._executor, make)
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        return await asyncio.shield(task)


@asynccontextmanager
async def watch(
    parts: Parts, status: Status, flush: Callable[[], Awaitable[None]]
) -> AsyncIterator[Live]:
    """Take samples in the background while the context is open."""
    history = History()
    log.info("history: at most %d KiB for %d interfaces", history.nbytes >> 10, history.limit)
    sampler = Sampler(parts, history, flush)
    async with AsyncExitStack() as stack:
        # Not among the threads for pages: a scrape would wait while many documents are written.
        executor = stack.enter_context(ThreadPoolExecutor(1, "api"))
        await stack.enter_async_context(background(sampler.run()))
        yield Live(sampler, status, executor)


def _written(document: Document | None, compress: bool) -> bytes:
    body = orjson.dumps(document)
    return gzip.compress(body, COMPRESSION) if compress else body


def _framed(document: Document) -> bytes:
    return b"event: sample\ndata: " + orjson.dumps(document) + b"\n\n"
