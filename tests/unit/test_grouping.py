"""Hashing, grouping and finding flows, compared with plain Python."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktexp.flows.columns import Hasher, HashIndex, group, key_mask, keys_of
from pktexp.flows.table import FlowTable
from pktexp.packet.records import (
    FLOW_KEY,
    FLOW_RECORD,
    FLOW_SLOT,
    KEY_FIELDS,
    RING_RECORD,
    Records,
    flow_key,
)

FLOW_CACHE = Path(__file__).parents[2] / "bpf" / "flowcache.h"
LAST = 2**64 - 1
KEY_NAMES = [name for name, *_ in KEY_FIELDS if not name.startswith("_")]
KEY_SIZES = {name: FLOW_KEY[name].itemsize for name in KEY_NAMES}
BYTES = [
    (name, offset + byte)
    for name, (dtype, offset, *_) in (FLOW_RECORD.fields or {}).items()
    for byte in range(dtype.itemsize)
]
"""(field, offset) of every byte of a record"""
hashes = st.integers(0, LAST) | st.sampled_from([0, 1, 2, LAST - 1, LAST, 1 << 63])


@given(st.sets(hashes, max_size=60), st.lists(hashes, max_size=60))
def test_index_finds_present_hashes_and_no_others(there: set[int], asked: list[int]) -> None:
    ordered = sorted(there)
    wanted = np.array([*asked, *ordered], np.uint64)
    at, found = HashIndex(np.array(ordered, np.uint64)).find(wanted)
    assert found.tolist() == [int(w) in there for w in wanted]
    assert [ordered[i] for i in at[found]] == wanted[found].tolist()


def test_ring_and_cache_records_hash_alike() -> None:
    rng = np.random.default_rng(1)
    from_ring, from_cache = np.zeros(50, RING_RECORD), np.zeros(50, FLOW_SLOT)
    from_ring["flow"]["saddr"] = rng.integers(0, 256, (50, 16))
    from_ring["flow"]["ports"] = rng.integers(0, 65536, (50, 2))
    from_ring["header"] = 56
    from_cache["flow"] = from_ring["flow"]
    from_cache["flow"]["tcp_flags"] = 0x12  # not part of a key, like the sums
    from_cache["flow"]["packets"] = 99
    hasher = Hasher()
    assert hasher(from_ring).hashes.tolist() == hasher(from_cache).hashes.tolist()
    assert len(set(hasher(from_ring).hashes.tolist())) == 50
    assert not set(hasher(from_ring).hashes.tolist()) & set(Hasher()(from_ring).hashes.tolist())


@pytest.mark.parametrize("bit", [7, 15, 63, 127])
def test_keys_with_differences_in_two_top_bits_do_not_collide(bit: int) -> None:
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
        (int(key["interface"]), field): int(g[field])
        for g, key in zip(groups, keys_of(groups["key"]), strict=True)
        for field in ("packets", "bytes")
    }
    assert found == expected


def two_records(dtype: np.dtype[Any], flipped: int) -> Records:
    """Return two records that differ in one byte of their flow."""
    made = np.zeros(2, dtype)
    made["flow"]["packets"], made["flow"]["interface"] = 1, 7
    start = dtype.fields["flow"][1]  # type: ignore[index]  # has such a field
    made.view(np.uint8).reshape(2, -1)[1, start + flipped] ^= 0xFF
    return made


def key_of(flow: Any) -> tuple[bytes, ...]:
    return tuple(flow[name].tobytes() for name in KEY_NAMES)


@pytest.mark.parametrize("dtype", [RING_RECORD, FLOW_SLOT], ids=["ring", "cache"])
@pytest.mark.parametrize(("name", "offset"), BYTES)
def test_every_byte_of_the_key_and_no_other_distinguishes_flows(
    name: str, offset: int, dtype: np.dtype[Any]
) -> None:
    batch = two_records(dtype, offset)
    table = FlowTable(10)
    table.merge(batch)
    snapshot = table.snapshot(batch["flow"]["interface"].tolist())
    assert len(snapshot.keys) == (2 if name in KEY_NAMES else 1)
    assert int(snapshot.packets.sum()) == int(batch["flow"]["packets"].sum())
    assert set(map(key_of, snapshot.keys)) == set(map(key_of, batch["flow"]))


def mask_of(fields: list[tuple[Any, ...]]) -> bytes:
    """Return the bytes of a key's mask, without the padding at its end."""
    mask = key_mask(flow_key(fields))
    assert mask.dtype == np.uint64
    return mask.tobytes().rstrip(b"\0")


@pytest.mark.parametrize(
    ("added", "mask"),
    [
        ([("extra", "u1")], b"\xff"),
        ([("_extra_pad", "u1", 2), ("extra", "u4")], b"\0\0\xff\xff\xff\xff"),
        ([("extra", "u1", 6)], b"\xff" * 6),
        ([("extra", "u8", 2)], b"\xff" * 16),
    ],
    ids=["byte", "padded", "whole", "words"],
)
def test_mask_covers_a_field_added_after_direction(
    added: list[tuple[Any, ...]], mask: bytes
) -> None:
    assert mask_of([*KEY_FIELDS, *added]) == mask_of(KEY_FIELDS) + mask


def test_mask_follows_fields_that_move() -> None:
    inserted = [("extra", "u1"), ("_extra_pad", "u1")]
    assert mask_of([*inserted, *KEY_FIELDS]) == b"\xff\0" + mask_of(KEY_FIELDS)


@pytest.mark.parametrize("name", KEY_NAMES)
@pytest.mark.parametrize("function", ["hash_flow", "same_flow"])
def test_flow_cache_reads_every_field_of_the_key(function: str, name: str) -> None:
    """The programs list the fields by hand; flows that differ in a forgotten one would merge."""
    body = flow_cache_function(function)
    called = [flow_cache_function(called) for called in re.findall(r"(\w+_of)\(flow\)", body)]
    assert re.search(rf"->{name}\b", "".join([body, *called]))


@pytest.mark.parametrize("name", KEY_NAMES)
def test_mask_of_the_last_words_covers_the_fields_of_the_key_in_them(name: str) -> None:
    """same_flow compares these words under SUMS_KEY."""
    place = re.search(rf"flow->{name}\b(?: << (\d+))?", flow_cache_function("sums_of"))
    (mask,) = re.findall(r"#define SUMS_KEY (\w+)", FLOW_CACHE.read_text())
    bits = ((1 << 8 * KEY_SIZES[name]) - 1) << int(place[1] or 0) if place else 0
    assert bits & ~int(mask, 16) == 0


def flow_cache_function(name: str) -> str:
    """Return the text of a function that takes a flow."""
    pattern = rf"\b{name}\([^)]*const struct flow_record \*flow\).*?\n}}"
    (body,) = re.findall(pattern, FLOW_CACHE.read_text(), re.DOTALL)
    return str(body)
