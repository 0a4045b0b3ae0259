"""Takes a sample (sample.py) each second, for the history (history.py) and the rates (rates.py).

Without anybody who watches, it reads the mapped counters and nothing else. While somebody does, the
flow cache is drained each second too, as rates of flows need it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable

from pktexp.live.history import SECONDS, History, grouped
from pktexp.live.sample import Parts, Sample, boot_time, take
from pktexp.netlink.linkinfo import Link
from pktexp.tasks import to_its_end

log = logging.getLogger(__name__)

WATCHED = 10.0  # seconds that somebody who asked is taken to be interested
FRESH = 1.5  # seconds for which a sample does for whoever asks
KEPT = 8  # samples: those of five seconds, and some that were asked for between them


class Sampler:
    """`samples`: the latest ones, the last of them now. `failures` and the like only grow."""

    def __init__(
        self, parts: Parts, history: History, flush: Callable[[], Awaitable[None]]
    ) -> None:
        self._parts = parts
        self._flush = flush
        self._lock = asyncio.Lock()
        self._taken = asyncio.Condition()
        self._watched_until = 0.0
        self.history = history
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.known_links: dict[str, Link] = {}
        """also of interfaces that are gone, for as long as their counters stay"""
        self.taken = 0
        self.failures = 0
        self.seconds = 0.0

    async def run(self) -> None:
        """Sample at each full second since the boot, until cancelled; a missed one is a gap."""
        second = int(boot_time())
        while True:
            second = max(second, int(boot_time())) + 1
            await asyncio.sleep(second - boot_time())
            await to_its_end(self._take(second))

    async def now(self) -> list[Sample] | None:
        """The latest samples, the last of them detailed and fresh; None if none could be taken."""
        self._watched_until = time.monotonic() + WATCHED
        if not self._fresh():
            await to_its_end(self._take(None))
        return list(self.samples) if self._fresh() else None

    async def after(self, taken: int) -> list[Sample]:
        """As `now`, as soon as more than so many samples have been taken."""
        self._watched_until = time.monotonic() + WATCHED
        async with self._taken:
            await self._taken.wait_for(lambda: self.taken > taken and self._fresh())
        return list(self.samples)

    def _fresh(self) -> bool:
        last = self.samples[-1] if self.samples else None
        return bool(last and last.details and boot_time() - last.at < FRESH)

    async def _take(self, second: int | None) -> None:
        """For a second of the history, or for somebody who waits: many of them share one."""
        async with self._lock:
            if second is None and self._fresh():
                return
            if watched := time.monotonic() < self._watched_until:
                await self._flush()
            await asyncio.to_thread(self._sample, second, watched)
        async with self._taken:
            self._taken.notify_all()

    def _sample(self, second: int | None, watched: bool) -> None:
        started = time.thread_time()
        try:
            sample = take(self._parts, watched)
            self._remember(sample.links)
            if second is not None:
                self._add(second, sample)
            self.samples.append(sample)
            self.taken += 1
        except Exception as error:
            self.failures += 1
            debug = log.isEnabledFor(logging.DEBUG)
            log.error("a sample could not be taken: %s", error, exc_info=debug)
        self.seconds += time.thread_time() - started

    def _remember(self, links: dict[str, Link]) -> None:
        names = self._parts.interfaces.lease_names().values()
        found = {name: links.get(name) or self.known_links.get(name) for name in names}
        self.known_links = {name: link for name, link in found.items() if link}

    def _add(self, second: int, sample: Sample) -> None:
        """Interfaces that were gone all the while make room in the history for others.

        A late sample is of the second in which its counters were read.
        """
        now = time.monotonic()
        rows = [
            row
            for row, lease in enumerate(sample.leases)
            if lease.gone_since is None or now - lease.gone_since < SECONDS
        ]
        ids = [sample.leases[row].id for row in rows]
        self.history.add(max(second, int(sample.at)), ids, grouped(sample.tallies[rows]))
