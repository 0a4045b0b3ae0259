"""Hashing and finding flows, against plain Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktexp.flows.columns import Hasher, HashIndex, group
from pktexp.packet.records import FLOW_SLOT, RING_RECORD

LAST = 2**64 - 1
hashes = st.integers(0, LAST) | st.sampled_from([0, 1, 2, LAST - 1, LAST, 1 << 63])


@given(st.sets(hashes, max_size=60), st.lists(hashes, max_size=60))
def test_an_index_finds_what_is_there_and_nothing_else(there: set[int], asked: list[int]) -> None:
    ordered = sorted(there)
    wanted = np.array([*asked, *ordered], np.uint64)
    at, found = HashIndex(np.array(ordered, np.uint64)).find(wanted)
    assert found.tolist() == [int(w) in there for w in wanted]
    assert [ordered[i] for i in at[found]] == wanted[found].tolist()


def test_records_of_rings_and_of_the_cache_hash_alike() -> None:
    rng = np.random.default_rng(1)
    from_ring, from_cache = np.zeros(50, RING_RECORD), np.zeros(50, FLOW_SLOT)
    from_ring["flow"]["saddr"] = rng.integers(0, 256, (50, 16))
    from_ring["flow"]["ports"] = rng.integers(0, 65536, (50, 2))
    from_ring["header"] = 56
    from_cache["flow"] = from_ring["flow"]
    from_cache["flow"]["tcp_flags"] = 0x12  # no part of a key, as the sums
    from_cache["flow"]["packets"] = 99
    hasher = Hasher()
    assert hasher(from_ring).hashes.tolist() == hasher(from_cache).hashes.tolist()
    assert len(set(hasher(from_ring).hashes.tolist())) == 50
    assert not set(hasher(from_ring).hashes.tolist()) & set(Hasher()(from_ring).hashes.tolist())


@pytest.mark.parametrize("bit", [7, 15, 63, 127])
def test_keys_that_differ_in_the_top_bits_of_two_fields_do_not_meet(bit: int) -> None:
    batch = np.zeros(4, RING_RECORD)
    for row in (1, 3):
        batch["flow"]["saddr"][row, bit // 8] = 0x80
    for row in (2, 3):
        batch["flow"]["daddr"][row, bit // 8] = 0x80
    for _ in range(200):
        assert len(set(Hasher()(batch).hashes.tolist())) == 4


def test_groups_are_the_sums_of_their_records() -> None:
    rng = np.random.default_rng(2)
    batch = np.zeros(1000, RING_RECORD)
    batch["flow"]["interface"] = rng.integers(1, 30, 1000)
    batch["flow"]["packets"] = rng.integers(1, 2**32, 1000)
    batch["flow"]["bytes"] = rng.integers(1, 2**40, 1000)
    expected: Counter[tuple[int, str]] = Counter()
    for row in batch["flow"]:
        for field in ("packets", "bytes"):
            expected[int(row["interface"]), field] += int(row[field])
    groups = group(Hasher()(batch))
    found = {
        (int(g["key"][4] & np.uint64(0xFFFFFFFF)), field): int(g[field])
        for g in groups
        for field in ("packets", "bytes")
    }
    assert found == expected
