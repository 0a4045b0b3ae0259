"""Merging batches into flows, compared with a plain dictionary of every record."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktexp.flows.table import HALF_LIFE, FlowSnapshot, FlowTable
from pktexp.packet.records import FLOW_RECORD, RING_RECORD, Records

Record = tuple[int, int, int, int, int]  # interface, address, port, class, bytes

records = st.tuples(
    st.sampled_from([7, 1 << 20 | 7]),
    st.integers(0, 30),
    st.integers(0, 3),
    st.sampled_from([9, 10]),
    st.integers(1, 9000),
)


def batch(rows: list[Record]) -> Records:
    made = np.zeros(len(rows), RING_RECORD)
    info = made["flow"]
    for i, (interface, address, port, packet_class, size) in enumerate(rows):
        info[i]["interface"], info[i]["packet_class"] = interface, packet_class
        info[i]["saddr"][:4] = list(address.to_bytes(4, "big"))
        info[i]["ports"][0], info[i]["packets"], info[i]["bytes"] = port, 1, size
        for padding in (name for name in FLOW_RECORD.names or () if name.startswith("_")):
            info[i][padding] = 0xAB  # padding must not split flows
    return made


def key_of(key: Any) -> tuple[int, int, int, int]:
    address = int.from_bytes(bytes(key["saddr"][:4]), "big")
    return int(key["interface"]), address, int(key["ports"][0]), int(key["packet_class"])


def shown(snapshot: FlowSnapshot) -> dict[tuple[int, int, int, int], tuple[int, int]]:
    rows = zip(snapshot.keys, snapshot.packets.tolist(), snapshot.bytes.tolist(), strict=True)
    return {key_of(key): (packets, bytes_) for key, packets, bytes_ in rows}


def sums(snapshot: FlowSnapshot) -> Counter[tuple[int, str]]:
    """Sum shown flows and other by interface and unit."""
    found: Counter[tuple[int, str]] = Counter()
    for (interface, *_), (packets, bytes_) in shown(snapshot).items():
        found[interface, "packets"] += packets
        found[interface, "bytes"] += bytes_
    for (interface, _), tally in snapshot.others.items():
        found[interface, "packets"] += tally.packets
        found[interface, "bytes"] += tally.bytes
    return found


def true_sums(rows: list[Record]) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for interface, _, _, _, size in rows:
        found[interface, "packets"] += 1
        found[interface, "bytes"] += size
    return found


IDS = [7, 1 << 20 | 7]


@given(st.lists(st.lists(records, max_size=40), max_size=6))
def test_flows_equal_a_plain_dictionary_if_all_fit(
    batches: list[list[Record]],
) -> None:
    table = FlowTable(1000)
    expected: dict[tuple[int, int, int, int], tuple[int, int]] = {}
    for rows in batches:
        table.merge(batch(rows))
        for interface, address, port, packet_class, size in rows:
            key = (interface, address, port, packet_class)
            packets, bytes_ = expected.get(key, (0, 0))
            expected[key] = packets + 1, bytes_ + size
    assert shown(table.snapshot(IDS)) == expected
    assert all(t.packets == 0 for t in table.snapshot(IDS).others.values())


@settings(deadline=None)
@given(st.lists(st.lists(records, max_size=60), max_size=8), st.integers(1, 5))
def test_shown_flows_and_other_sum_to_all_records_and_only_grow(
    batches: list[list[Record]], limit: int
) -> None:
    table = FlowTable(limit)
    rows_so_far: list[Record] = []
    before: FlowSnapshot | None = None
    for rows in batches:
        table.merge(batch(rows))
        rows_so_far += rows
        snapshot = table.snapshot(IDS)
        assert sums(snapshot) == true_sums(rows_so_far)
        assert len(snapshot.keys) <= limit
        if before:
            for pair, tally in before.others.items():
                assert snapshot.others[pair].packets >= tally.packets
            now = shown(snapshot)
            assert all(now[key] >= then for key, then in shown(before).items() if key in now)
        before = snapshot


def test_shown_flows_are_within_factor_two_of_the_largest() -> None:
    table = FlowTable(10)
    rows = [(7, address, 0, 9, 100 * (address + 1)) for address in range(100)]
    for row in rows:  # smallest first: the first ten take the places
        table.merge(batch([row]))
    found = {address for _, address, _, _ in shown(table.snapshot(IDS))}
    lightest_shown = min(100 * (address + 1) for address in found)
    assert len(found) == 10
    assert lightest_shown * 2 >= 100 * 90
    assert 99 in found


def test_largest_flows_of_a_batch_are_shown() -> None:
    table = FlowTable(10)
    table.merge(batch([(7, address, 0, 9, 100 * (address + 1)) for address in range(100)]))
    assert {address for _, address, _, _ in shown(table.snapshot(IDS))} == set(range(90, 100))


def test_flow_that_loses_its_place_adds_to_other() -> None:
    table = FlowTable(1)
    table.merge(batch([(7, 1, 0, 9, 100)]))
    assert shown(table.snapshot(IDS)) == {(7, 1, 0, 9): (1, 100)}
    table.merge(batch([(7, 2, 0, 9, 201)]))
    first = table.snapshot(IDS)
    assert shown(first) == {(7, 2, 0, 9): (0, 0)}  # its earlier packets stay in other
    assert (first.others[7, 0].packets, first.others[7, 0].bytes) == (2, 301)
    table.merge(batch([(7, 2, 0, 9, 50)]))
    assert shown(table.snapshot(IDS)) == {(7, 2, 0, 9): (1, 50)}


def test_flow_less_than_twice_as_large_does_not_replace_a_shown_one() -> None:
    table = FlowTable(1)
    table.merge(batch([(7, 1, 0, 9, 100)]))
    table.merge(batch([(7, 2, 0, 9, 190)]))
    assert list(shown(table.snapshot(IDS))) == [(7, 1, 0, 9)]


def test_flow_that_was_large_long_ago_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pktexp.flows.table.time.monotonic", lambda: now[0])
    table = FlowTable(1)
    table.merge(batch([(7, 1, 0, 9, 1000)]))
    table.snapshot(IDS)
    now[0] = 5 * HALF_LIFE  # one thirty-second is left
    table.snapshot(IDS)
    table.merge(batch([(7, 2, 0, 9, 100)]))
    assert list(shown(table.snapshot(IDS))) == [(7, 2, 0, 9)]


def test_flows_of_an_ended_lease_are_forgotten() -> None:
    table = FlowTable(1)
    table.merge(batch([(7, 1, 0, 9, 10), (8, 1, 0, 9, 10), (8, 2, 0, 9, 10)]))
    snapshot = table.snapshot([8])
    assert {interface for interface, *_ in shown(snapshot)} == {8}
    assert set(snapshot.others) <= {(8, 0)}
    assert sums(snapshot)[8, "packets"] == 2


def test_folded_batch_counts_as_other() -> None:
    table = FlowTable(5)
    table.fold(batch([(7, 1, 0, 9, 10), (7, 2, 0, 9, 20)]))
    snapshot = table.snapshot(IDS)
    assert len(snapshot.keys) == 0
    assert (snapshot.others[7, 0].packets, snapshot.others[7, 0].bytes) == (2, 30)


def test_flood_of_random_sources_stays_within_capacity() -> None:
    table = FlowTable(100)
    heavy = np.zeros(1, RING_RECORD)
    heavy["flow"]["interface"], heavy["flow"]["packets"], heavy["flow"]["bytes"] = 7, 1, 10**9
    table.merge(heavy)
    rng = np.random.default_rng(1)
    sent = 0
    for _ in range(20):
        flood = np.zeros(20_000, RING_RECORD)
        flood["flow"]["saddr"][:, :4] = rng.integers(1, 256, (20_000, 4))
        flood["flow"]["interface"], flood["flow"]["packets"], flood["flow"]["bytes"] = 7, 1, 60
        table.merge(flood)
        sent += len(flood)
    snapshot = table.snapshot(IDS)
    assert len(snapshot.keys) == 100
    assert table.watched <= 4 * 100 + 4096
    assert sums(snapshot)[7, "packets"] == sent + 1
    assert (1, 10**9) in shown(snapshot).values()


def flood_of(rng: np.random.Generator, size: int = 20_000) -> Records:
    """One packet of 60 bytes from each of many sources."""
    made = np.zeros(size, RING_RECORD)
    made["flow"]["saddr"][:, :4] = rng.integers(1, 256, (size, 4))
    made["flow"]["interface"], made["flow"]["packets"], made["flow"]["bytes"] = 7, 1, 60
    return made


@pytest.mark.parametrize("packets", [1, 5000])
def test_large_new_flow_is_soon_shown_in_a_full_table(packets: int) -> None:
    rng, table = np.random.default_rng(2), FlowTable(10)
    for _ in range(5):
        table.merge(flood_of(rng))
    assert table.watched == 4 * 10 + 4096
    table.snapshot(IDS)
    heavy = flood_of(rng, packets)
    heavy["flow"]["saddr"] = 1  # one source: one record of a megabyte, or thousands of 200 bytes
    heavy["flow"]["bytes"] = 10**6 // packets
    for _ in range(3):
        table.merge(np.concatenate((flood_of(rng), heavy, flood_of(rng))))
        snapshot = table.snapshot(IDS)
    assert max(snapshot.bytes) >= 10**6
    assert sums(snapshot)[7, "packets"] == 5 * 20_000 + 3 * (40_000 + packets)


def test_lasting_flood_replaces_fewer_and_fewer_watched_flows() -> None:
    rng, table = np.random.default_rng(3), FlowTable(10)

    def newly_watched(batches: int) -> int:
        table.snapshot(IDS)
        before = set(table._flows["hash"].tolist())  # noqa: SLF001  # no flow of it is shown
        for _ in range(batches):
            table.merge(flood_of(rng))
        table.snapshot(IDS)
        return len(set(table._flows["hash"].tolist()) - before)  # noqa: SLF001

    table.merge(flood_of(rng))
    early = newly_watched(3)
    newly_watched(200)
    assert newly_watched(3) < early / 2
