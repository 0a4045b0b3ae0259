"""Takes a sample each second, for the history and for rates.

While nobody watches, a sample reads the mapped counters, and every few seconds the flows as the
latest drain left them. While somebody watches, the flow cache is drained each second, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from pktexp.bpf.clock import boot_time
from pktexp.failures import FailureCounter
from pktexp.live.history import SECONDS, History, grouped
from pktexp.live.sample import Parts, Sample, take
from pktexp.netlink.linkinfo import Link
from pktexp.tasks import to_its_end

log = logging.getLogger(__name__)

WATCHED = 10.0  # seconds after a request during which samples are detailed
FRESH = 1.5  # seconds during which a sample answers requests
KEPT = 12  # samples: two with flows while nobody watches, and some taken for requests
FLOWS = 5  # seconds between two readings of flows while nobody watches: the timer of drains


class Sampler:
    """Keeps the latest `samples`, newest last; its counters only grow."""

    def __init__(
        self, parts: Parts, history: History, flush: Callable[[], Awaitable[None]]
    ) -> None:
        self.parts = parts
        self._flush = flush
        self._lock = asyncio.Lock()
        self._taken = asyncio.Condition()
        self._watched_until = 0.0
        self.history = history
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.known_links: dict[str, Link] = {}
        """by name; includes interfaces that are gone, while their leases last"""
        self.taken = 0
        self.failures = FailureCounter(log)
        self.seconds = 0.0

    async def run(self) -> None:
        """Sample at each full second since the boot, until cancelled; a missed second is a gap."""
        second = int(boot_time())
        while True:
            second = max(second, int(boot_time())) + 1
            await asyncio.sleep(second - boot_time())
            await to_its_end(self._take(second))

    async def now(self) -> list[Sample] | None:
        """Return the latest samples, the last one detailed and fresh; None if sampling failed."""
        self._watched_until = time.monotonic() + WATCHED
        asked = boot_time()
        if not self._fresh(asked):
            await to_its_end(self._take(None))
        return list(self.samples) if self._fresh(asked) else None

    async def each_second(self) -> AsyncIterator[list[Sample]]:
        """Yield the latest samples at once, then at each full second, the last one detailed."""
        second = -1
        if samples := await self.now():
            second = int(samples[-1].at)
            yield samples

        def due() -> list[Sample]:
            # At each sample: after a longer stall the next one must be detailed again.
            self._watched_until = time.monotonic() + WATCHED
            return self._until_second(second)

        while True:
            async with self._taken:
                samples = await self._taken.wait_for(due)
            second = samples[-1].second or second
            yield samples

    def _until_second(self, after: int) -> list[Sample]:
        """Return the samples up to the latest full second; [] unless it is fresh and later.

        Samples taken for requests after it are left out.
        """
        samples = list(self.samples)
        while samples and samples[-1].second is None:
            samples.pop()
        last = samples[-1] if samples else None
        usable = last and last.details and (last.second or 0) > after
        return samples if usable and self._fresh(boot_time()) else []

    def _fresh(self, at: float) -> bool:
        """Return whether the last sample answers a request that came at `at` (boot time)."""
        last = self.samples[-1] if self.samples else None
        return bool(last and last.details and at - last.at < FRESH)

    async def _take(self, second: int | None) -> None:
        """Sample for a second of the history, or for requests, which share one sample."""
        async with self._lock:
            if second is None and self._fresh(boot_time()):
                return
            if watched := time.monotonic() < self._watched_until:
                await self._flush()
            await asyncio.to_thread(self._sample, second, watched)
        async with self._taken:
            self._taken.notify_all()

    def _sample(self, second: int | None, watched: bool) -> None:
        started = time.thread_time()
        with self.failures.suppressed("failed to take a sample, leaving a gap"):
            flows = watched or self._due(second)
            sample = take(self.parts, flows=flows, details=watched, second=second)
            self._remember(sample.links)
            if second is not None:
                self._add(sample.second or second, sample)
            self.samples.append(sample)
            self.taken += 1
        self.seconds += time.thread_time() - started

    def _due(self, second: int | None) -> bool:
        """Return whether flows are read for later rates: at the start, and every FLOWS seconds."""
        known = any(sample.flows for sample in self.samples)
        return not known or (second or 0) % FLOWS == 0

    def _remember(self, links: dict[str, Link]) -> None:
        names = self.parts.interfaces.lease_names().values()
        found = {name: links.get(name) or self.known_links.get(name) for name in names}
        self.known_links = {name: link for name, link in found.items() if link}

    def _add(self, second: int, sample: Sample) -> None:
        """Add a sample to the history; interfaces gone for all of it make room for others."""
        now = time.monotonic()
        rows = [
            row
            for row, lease in enumerate(sample.leases)
            if lease.gone_since is None or now - lease.gone_since < SECONDS
        ]
        ids = [sample.leases[row].id for row in rows]
        self.history.add(second, ids, grouped(sample.classes[rows]))
