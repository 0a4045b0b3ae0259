"""The flow cache, drained while packets come, against a dictionary of the packets sent."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from pktexp.bpf import datapath as datapath_module
from pktexp.bpf.libbpf import BpfError
from pktexp.bpf.probes import highest_online_cpu
from pktexp.errors import PktexpError
from pktexp.packet.records import FLOW_WAYS, Records
from support.kernel.datapath import ROOT, SLOT, Bench, build
from support.packets.cases import ETHER
from support.patience import joined, wait_for

Key = tuple[bytes, bytes, int, int, int]
"""addresses, ports, class"""
Sums = dict[Key, tuple[int, int, int]]
"""packets, bytes, TCP flags"""

SLOW = ROOT / "tests" / "support" / "kernel" / "slow.bpf.c"
TCP4, UDP4, UDP6 = 8 + 1, 8 + 2, 24 + 2
Packet = tuple[bytes, Key, int]
"""frame, key, TCP flags"""


def packet(rng: random.Random, hosts: int) -> Packet:
    """Return a packet of a random kind, from one of `hosts` hosts, built by scapy."""
    host, port, flags = rng.randrange(hosts), rng.choice([53, 443]), 0
    kind = rng.choice([TCP4, UDP4, UDP6])
    transport: Any = UDP(sport=port, dport=9)
    if kind == TCP4:
        flags = rng.choice([0x02, 0x10, 0x18, 0x01, 0x04])
        transport = TCP(sport=port, dport=9, flags=flags)
    network: Any = IP(src=f"10.1.{host >> 8}.{host & 255}", dst="10.2.0.1")
    if kind == UDP6:
        network = IPv6(src=f"2001:db8::{host:x}", dst="2001:db8:1::1")
    frame = bytes(ETHER / network / transport / bytes(rng.randrange(100)))
    start, size = (22, 16) if kind == UDP6 else (26, 4)
    addresses = [frame[at : at + size].ljust(16, b"\0") for at in (start, start + size)]
    return frame, (addresses[0], addresses[1], port, 9, kind), flags


def add(sums: Sums, key: Key, packets: int, bytes_: int, flags: int) -> None:
    old = sums.get(key, (0, 0, 0))
    sums[key] = old[0] + packets, old[1] + bytes_, old[2] | flags


def add_records(sums: Sums, records: Records) -> None:
    for r in records:
        assert (int(r["interface"]), int(r["direction"])) == (SLOT, 0)
        source, dest = r["ports"].tolist()
        key = (r["saddr"].tobytes(), r["daddr"].tobytes(), source, dest, int(r["packet_class"]))
        add(sums, key, int(r["packets"]), int(r["bytes"]), int(r["tcp_flags"]))


def send(cpu: int, b: Bench, packets: Iterable[tuple[Packet, int]]) -> None:
    os.sched_setaffinity(0, {cpu})
    for (frame, _, _), repeat in packets:
        b.datapath.test_run(frame, repeat)


def collect_while(threads: list[threading.Thread], b: Bench, rng: random.Random) -> Sums:
    """Drain at random moments until the threads have ended, and then the rest."""
    found: Sums = {}
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        add_records(found, b.cached())
        add_records(found, b.events())
        threads[0].join(rng.random() / 100)
    joined(*threads)
    add_records(found, b.cached())
    add_records(found, b.events())
    return found


@pytest.mark.parametrize("entries", [FLOW_WAYS, 64, 8192])
@pytest.mark.parametrize("seed", range(2))
def test_sums_by_flow_equal_a_dictionary_whenever_drained(
    bench: Callable[..., Bench], seed: int, entries: int
) -> None:
    rng = random.Random(seed)
    packets = [packet(rng, hosts=rng.choice([3, 300])) for _ in range(200)]
    b = bench(flow_cache=entries, rings=2)
    expected: Sums = {}
    threads = []
    for cpu in sorted(os.sched_getaffinity(0)):
        sequence = [(rng.choice(packets), rng.choice([1, 2, 5000])) for _ in range(150)]
        threads.append(threading.Thread(target=send, args=(cpu, b, sequence)))
        for (frame, key, flags), repeat in sequence:
            add(expected, key, repeat, repeat * len(frame), flags)
    assert collect_while(threads, b, rng) == expected
    assert int(b.totals()[0]["lost"]["packets"]) == 0


def counted(b: Bench, packets: int) -> bool:
    return int(b.totals()[0]["classes"]["packets"].sum()) == packets


def test_a_drain_waits_for_running_programs(bench: Callable[..., Bench], tmp_path: Path) -> None:
    rng = random.Random(3)
    b = bench(flow_cache=64, path=build(SLOW, tmp_path))
    frame, key, flags = the_packet = packet(rng, 1)
    cpu = max(os.sched_getaffinity(0))
    for number in range(1, 21):
        thread = threading.Thread(target=send, args=(cpu, b, [(the_packet, 1)]))
        thread.start()
        # It is counted, and then not yet in the cache, for some milliseconds.
        wait_for(partial(counted, b, number), pause=0)
        found: Sums = {}
        add_records(found, b.cached())
        assert found == {key: (1, len(frame), flags)}
        joined(thread)


def test_packets_kept_back_by_a_full_ring_are_lost_exactly(
    bench: Callable[..., Bench],
) -> None:
    rng = random.Random(1)
    b = bench(flow_cache=16, ring_size=4096)
    expected: Sums = {}
    for _ in range(5000):
        frame, key, flags = packet(rng, hosts=300)
        b.datapath.test_run(frame)
        add(expected, key, 1, len(frame), flags)
    found: Sums = {}
    add_records(found, b.cached())
    add_records(found, b.events())
    lost = b.totals()[0]["lost"]
    assert lost["packets"] > 0
    assert all(sums[:2] <= expected[key][:2] for key, sums in found.items())
    for unit, amount in enumerate((int(lost["packets"]), int(lost["bytes"]))):
        sums = [sum(values[unit] for values in of.values()) for of in (expected, found)]
        assert sums[0] - sums[1] == amount


def one(b: Bench, **ports: Any) -> None:
    b.datapath.test_run(bytes(ETHER / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(**ports)))


@pytest.mark.usefixtures("one_cpu")
def test_a_flow_that_stays_in_the_cache_sends_no_record(bench: Callable[..., Bench]) -> None:
    b = bench(flow_cache=16)
    for _ in range(100):
        one(b)
    assert len(b.events()) == 0
    assert b.cached()["packets"].tolist() == [100]
    assert len(b.cached()) == 0  # taken once
    one(b)
    assert b.cached()["packets"].tolist() == [1]


@pytest.mark.usefixtures("one_cpu")
def test_the_flow_with_the_fewest_packets_is_replaced(bench: Callable[..., Bench]) -> None:
    b = bench(flow_cache=FLOW_WAYS)
    for port in range(FLOW_WAYS):
        for _ in range(port + 1):
            one(b, sport=port)
    one(b, sport=1000)
    sent = b.events()
    assert (sent["ports"][:, 0].tolist(), sent["packets"].tolist()) == ([0], [1])
    assert sorted(b.cached()["ports"][:, 0].tolist()) == [*range(1, FLOW_WAYS), 1000]


@pytest.mark.usefixtures("one_cpu")
def test_without_ports_the_packets_of_two_hosts_are_one_flow(bench: Callable[..., Bench]) -> None:
    for entries in (0, 16):
        b = bench(flow_cache=entries, ports=False)
        for port in range(3):
            one(b, sport=port, dport=port)
        records = b.cached() if entries else b.events()
        assert not records["ports"].any()
        assert int(records["packets"].sum()) == 3
        assert len(records) == (1 if entries else 3)


def test_a_late_cpu_sends_a_record_per_packet(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    assert len(cpus) > 1, "needs two CPUs"
    monkeypatch.setattr(datapath_module, "highest_online_cpu", lambda: cpus[0])
    b = bench(flow_cache=64)
    the_packet = packet(random.Random(2), 1)
    for cpu in cpus[:2]:
        thread = threading.Thread(target=send, args=(cpu, b, [(the_packet, 10)]))
        thread.start()
        joined(thread)
    assert b.cached()["packets"].tolist() == [10]
    assert b.events()["packets"].tolist() == [1] * 10


@pytest.mark.usefixtures("one_cpu")
def test_a_sum_is_sent_before_it_overflows(bench: Callable[..., Bench]) -> None:
    b = bench(flow_cache=FLOW_WAYS)
    cache = b.datapath.flow_cache
    assert cache
    one(b)
    slots = cache._sets["ways"]["flow"]  # noqa: SLF001  # years of packets, without sending them
    slots["packets"][slots["packets"] == 1] = 1 << 31
    slots["packets"][slots["packets"] == 0] = 1 << 31  # so that no other place has fewer
    one(b)
    assert sorted(b.events()["packets"].tolist() + b.cached()["packets"].tolist())[0] == 1


@pytest.mark.usefixtures("one_cpu")
def test_flows_have_other_places_at_each_start(bench: Callable[..., Bench]) -> None:
    places = []
    for _ in range(2):
        b = bench(flow_cache=8192)
        for port in range(50):
            one(b, sport=port)
        places.append(b.cached()["ports"][:, 0].tolist())  # in the order of their sets
    assert sorted(places[0]) == sorted(places[1]) == list(range(50))
    assert places[0] != places[1]


@pytest.mark.usefixtures("one_cpu")
def test_a_failed_drain_loses_nothing(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(flow_cache=16)
    cache = b.datapath.flow_cache
    assert cache
    one(b)

    def refuse() -> None:
        one(b, sport=1)  # meanwhile packets go to the other half
        raise BpfError(12, "register a ring buffer")

    with monkeypatch.context() as patched:
        patched.setattr(cache, "_synchronize", refuse)
        with pytest.raises(BpfError):
            b.cached()
    one(b)
    both = [*b.cached()["packets"].tolist(), *b.cached()["packets"].tolist()]
    assert both == [2, 1]


def test_memory_follows_from_the_cpus_online(bench: Callable[..., Bench]) -> None:
    cache = bench(flow_cache=1024).datapath.flow_cache
    assert cache
    assert cache.nbytes == (highest_online_cpu() + 1) * 2 * 1024 * 64
    assert bench(flow_cache=0).datapath.flow_cache is None
    assert bench(flow_cache=1024, events=False).datapath.flow_cache is None


def test_a_cache_larger_than_memory_is_an_error_with_a_hint(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datapath_module, "highest_online_cpu", lambda: 4000)
    with pytest.raises(PktexpError) as raised:
        bench(flow_cache=1 << 20, slots=16)
    assert "smaller --flow-cache" in raised.value.hint
