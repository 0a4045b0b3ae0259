"""A reader of a real ring in this process, with merges that succeed, fail and take long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from pktexp.flows.attribution import attributing
from pktexp.flows.table import FlowTable
from pktexp.packet.records import Records
from support.kernel.datapath import SLOT, Bench
from support.packets.cases import ETHER, V4
from support.patience import until

FRAME = bytes(ETHER / V4)


def counted(flows: FlowTable) -> tuple[int, int]:
    """(packets of shown flows, packets of other)."""
    snapshot = flows.snapshot([SLOT])
    return int(snapshot.packets.sum()), sum(t.packets for t in snapshot.others.values())


async def test_flush_merges_events_that_came_before_it(bench: Callable[..., Bench]) -> None:
    b = bench()
    flows = FlowTable(10)
    async with attributing(b.datapath, [flows]) as attribution:
        reader = attribution.readers[0]
        await asyncio.sleep(0)
        assert attribution.alive
        b.datapath.test_run(FRAME, 100)
        await attribution.flush(10)
        assert counted(flows) == (100, 0)
        assert (reader.merger.records, reader.unread) == (100, 0)
    assert not attribution.alive


async def test_timer_merges_a_single_event(bench: Callable[..., Bench]) -> None:
    b = bench()
    flows = FlowTable(10)
    async with attributing(b.datapath, [flows]) as attribution:
        reader = attribution.readers[0]
        b.datapath.test_run(FRAME)
        await until(lambda: reader.merger.records)
        assert reader.wakeups == 0
    assert counted(flows) == (1, 0)


async def test_ring_is_read_around_its_end_many_times(bench: Callable[..., Bench]) -> None:
    b = bench(ring_size=4096)
    flows = FlowTable(10)
    async with attributing(b.datapath, [flows]) as attribution:
        for _ in range(50):
            b.datapath.test_run(FRAME, 37)
            await attribution.flush(10)
    assert counted(flows) == (50 * 37, 0)


async def test_batch_that_cannot_be_merged_counts_as_other(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Records) -> None:
        raise MemoryError("no room")

    b = bench()
    flows = FlowTable(10)
    async with attributing(b.datapath, [flows]) as attribution:
        with monkeypatch.context() as patched:
            patched.setattr(flows, "merge", refuse)
            b.datapath.test_run(FRAME, 5)
            await attribution.flush(10)
        b.datapath.test_run(FRAME, 7)
        await attribution.flush(10)
        assert attribution.readers[0].merger.failures.count == 1
        assert attribution.alive
    assert counted(flows) == (7, 5)
    assert "no room" in caplog.text


async def test_flush_neither_waits_for_a_long_merge_nor_counts_twice(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    b, may_go_on = bench(), threading.Event()
    flows = FlowTable(10)
    async with attributing(b.datapath, [flows]) as attribution:
        merge = flows.merge

        def wait_and_merge(batch: Records) -> None:
            may_go_on.wait(30)
            merge(batch)

        monkeypatch.setattr(flows, "merge", wait_and_merge)
        b.datapath.test_run(FRAME, 5)
        await attribution.flush(0.01)
        assert counted(flows) == (0, 0)  # it returned, and the merge still waits
        may_go_on.set()
        await attribution.flush(10)
        assert counted(flows) == (5, 0)
