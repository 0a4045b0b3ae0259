"""Takes batches of records into the flow table (flows.py), and counts what it took.

Called by reader.py and drainer.py from worker threads; each has an intake of its own.
"""

from __future__ import annotations

import logging
import time

from pktexp.flows import FlowTable
from pktexp.kernel.records import Records

log = logging.getLogger(__name__)


class Intake:
    """Counters only grow. Not to be called from two threads at a time."""

    def __init__(self, flows: FlowTable) -> None:
        self._flows = flows
        self.records = 0
        self.batches = 0
        self.largest_batch = 0
        self.seconds = 0.0
        self.failures = 0

    def __call__(self, batch: Records) -> None:
        """Merge a batch; what can't be merged counts as other, and nothing is raised."""
        started = time.perf_counter()
        try:
            self._flows.merge(batch)
        except Exception as error:
            self.failures += 1
            debug = log.isEnabledFor(logging.DEBUG)
            log.error(
                "a batch of %d records counts as other: %s", len(batch), error, exc_info=debug
            )
            self._flows.fold(batch)
        self.records += len(batch)
        self.batches += 1
        self.largest_batch = max(self.largest_batch, len(batch))
        self.seconds += time.perf_counter() - started
