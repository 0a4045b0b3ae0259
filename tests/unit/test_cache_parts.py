"""Drains of the flow cache skip the CPUs on which no flow was added, and lose nothing."""

from __future__ import annotations

import numpy as np
import pytest

from pktexp.bpf.flowcache import HALVES, FlowCache
from pktexp.packet.records import CACHE_MISSES, EPOCH, FLOW_SET, Records

CPUS, SETS = 3, 2


class Kernel:
    """The arrays of a cache, and programs that add flows to it."""

    def __init__(self) -> None:
        self.epoch: Records = np.zeros(1, EPOCH)
        self.sets = np.zeros((CPUS, HALVES, SETS), FLOW_SET)
        self.misses = np.zeros(CPUS, CACHE_MISSES)
        self.late: list[int] = []
        """CPUs on which a flow comes while a drain waits for the programs"""
        self.error: OSError | None = None
        self.cache = FlowCache(self.epoch, self.sets, self.misses, self._wait)

    def add(self, cpu: int, *, miss: bool = True) -> None:
        self.sets[cpu, int(self.epoch[0]), 0]["ways"]["flow"]["packets"][0] += 1
        self.misses["packets"][cpu] += miss

    def drain(self) -> int:
        return sum(int(batch["flow"]["packets"].sum()) for batch in self.cache.drain())

    def _wait(self) -> None:
        for cpu in self.late:
            self.add(cpu)
        if self.error:
            raise self.error


@pytest.fixture
def kernel() -> Kernel:
    """A cache that was drained twice, so that both halves are known to be empty."""
    made = Kernel()
    made.drain()
    made.drain()
    return made


def test_flows_of_an_earlier_process_are_drained() -> None:
    kernel = Kernel()
    kernel.sets[:, :, 1]["ways"]["flow"]["packets"] = 1
    assert [kernel.drain(), kernel.drain(), kernel.drain()] == [CPUS * 4, CPUS * 4, 0]


def test_only_cpus_with_misses_are_read(kernel: Kernel) -> None:
    kernel.add(0)
    kernel.add(1, miss=False)  # no program does so
    assert kernel.drain() == 1


def test_flow_added_during_a_drain_is_in_the_next_one(kernel: Kernel) -> None:
    kernel.late = [2]
    assert kernel.drain() == 0
    kernel.late = []
    assert kernel.drain() == 1
    assert kernel.drain() == 0


def test_flows_around_a_failed_drain_are_drained(kernel: Kernel) -> None:
    kernel.add(0)
    kernel.late, kernel.error = [1], OSError(12, "no memory")
    with pytest.raises(OSError, match="no memory"):
        kernel.drain()
    assert not kernel.cache.epochs.clean
    kernel.late, kernel.error = [], None
    assert [kernel.drain(), kernel.drain(), kernel.drain()] == [1, 1, 0]


def test_parts_left_by_an_abandoned_drain_are_drained_later(kernel: Kernel) -> None:
    for cpu in range(CPUS):
        kernel.add(cpu)
    assert len(next(kernel.cache.drain())) == 1
    assert kernel.drain() == 0  # the other half
    assert not kernel.cache.epochs.clean
    assert kernel.drain() == CPUS - 1
    kernel.drain()
    assert kernel.cache.epochs.clean
