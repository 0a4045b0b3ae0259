"""Counters by size, CPU and slot, and events that a full ring loses."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from pktexp.bpf import datapath as datapath_module
from pktexp.bpf.counters import chunk_shape
from pktexp.packet.enums import LinkType
from pktexp.packet.records import INTERFACE_COUNTERS, SIZE_BUCKETS
from support.kernel.datapath import LOOPBACK, Bench
from support.kernel.features import LARGEST_RUN, needs_multi_buffer_xdp
from support.packets.cases import ETHER, V4, sizes
from support.patience import joined

FRAME = bytes(ETHER / V4)


def run_on(cpu: int, bench: Bench, repeat: int) -> None:
    os.sched_setaffinity(0, {cpu})
    bench.datapath.test_run(FRAME, repeat)


def run_on_all_cpus(bench: Bench, repeat: int) -> int:
    cpus = sorted(os.sched_getaffinity(0))
    threads = [threading.Thread(target=run_on, args=(cpu, bench, repeat)) for cpu in cpus]
    for thread in threads:
        thread.start()
    joined(*threads)
    return len(cpus) * repeat


def test_each_size_is_in_the_first_bucket_that_holds_it(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    frames = [case.frame for case in sizes() if len(case.frame) <= LARGEST_RUN]
    for frame in frames:
        b.datapath.test_run(frame)
    by_group = b.totals()[0]["sizes"].reshape(-1, SIZE_BUCKETS)
    lengths = [len(frame) for frame in frames]
    bounds = [0, 64, 128, 256, 512, 1024, 1518, 4096, 9216, 16384, 65535, 1 << 40]
    expected = [sum(low < n <= high for n in lengths) for low, high in pairwise(bounds)]
    assert by_group[2].tolist() == expected  # the group of UDP
    assert by_group.sum() == len(lengths)


def test_concurrent_cpus_lose_nothing(bench: Callable[..., Bench]) -> None:
    b = bench(events=False)
    sent = run_on_all_cpus(b, 100_000)
    assert b.traffic() == {("other", "4"): (sent, sent * len(FRAME))}


def test_cpus_beyond_the_last_row_share_it_and_lose_nothing(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datapath_module, "highest_online_cpu", lambda: -1)
    b = bench(events=False)
    assert b.datapath.counters.nbytes == math.prod(chunk_shape(0)) * INTERFACE_COUNTERS.itemsize
    sent = run_on_all_cpus(b, 100_000)
    assert b.traffic() == {("other", "4"): (sent, sent * len(FRAME))}


def test_events_without_room_are_counted_as_lost(bench: Callable[..., Bench]) -> None:
    b = bench(ring_size=4096)
    for _ in range(100):
        b.datapath.test_run(FRAME)
    room = 4096 // 64 - 1  # the kernel keeps the room of one record free
    lost = b.totals()[0]["lost"]
    assert len(b.events()) in (room, room + 1)
    lost_packets = int(lost["packets"])
    assert lost_packets in (100 - room, 99 - room)
    assert int(lost["bytes"]) == lost_packets * len(FRAME)
    assert b.traffic() == {("other", "4"): (100, 100 * len(FRAME))}


def test_no_events_are_sent_with_flows_off(bench: Callable[..., Bench]) -> None:
    b = bench(events=False)
    b.datapath.test_run(FRAME)
    assert b.datapath.rings == []
    assert int(b.totals()[0]["lost"]["packets"]) == 0


def test_every_ring_gets_the_events_of_its_cpus(bench: Callable[..., Bench]) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    b = bench(rings=2)
    run_on_all_cpus(b, 10)
    found = [len(ring.batch(ring.produced)) for ring in b.datapath.rings]
    expected = [10 * sum(cpu % 2 == ring for cpu in cpus) for ring in (0, 1)]
    assert found == expected


def test_an_interface_missing_in_the_table_passes_uncounted(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    b.table.remove(LOOPBACK)
    assert b.datapath.test_run(FRAME) == 2
    assert b.traffic() == {}
    assert len(b.events()) == 0


def test_interfaces_in_one_bucket_are_distinguished(bench: Callable[..., Bench]) -> None:
    b = bench()
    slots = b.datapath.options.slots
    for way in range(1, 4):
        assert b.table.set(LOOPBACK + way * slots, way, LinkType.ETHERNET)
    assert not b.table.set(LOOPBACK + 4 * slots, 9, LinkType.ETHERNET)
    b.datapath.test_run(FRAME)
    others = b.counters.read(np.array([1, 2, 3]))
    assert b.traffic() == {("other", "4"): (1, len(FRAME))}
    assert int(others["classes"]["packets"].sum()) == 0


def test_programs_load_on_a_kernel_without_multi_buffer_xdp(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datapath_module, "has_multi_buffer", lambda _: False)
    b = bench()
    b.datapath.test_run(FRAME)
    assert b.traffic() == {("other", "4"): (1, len(FRAME))}


@needs_multi_buffer_xdp
def test_a_frame_of_several_buffers_counts_whole(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    frame = FRAME + bytes(30_000)
    b.datapath.test_run(frame)
    assert b.traffic() == {("other", "4"): (1, len(frame))}
