"""Takes batches of records into the sums that are kept (flows.py, networksums.py), and counts them.

Called by reader.py and drainer.py from worker threads; each has a merger of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from pktexp.failures import FailureCounter
from pktexp.packet.records import Records

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes each batch by one of these."""

    def merge(self, batch: Records) -> None:
        """Add each record to what it belongs to."""

    def fold(self, batch: Records) -> None:
        """Add all of it to `other`."""


class Merger:
    """Counters only grow. Not to be called from two threads at a time."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self.records = 0
        self.batches = 0
        self.largest_batch = 0
        self.seconds = 0.0
        self.failures = FailureCounter(log)

    def __call__(self, batch: Records) -> None:
        """Merge a batch; what can't be merged counts as other, and nothing is raised."""
        started = time.perf_counter()
        for sink in self._sinks:
            self._merge(sink, batch)
        self.records += len(batch)
        self.batches += 1
        self.largest_batch = max(self.largest_batch, len(batch))
        self.seconds += time.perf_counter() - started

    def _merge(self, sink: Sink, batch: Records) -> None:
        with self.failures.suppressed(
            "failed to merge a batch of %d records, counting it as other", len(batch)
        ):
            sink.merge(batch)
            return
        sink.fold(batch)
