"""All documents of the API as JSON, from the latest samples; made by assembly.py for web/.

They are written in a thread of their own, one at a time, so that a scrape never waits for a thread
because of them. Who asks for the same document at the same time shares it.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import orjson

from pktexp.live.drops import drops
from pktexp.live.flows import Flows, Query
from pktexp.live.interfaces import interfaces
from pktexp.live.past import past
from pktexp.live.readers import Readers
from pktexp.live.sample import Sample
from pktexp.live.sampler import Sampler
from pktexp.live.status import Status

COMPRESSION = 1  # gzip's fastest, as for the metrics

Samples = Sequence[Sample]
Document = dict[str, Any]


@dataclass(frozen=True)
class Common:
    """What is the same in every event of a sample, written."""

    sample: Sample
    parts: dict[str, orjson.Fragment]


class Live:
    """The documents, and who reads them each second."""

    def __init__(self, sampler: Sampler, status: Status, executor: Executor) -> None:
        self.sampler = sampler
        self.readers = Readers()
        self._status = status
        self._executor = executor
        self._heaviest = Flows()
        self._common: Common | None = None
        self._under_way: dict[Hashable, asyncio.Future[bytes]] = {}

    def status(self, samples: Samples) -> Document:
        """GET /status."""
        return self._status.document(samples, self.sampler, self.readers)

    def interfaces(self, samples: Samples) -> list[Document]:
        """GET /interfaces, all of them."""
        return interfaces(samples, self.sampler.known_links)

    def heaviest(self, samples: Samples, query: Query) -> Document | None:
        """GET /flows; None with --flows off."""
        return self._heaviest(samples, query)

    def drops(self, samples: Samples, interface: str) -> Document:
        """GET /drops."""
        return drops(samples, interface)

    def past(self, samples: Samples, interface: str, seconds: int, step: int) -> Document:
        """GET /history."""
        known, history = self.sampler.known_links, self.sampler.history
        return past(history, samples[-1], known, interface, seconds, step)

    async def event(self, samples: Samples, query: Query) -> bytes:
        """What the stream pushes, framed as a server-sent event."""
        key = ("event", query, samples[-1].at)
        return await self._shared(key, lambda: _framed(self._event(samples, query)))

    async def document(self, samples: Samples, query: Query) -> bytes:
        """The same, unframed."""
        key = ("document", query, samples[-1].at)
        return await self._shared(key, lambda: orjson.dumps(self._event(samples, query)))

    async def write(
        self, key: Hashable, document: Callable[[], Document | None], compress: bool = False
    ) -> bytes:
        """A document as JSON; `key`: the same for those who would get the same at this moment."""
        return await self._shared(key, lambda: _written(document(), compress))

    def _event(self, samples: Samples, query: Query) -> Document:
        common = self._common
        if common is None or common.sample is not samples[-1]:
            common = self._common = Common(samples[-1], self._same_for_all(samples))
        flows = self.heaviest(samples, query)
        return {"now": samples[-1].now, **common.parts, "flows": flows}

    def _same_for_all(self, samples: Samples) -> dict[str, orjson.Fragment]:
        documents = {
            "status": self.status(samples),
            "interfaces": self.interfaces(samples),
            "drops": self.drops(samples, "*")["drops"],
        }
        return {name: orjson.Fragment(orjson.dumps(x)) for name, x in documents.items()}

    async def _shared(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        if (task := self._under_way.get(key)) is None:
            task = asyncio.get_running_loop().run_in_executor(self._executor, make)
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        return await asyncio.shield(task)


def _written(document: Document | None, compress: bool) -> bytes:
    body = orjson.dumps(document)
    return gzip.compress(body, COMPRESSION) if compress else body


def _framed(document: Document) -> bytes:
    return b"event: sample\ndata: " + orjson.dumps(document) + b"\n\n"
