"""When samples are taken, and what of; the interfaces are made by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pytest

from pktexp.bpf.clock import boot_time
from pktexp.flows.attribution import Attribution
from pktexp.flows.table import FlowTable
from pktexp.interfaces.facts import DeviceDrops, InterfaceFacts
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.interfaces.tracker import Interfaces
from pktexp.live import flowtable
from pktexp.live import sampler as sampler_module
from pktexp.live.documents import Live
from pktexp.live.history import Group, History
from pktexp.live.sample import Parts
from pktexp.live.sampler import Sampler
from pktexp.live.status import Status
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction
from pktexp.packet.records import INTERFACE_COUNTERS
from pktexp.tasks import background
from support.patience import PATIENCE, until
from support.service.samples import TCP4, link


class OneInterface:
    """Stands in for Interfaces; raises while `failing`."""

    def __init__(self) -> None:
        self.lease = Lease("eth0", 7, 0)
        self.totals = np.zeros((1, len(Direction)), INTERFACE_COUNTERS)
        self.failing = False
        self.snapshots = 0
        self.delay = 0.0

    def lease_names(self) -> dict[int, str]:
        return {self.lease.id: self.lease.name}

    def links(self) -> list[Link]:
        return [link("eth0", ifindex=2_000_000)]

    def snapshot(self) -> Snapshot:
        if self.failing:
            raise OSError("failing")
        self.snapshots += 1
        time.sleep(self.delay)
        self.delay = 0.0
        # A hundred packets a second.
        self.totals["classes"]["packets"][0, Direction.INGRESS, TCP4] = boot_time() * 100
        return Snapshot([self.lease], self.totals, tuple(Direction), {})


class TimedFacts(InterfaceFacts):
    """Facts that record when netlink was asked."""

    asked = 0.0

    def device_drops(self, links: Sequence[Link]) -> list[DeviceDrops]:
        self.asked = boot_time()
        return super().device_drops(links)


class Drained:
    """Stands in for Attribution, with a flow cache that was drained a moment ago."""

    readers: Sequence[Any] = ()
    drainer = None

    @contextmanager
    def between_drains(self) -> Iterator[float]:
        yield boot_time()


class Rig:
    """A sampler over one interface; `flushes`: how often it drained."""

    def __init__(self, flows: FlowTable | None = None) -> None:
        self.interfaces = OneInterface()
        self.flushes = 0
        attribution = cast("Attribution", Drained()) if flows else None
        interfaces = cast("Interfaces", self.interfaces)
        self.facts = TimedFacts()
        parts = Parts(interfaces, attribution, flows, self.facts, None, None)
        self.sampler = Sampler(parts, History(), self.flush)

    async def flush(self) -> None:
        self.flushes += 1

    async def taken(self, more: int) -> None:
        """Wait for so many more samples."""
        end = self.sampler.taken + more
        await until(lambda: self.sampler.taken >= end)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_unwatched_sampler_drains_and_queries_nothing(rig: Rig) -> None:
    async with background(rig.sampler.run()):
        await rig.taken(2)
    assert rig.flushes == 0
    assert all(sample.details is None for sample in rig.sampler.samples)
    assert rig.sampler.history.interfaces == 1


async def test_request_gets_a_detailed_sample_at_once_and_each_second(rig: Rig) -> None:
    samples = await rig.sampler.now()
    assert samples
    assert samples[-1].details
    async with background(rig.sampler.run()):
        await rig.taken(2)
    assert all(sample.details for sample in rig.sampler.samples)
    assert rig.flushes == rig.sampler.taken


async def test_stream_yields_a_first_sample_and_then_each_full_second(rig: Rig) -> None:
    seconds: list[int | None] = []
    async with background(rig.sampler.run()), asyncio.timeout(PATIENCE):
        async for samples in rig.sampler.each_second():
            seconds.append(samples[-1].second)
            assert samples[-1].details
            await rig.sampler.now()  # for a request, between two seconds
            if len(seconds) == 4:
                break
    first, *full = seconds
    assert first is None
    assert all(second is not None for second in full)
    assert full == sorted(set(full), key=lambda second: second or 0)


async def test_stream_goes_on_after_a_stall_longer_than_samples_stay_detailed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with background(rig.sampler.run()), asyncio.timeout(PATIENCE):
        stream = rig.sampler.each_second()
        await anext(stream)
        monkeypatch.setattr(sampler_module, "WATCHED", 0.0)  # any wait is a stall
        following = asyncio.ensure_future(anext(stream))
        await rig.taken(1)
        monkeypatch.undo()
        samples = await following
    assert samples[-1].details


async def test_flows_are_read_for_a_first_request_while_nobody_watches() -> None:
    rig = Rig(flows=FlowTable(10))

    def read() -> list[int | None]:
        return [sample.second for sample in list(rig.sampler.samples) if sample.flows]

    async with background(rig.sampler.run()):
        await until(lambda: len(read()) >= 2)  # at the start, and in every fifth second
    assert rig.flushes == 0
    assert all((second or 0) % 5 == 0 for second in read()[1:])
    samples = await rig.sampler.now()
    assert samples
    assert flowtable.base(samples) is not None


async def test_simultaneous_requests_share_a_sample(rig: Rig) -> None:
    answers = await asyncio.gather(*(rig.sampler.now() for _ in range(50)))
    assert all(answers)
    assert rig.interfaces.snapshots == 1


async def test_sample_that_takes_long_still_answers_its_request(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler_module, "FRESH", 0.1)
    rig.interfaces.delay = 0.2
    assert await rig.sampler.now()


async def test_a_failure_is_counted_and_the_next_sample_is_taken(rig: Rig) -> None:
    rig.interfaces.failing = True
    assert await rig.sampler.now() is None
    assert rig.sampler.failures.count == 1
    async with background(rig.sampler.run()):
        await until(lambda: rig.sampler.failures.count >= 2)
        rig.interfaces.failing = False
        await rig.taken(1)


async def test_slow_queries_follow_the_counters_and_their_time(rig: Rig) -> None:
    samples = await rig.sampler.now()
    assert samples
    assert samples[-1].at <= rig.facts.asked


async def test_late_sample_stands_for_all_missed_seconds(rig: Rig) -> None:
    async with background(rig.sampler.run()):
        await rig.taken(2)
        rig.interfaces.delay = 3.2
        await rig.taken(3)
    rates = rig.sampler.history.read(rig.interfaces.lease.id, 10)
    assert rates is not None
    received = rates[Direction.INGRESS, Group.TCP, 0]
    assert np.nanmin(received) > 0
    # Seconds are whole, and a sample may come at any time within its own: at most two for one.
    assert np.nanmax(received) < 250


async def test_interface_gone_for_all_the_history_leaves_it(rig: Rig) -> None:
    async with background(rig.sampler.run()):
        await rig.taken(1)
        assert rig.sampler.history.interfaces == 1
        rig.interfaces.lease.gone_since = -1e9
        await rig.taken(2)
        assert rig.sampler.history.interfaces == 0


async def test_simultaneous_requests_share_a_document(rig: Rig) -> None:
    written = []

    def document() -> dict[str, Any]:
        written.append(1)
        return {"a": 1}

    with ThreadPoolExecutor(1) as executor:
        live = Live(rig.sampler, cast("Status", None), executor)
        answers = await asyncio.gather(*(live.write("key", document) for _ in range(50)))
        assert set(answers) == {b'{"a":1}'}
        assert len(written) == 1
        await live.write("key", document)
        assert len(written) == 2
