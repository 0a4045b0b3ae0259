"""Scrapes while packets come and the flow cache is drained; the cache is a stand-in."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pktexp.bpf.datapath import Datapath
from pktexp.flows.attribution import Attribution
from pktexp.flows.table import FlowTable
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.metrics.flows import FlowPage
from pktexp.metrics.traffic import TrafficPage
from pktexp.packet.enums import Direction, IpClass, PacketClass
from pktexp.packet.records import FLOW_SLOT, INTERFACE_COUNTERS, Records
from pktexp.web.app import Source, make_app
from pktexp.web.security import Security
from support.service.process import Page, parse, total

LEASE = Lease("eth0", 7, 7)
UDP = PacketClass.IPV4 + IpClass.UDP
FLOWS, SHOWN = 8, 3  # some flows lose their places, or never have one
TURNS = 6  # of the event loop: requests reach different points in them

STEPS = st.one_of(
    st.tuples(st.just("count"), st.integers(0, FLOWS - 1), st.integers(1, 1000)),
    st.tuples(st.just("scrape"), st.booleans()),
    st.tuples(st.just("drain")),
    st.tuples(st.just("wait"), st.integers(1, TURNS)),
)


class Kernel:
    """Totals, and a flow cache of two halves."""

    turned_at = 0.0

    def __init__(self) -> None:
        self.counters: Any = np.zeros((1, len(Direction)), INTERFACE_COUNTERS)
        self._halves: list[dict[int, int]] = [{}, {}]
        self._epoch = 0
        self._lock = threading.Lock()
        self.packets = 0

    def count(self, flow: int, packets: int) -> None:
        with self._lock:
            self.packets += packets
            self.counters["classes"][0, Direction.INGRESS, UDP]["packets"] += packets
            half = self._halves[self._epoch]
            half[flow] = half.get(flow, 0) + packets

    def drain(self) -> Iterator[Records]:
        with self._lock:
            old, self._epoch = self._epoch, self._epoch ^ 1
            found, self._halves[old] = self._halves[old], {}
        for flow, packets in found.items():  # each is a batch, so that merging is interrupted
            batch = np.zeros(1, FLOW_SLOT)
            batch["flow"]["interface"], batch["flow"]["packet_class"] = LEASE.id, UDP
            batch["flow"]["saddr"][:, :4] = 10, 0, 0, flow
            batch["flow"]["packets"] = batch["flow"]["bytes"] = packets
            yield batch

    def lease_names(self) -> dict[int, str]:
        return {LEASE.id: LEASE.name}

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot([LEASE], self.counters.copy(), tuple(Direction), {})


async def run(steps: list[Any]) -> list[tuple[int, Page]]:
    """Take the steps; return pages as they were answered, with the packets before the request."""
    kernel, table = Kernel(), FlowTable(SHOWN)
    answered: list[tuple[int, Page]] = []
    with ThreadPoolExecutor(2) as executor:
        parts = SimpleNamespace(rings=[], flow_cache=kernel)
        attribution = Attribution(cast("Datapath", parts), [table], executor)
        assert attribution.drainer
        numbers = itertools.count()
        pages: list[Callable[[bool], str]] = [
            lambda _: f"number {next(numbers)}\n",
            FlowPage(kernel, table),
            TrafficPage(kernel),
        ]
        source = Source(CollectorRegistry(), pages, [], attribution.settle, str)
        app = make_app(source, Security(None), "/metrics")
        async with TestClient(TestServer(app)) as client:

            async def scrape() -> None:
                before = kernel.packets
                text = await (await client.get("/metrics")).text()
                answered.append((before, parse(text)))

            tasks = []
            for name, *arguments in [*steps, ("scrape", True)]:
                if name == "count":
                    kernel.count(*arguments)
                elif name == "wait":
                    for _ in range(*arguments):
                        await asyncio.sleep(0)
                else:
                    work = scrape() if name == "scrape" else attribution.drainer.drain()
                    tasks.append(asyncio.create_task(work))
                    if arguments == [True]:
                        await tasks[-1]
            await asyncio.gather(*tasks)
    return answered


@given(st.lists(STEPS, max_size=40))
@settings(deadline=None, max_examples=40)
def test_pages_have_all_that_was_counted_and_counters_only_grow(steps: list[Any]) -> None:
    answered = asyncio.run(run(steps))
    for before, page in answered:
        attributed = total(page, "pktexp_flow_packets_total")
        assert before <= attributed <= total(page, "pktexp_packets_total")
    ordered = sorted((page for _, page in answered), key=lambda page: total(page, "number"))
    for former, latter in itertools.pairwise(ordered):
        fallen = {key for key in former.keys() & latter.keys() if latter[key] < former[key]}
        assert not fallen
