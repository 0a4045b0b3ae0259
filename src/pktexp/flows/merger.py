"""Merge batches of records into sinks, the tables and sums of this layer, and count them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from pktexp.failures import FailureCounter
from pktexp.packet.records import Records

log = logging.getLogger(__name__)


class Sink(Protocol):
    """A table or sum that records are added to, a batch at a time, from several threads."""

    def merge(self, batch: Records) -> None:
        """Add each record of the batch to its flow or network."""

    def fold(self, batch: Records) -> None:
        """Add the whole batch to `other`."""


class Merger:
    """Merges batches into all sinks. Call it from one thread at a time; its counters only grow."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self.records = 0
        self.batches = 0
        self.largest_batch = 0
        self.seconds = 0.0
        self.failures = FailureCounter(log)

    def __call__(self, batch: Records) -> None:
        """Merge a batch; in a sink that fails it counts as other. Nothing is raised."""
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
