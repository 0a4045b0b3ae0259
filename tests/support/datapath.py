"""A datapath with its views, and readings of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pktexp import labels
from pktexp.kernel.counters import Counters, InterfaceTable
from pktexp.kernel.datapath import Datapath
from pktexp.kernel.records import Records

LOOPBACK = 1  # the ifindex under which BPF_PROG_TEST_RUN runs XDP programs
SLOT = 5


@dataclass
class Bench:
    datapath: Datapath
    table: InterfaceTable
    counters: Counters

    def totals(self) -> Records:
        return self.counters.read(np.array([SLOT]))

    def traffic(self) -> dict[tuple[str, str], tuple[int, int]]:
        tallies = self.totals()[0]["classes"]
        seen = np.flatnonzero(tallies["packets"]).tolist()
        return {
            labels.CLASSES[i]: (int(tallies[i]["packets"]), int(tallies[i]["bytes"])) for i in seen
        }

    def unparsed(self) -> dict[str, int]:
        counts = self.totals()[0]["unparsed"]
        return {labels.UNPARSED[i]: int(counts[i]) for i in np.flatnonzero(counts).tolist()}

    def events(self) -> Records:
        """Takes everything out of the rings."""
        batches = []
        for ring in self.datapath.rings:
            batch = ring.batch(ring.produced)
            batches.append(batch["info"].copy())
            ring.release(batch)
        return np.concatenate(batches)
