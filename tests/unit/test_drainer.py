"""Drains on the timer, on request, and drains that fail; the flow cache is a stand-in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import pytest

from pktexp.bpf.flowcache import FlowCache
from pktexp.bpf.libbpf import BpfError
from pktexp.flows import drainer as drainer_module
from pktexp.flows.drainer import Drainer
from pktexp.flows.merger import Merger
from pktexp.flows.table import FlowTable
from pktexp.packet.records import FLOW_SLOT, Records
from pktexp.tasks import background
from support.patience import until


class Cache:
    """Yields one packet for each drain, once `may_go_on` is set; its clock counts the drains."""

    @property
    def turned_at(self) -> float:
        return float(self.drains)

    def __init__(self) -> None:
        self.drains = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.error: Exception | None = None

    def drain(self) -> Iterator[Records]:
        self.drains += 1
        self.may_go_on.wait(30)
        if self.error:
            raise self.error
        batch = np.zeros(1, FLOW_SLOT)
        batch["flow"]["interface"], batch["flow"]["packets"] = 7, 1
        yield batch


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
async def drainer(cache: Cache) -> AsyncIterator[Drainer]:
    with ThreadPoolExecutor(1) as executor:
        yield Drainer(cast("FlowCache", cache), Merger([FlowTable(10)]), executor)


async def test_drain_merges_the_records_of_the_cache(drainer: Drainer) -> None:
    await drainer.drain()
    assert (drainer.drains, drainer.failures.count, drainer.merger.records) == (1, 0, 1)
    assert drainer.drained_until == 1


async def test_timer_drains_the_cache(monkeypatch: pytest.MonkeyPatch, drainer: Drainer) -> None:
    monkeypatch.setattr(drainer_module, "INTERVAL", 0.001)
    async with background(drainer.run()):
        await until(lambda: drainer.drains >= 3)


async def test_callers_during_a_drain_share_the_next_one(cache: Cache, drainer: Drainer) -> None:
    cache.may_go_on.clear()
    first = asyncio.create_task(drainer.drain())
    await until(lambda: cache.drains == 1)
    later = [asyncio.create_task(drainer.drain()) for _ in range(50)]
    await asyncio.sleep(0)  # each task runs until it waits for its drain
    cache.may_go_on.set()
    await asyncio.gather(first, *later)
    assert cache.drains == 2  # the first may miss packets that were counted before the later calls


async def test_cancelled_caller_does_not_end_a_shared_drain(cache: Cache, drainer: Drainer) -> None:
    cache.may_go_on.clear()
    waiting = [asyncio.create_task(drainer.drain()) for _ in range(2)]
    await until(lambda: cache.drains == 1)
    waiting[0].cancel()
    cache.may_go_on.set()
    await waiting[1]
    assert (drainer.drains, drainer.merger.records) == (1, 1)


async def test_failed_drain_is_counted_and_the_next_one_runs(
    cache: Cache, drainer: Drainer, caplog: pytest.LogCaptureFixture
) -> None:
    cache.error = BpfError(12, "register a ring buffer")
    await drainer.drain()
    cache.error = None
    await drainer.drain()
    assert (drainer.drains, drainer.failures.count, drainer.merger.records) == (2, 1, 1)
    assert drainer.drained_until == 2
    assert "failed to drain the flow cache, retrying: register a ring buffer: " in caplog.text
    assert "register a ring buffer: Cannot allocate memory" in caplog.text
